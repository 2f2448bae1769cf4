//! The flags of `podgate serve`, and what they mean for the server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use crate::server::{CertificateSource, Config, Limits, Timeouts, parse_go_duration};

/// Flags of `podgate serve`. Every one can be given as a variable, and none has to be.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Where the webhook listens, with TLS
    #[arg(
        long,
        env = "PODGATE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8443"
    )]
    pub listen: SocketAddr,

    /// Where /livez, /readyz and /metrics are served, in plain HTTP
    #[arg(
        long,
        env = "PODGATE_ADMIN_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8444"
    )]
    pub admin_listen: SocketAddr,

    /// PEM file with the certificate and its chain; read again when it changes [default: one is generated]
    #[arg(
        long,
        env = "PODGATE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the key of the certificate
    #[arg(
        long,
        env = "PODGATE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Directory of policies; read again when it changes [default: the policies that podgate ships]
    #[arg(long, env = "PODGATE_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,

    /// Credentials for the API server, for namespace labels [default: KUBECONFIG, else those of the Pod]
    #[arg(long, env = "PODGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Time between looks at the certificate and the policies
    #[arg(long, env = "PODGATE_POLL", value_name = "DURATION", default_value = "5s", value_parser = poll)]
    pub poll: Duration,

    /// Connections at a time; further ones wait
    #[arg(long, env = "PODGATE_MAX_CONNECTIONS", value_name = "N", default_value_t = 1024, value_parser = count)]
    pub max_connections: usize,

    /// Reviews at a time; further ones wait a little and are then refused with 503
    #[arg(long, env = "PODGATE_MAX_IN_FLIGHT", value_name = "N", default_value_t = 256, value_parser = count)]
    pub max_in_flight: usize,

    /// Bytes of a review; larger ones are refused with 413
    #[arg(long, env = "PODGATE_MAX_BODY", value_name = "BYTES", default_value_t = 7 * 1024 * 1024)]
    pub max_body: usize,

    /// Time to keep serving, unready, after SIGTERM
    #[arg(long, env = "PODGATE_DRAIN_DELAY", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,

    /// Time for the reviews in flight after that
    #[arg(long, env = "PODGATE_DRAIN_DEADLINE", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub drain_deadline: Duration,
}

/// What the flags say, sorted by who needs it.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// For [`serve`](crate::server::serve).
    pub config: Config,
    /// The policy directory; none means the shipped policies.
    pub policies: Option<PathBuf>,
    /// Time between looks at the policy directory.
    pub policy_poll: Duration,
    /// The kubeconfig that was named, for [`connect`](crate::cluster::client::connect).
    pub kubeconfig: Option<PathBuf>,
}

// === impl ServeArgs ===

impl ServeArgs {
    /// Sorts the flags.
    #[must_use]
    pub fn into_settings(self) -> ServeSettings {
        let Self {
            listen,
            admin_listen,
            tls_cert,
            tls_key,
            policies,
            kubeconfig,
            poll,
            max_connections,
            max_in_flight,
            max_body,
            drain_delay,
            drain_deadline,
        } = self;
        let certificate = match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => CertificateSource::Files { certificate, key },
            // clap lets neither come alone.
            _ => CertificateSource::default(),
        };
        let config = Config {
            listen,
            admin_listen,
            certificate,
            limits: Limits {
                connections: max_connections,
                in_flight: max_in_flight,
                body: max_body,
            },
            timeouts: Timeouts {
                certificate_poll: poll,
                drain_delay,
                drain_deadline,
                ..Timeouts::default()
            },
        };
        ServeSettings {
            config,
            policies,
            policy_poll: poll,
            kubeconfig,
        }
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_go_duration(text).ok_or("not a duration; write it as 5s, 1m30s or 250ms")
}

fn poll(text: &str) -> Result<Duration, &'static str> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than nothing"),
        poll => Ok(poll),
    }
}

fn count(text: &str) -> Result<usize, &'static str> {
    // `Semaphore` takes no more than usize::MAX >> 3.
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err("must be a number from 1 to 1000000"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(args: &[&str]) -> Result<ServeSettings, String> {
        let cli = Cli::try_parse_from([&["podgate"], args].concat())
            .map_err(|error| error.to_string())?;
        Ok(cli.serve.into_settings())
    }

    #[test]
    fn no_flags_mean_the_defaults_of_the_server() {
        let settings = parse(&[]).expect("no flag is required");
        assert_eq!(
            format!("{:?}", settings.config),
            format!("{:?}", Config::default())
        );
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(parse(&["--tls-cert", "a"]).is_err_and(|error| error.contains("--tls-key")));
        let settings = parse(&["--tls-cert", "a", "--tls-key", "b"]).expect("both are there");
        let files = CertificateSource::Files {
            certificate: "a".into(),
            key: "b".into(),
        };
        assert_eq!(settings.config.certificate, files);
    }

    #[test]
    fn durations_are_written_as_in_kubernetes() {
        let settings = parse(&["--drain-delay", "1m30s"]).expect("it is a duration");
        assert_eq!(
            settings.config.timeouts.drain_delay,
            Duration::from_secs(90)
        );
        assert!(
            parse(&["--drain-delay", "90"]).is_err_and(|error| error.contains("write it as 5s"))
        );
        assert!(parse(&["--poll", "0s"]).is_err());
        assert!(parse(&["--max-in-flight", "0"]).is_err());
    }
}
