//! The flags of `podgate serve`, and what they mean for the server.

mod certificates;
mod pod_security;
mod running;

use std::{
    net::SocketAddr, num::NonZero, path::PathBuf, process::ExitCode, thread::available_parallelism,
    time::Duration,
};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

pub(in crate::cli) use self::certificates::lifetime;
use self::certificates::{CertificateArgs, Source};
use self::pod_security::PodSecurityArgs;
pub(in crate::cli) use self::running::greeting;
use crate::cluster::certificates::Settings;
use crate::policy::Options;
use crate::server::{
    CertificateSource, ClientAuthority, Config, Limits, Timeouts, parse_go_duration,
};

/// Threads that serve, at most, however many processors the node has. A review is decided on one of them, so their number
/// times what one may take bounds the memory; four decide more reviews than an API server sends.
const MOST_WORKERS: usize = 4;

/// Serve the validating and mutating webhooks.
///
/// Every flag can be given as a variable, and none has to be.
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

    #[command(flatten)]
    pub certificates: CertificateArgs,

    /// PEM file with the authority of clients' certificates: only clients that show one of its certificates are let in,
    /// which `podgate api-server-config` makes for the API server. Read again when it changes
    #[arg(long, env = "PODGATE_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// Of these, only clients with this common name or DNS name; can be given several times
    #[arg(
        long,
        env = "PODGATE_CLIENT_NAME",
        value_name = "NAME",
        requires = "client_ca",
        value_delimiter = ','
    )]
    pub client_name: Vec<String>,

    /// Directory of policies; read again when it changes [default: the policies that podgate ships]
    #[arg(long, env = "PODGATE_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,

    /// Judge by the pod-security.kubernetes.io labels of namespaces too, as the API server's `PodSecurity` plugin does.
    /// A `PodSecurityConfiguration` among the policies has the same effect, and says defaults and exemptions
    #[arg(long, env = "PODGATE_POD_SECURITY_LABELS")]
    pub pod_security_labels: bool,

    #[command(flatten)]
    pub pod_security: PodSecurityArgs,

    /// Tell the workloads whose Pods are rejected, by an Event on the Deployment or whatever owns the Pod
    #[arg(long, env = "PODGATE_EVENTS")]
    pub events: bool,

    /// Credentials for the API server, for namespace labels [default: KUBECONFIG, else those of the Pod]
    #[arg(long, env = "PODGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// How old what is known of namespaces may be, when the API server cannot be watched, before podgate is unready
    #[arg(long, env = "PODGATE_MAX_STALENESS", value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub max_staleness: Duration,

    /// Time between looks at the certificate and the policies; a change counts when two looks in a row agree on it
    #[arg(long, env = "PODGATE_POLL", value_name = "DURATION", default_value = "5s", value_parser = poll)]
    pub poll: Duration,

    /// Connections at a time; for a further one that is closed which is worth least: strangers before those that have
    /// brought reviews, of the address that has most of them, the oldest first
    #[arg(long, env = "PODGATE_MAX_CONNECTIONS", value_name = "N", default_value_t = 1024, value_parser = count)]
    pub max_connections: usize,

    /// Reviews at a time; further ones wait a little and are then refused with 503
    #[arg(long, env = "PODGATE_MAX_IN_FLIGHT", value_name = "N", default_value_t = 256, value_parser = count)]
    pub max_in_flight: usize,

    /// Bytes of a review; larger ones are refused with 413
    #[arg(long, env = "PODGATE_MAX_BODY", value_name = "BYTES", default_value_t = 7 * 1024 * 1024)]
    pub max_body: usize,

    /// What is logged: error, warn, info, debug, or a filter such as podgate=debug
    #[arg(long, env = "PODGATE_LOG", value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub log: String,

    /// How the log is written, to standard error
    #[arg(
        long,
        env = "PODGATE_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,

    /// Time to keep serving, unready, after SIGTERM
    #[arg(long, env = "PODGATE_DRAIN_DELAY", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,

    /// Time for the reviews in flight after that
    #[arg(long, env = "PODGATE_DRAIN_DEADLINE", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub drain_deadline: Duration,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// What the flags say, sorted by who needs it.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// For [`serve`](crate::server::serve); where certificates are kept in the cluster, without them.
    pub config: Config,
    /// Certificates are kept in the cluster.
    pub in_cluster: bool,
    /// What podgate's own things are called there.
    pub names: Settings,
    /// The uid of this Pod, where podgate runs in one.
    pub pod_uid: Option<String>,
    /// How old what is known of namespaces may be.
    pub max_staleness: Duration,
    /// The policy directory; none means the shipped policies.
    pub policies: Option<PathBuf>,
    /// Time between looks at the policy directory.
    pub policy_poll: Duration,
    /// The Pod Security labels of namespaces count, whether or not a policy file says so.
    pub pod_security_labels: bool,
    /// How far they go.
    pub pod_security: Options,
    /// Workloads whose Pods are rejected are told.
    pub events: bool,
    /// The kubeconfig that was named, for [`connect`](crate::cluster::client::connect).
    pub kubeconfig: Option<PathBuf>,
}

// === impl ServeArgs ===

impl ServeArgs {
    /// Sorts the flags.
    ///
    /// # Errors
    /// When two of them contradict each other.
    pub fn into_settings(self) -> Result<ServeSettings, String> {
        let Self {
            listen,
            admin_listen,
            certificates,
            client_ca,
            client_name,
            policies,
            pod_security_labels,
            pod_security,
            events,
            kubeconfig,
            max_staleness,
            poll,
            max_connections,
            max_in_flight,
            max_body,
            // Used before anything else is.
            log: _,
            log_format: _,
            drain_delay,
            drain_deadline,
        } = self;
        let (source, names, pod_uid) = certificates.sort(poll)?;
        let in_cluster = matches!(source, Source::Cluster);
        let certificate = match source {
            Source::Files { certificate, key } => CertificateSource::Files { certificate, key },
            Source::Memory | Source::Cluster => CertificateSource::default(),
        };
        let config = Config {
            listen,
            admin_listen,
            certificate,
            clients: client_ca.map(|file| ClientAuthority {
                file,
                names: client_name,
            }),
            limits: Limits {
                connections: max_connections,
                in_flight: max_in_flight,
                body: max_body,
                ..Limits::default()
            },
            timeouts: Timeouts {
                certificate_poll: poll,
                drain_delay,
                drain_deadline,
                ..Timeouts::default()
            },
        };
        Ok(ServeSettings {
            config,
            in_cluster,
            names,
            pod_uid,
            max_staleness,
            policies,
            policy_poll: poll,
            pod_security_labels,
            pod_security: pod_security.options(),
            events,
            kubeconfig,
        })
    }
}

/// Serves until a signal ends it.
#[must_use]
pub fn run(args: ServeArgs) -> ExitCode {
    let format = args.log_format;
    log_as(&args.log, format);
    crate::server::files::raise_limit();
    let ended = args
        .into_settings()
        .map_err(Into::into)
        .and_then(|settings| {
            let processors = available_parallelism().map_or(1, NonZero::get);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(processors.min(MOST_WORKERS))
                .enable_all()
                .build()
                .map_err(|error| format!("cannot start: {error}"))?;
            runtime.block_on(running::serve_until_signal(settings))
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match format {
                LogFormat::Text => eprintln!("error: {error}"),
                // Whoever reads the log reads nothing else there.
                LogFormat::Json => tracing::error!(%error, "podgate ends"),
            }
            ExitCode::FAILURE
        }
    }
}

/// Begins to log.
fn log_as(filter: &str, format: LogFormat) {
    let filter = EnvFilter::new(filter);
    // A log that is collected or kept in a file is no place for colours.
    let color = super::has_color(&std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would report a log that cannot be written on the same closed pipe, and panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.with_ansi(color).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_go_duration(text).ok_or("not a duration; write it as 5s, 1m30s or 250ms")
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
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
        cli.serve.into_settings()
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
        assert_eq!(
            format!("{:?}", settings.config.certificate),
            format!("{files:?}")
        );
    }

    #[test]
    fn one_flag_says_where_the_certificate_comes_from() {
        let in_cluster = parse(&["--certificates", "cluster", "--namespace", "gate"])
            .expect("nothing is missing");
        assert!(in_cluster.in_cluster && in_cluster.names.namespace == "gate");
        assert!(!parse(&[]).expect("no flag is required").in_cluster);
        for (args, expected) in [
            (&["--certificates", "files"][..], "needs --tls-cert"),
            (
                &[
                    "--certificates",
                    "cluster",
                    "--tls-cert",
                    "a",
                    "--tls-key",
                    "b",
                ],
                "of no use",
            ),
            (&["--ca-lifetime", "100h"], "no certificate outlives"),
            (&["--ca-overlap", "2000h"], "followed too late"),
            (&["--certificate-lifetime", "5s"], "a minute or more"),
        ] {
            let error = parse(args).map(drop).expect_err("it is refused");
            assert!(error.contains(expected), "{error}");
        }
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
