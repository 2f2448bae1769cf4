//! The flags of `podgate serve`, and what they mean for the server.

mod pod_security;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use tracing::warn;
use tracing_subscriber::EnvFilter;

use std::process::ExitCode;
use std::sync::Arc;

use self::pod_security::PodSecurityArgs;
use crate::cluster::{Cluster, client::connect};
use crate::policy::{LoadError, Options, PolicySet, shipped};
use crate::server::directory::{self, DirectoryError, Files};
use crate::server::engine::Engine;
use crate::server::{CertificateSource, Config, Limits, Timeouts, parse_go_duration};
use crate::server::{Health, Serving, Shutdown, serve};

/// Serve the validating and mutating webhooks.
///
/// Every flag can be given as a variable, and none has to be. `PODGATE_LOG` says what is logged: info, debug, or a
/// filter such as podgate=debug.
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

    /// Judge by the pod-security.kubernetes.io labels of namespaces too, as the API server's `PodSecurity` plugin does.
    /// A `PodSecurityConfiguration` among the policies has the same effect, and says defaults and exemptions
    #[arg(long, env = "PODGATE_POD_SECURITY_LABELS")]
    pub pod_security_labels: bool,

    #[command(flatten)]
    pub pod_security: PodSecurityArgs,

    /// Credentials for the API server, for namespace labels [default: KUBECONFIG, else those of the Pod]
    #[arg(long, env = "PODGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

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
    /// The Pod Security labels of namespaces count, whether or not a policy file says so.
    pub pod_security_labels: bool,
    /// How far they go.
    pub pod_security: Options,
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
            pod_security_labels,
            pod_security,
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
                ..Limits::default()
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
            pod_security_labels,
            pod_security: pod_security.options(),
            kubeconfig,
        }
    }
}

/// Why there is nothing to serve with.
#[derive(Debug, thiserror::Error)]
enum PolicyError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Why Pod Security labels cannot count.
const NO_CLUSTER: &str =
    "Pod Security labels are in the cluster, and no cluster is known: name one with --kubeconfig";

/// Serves until a signal ends it.
#[must_use]
pub fn run(args: ServeArgs) -> ExitCode {
    let filter = EnvFilter::try_from_env("PODGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that is collected or kept in a file is no place for colours.
    let color = super::has_color(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        .with_writer(std::io::stderr)
        // It would report a log that cannot be written on the same closed pipe, and panic.
        .log_internal_errors(false)
        .init();
    crate::server::files::raise_limit();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve_until_signal(args.into_settings())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_until_signal(settings: ServeSettings) -> Result<(), Box<dyn std::error::Error>> {
    let health = Health::default();
    let (files, set) = match load(settings.policies.as_deref()) {
        Ok(loaded) => loaded,
        Err(PolicyError::Load(error)) => {
            return Err(format!("no policies in force\n{}", error.render(false)).into());
        }
        Err(error) => return Err(error.into()),
    };
    let (labels_count, options) = (settings.pod_security_labels, settings.pod_security);
    let prepare = move |set: PolicySet| {
        let set = if labels_count {
            set.with_pod_security()
        } else {
            set
        };
        set.with_pod_security_options(options)
    };
    let set = prepare(set);
    health.policies_loaded(set.policies().len(), set.hash());
    let needs_labels = set.needs_namespace_labels();
    let shutdown = Shutdown::on_signals()?;
    crate::server::install_crypto_provider();
    let cluster = connect(settings.kubeconfig.as_deref())
        .await?
        .map(Cluster::new);
    match &cluster {
        Some(Cluster { namespaces, .. }) => {
            health.require_namespaces(namespaces);
            tokio::spawn(namespaces.clone().follow());
        }
        None if set.pod_security().is_some() => return Err(NO_CLUSTER.into()),
        None if needs_labels => {
            warn!(
                "no cluster is known: every policy with a namespaceSelector applies to every namespace"
            );
        }
        None => {}
    }
    let engine = Arc::new(Engine::new(set, cluster));
    if let Some(directory) = settings.policies {
        let (engine, health) = (engine.clone(), health.clone());
        tokio::spawn(async move {
            let place = directory.display().to_string();
            directory::watch(directory, files, settings.policy_poll, |found| {
                reload(&engine, &health, &place, found, prepare);
            })
            .await;
        });
    }
    let serving = serve(settings.config, engine, health, shutdown).await?;
    // Whoever started it may not read it: that is no reason to end.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), greeting(&serving).as_bytes());
    serving.wait().await?;
    Ok(())
}

/// How to reach what is being served.
pub(super) fn greeting(serving: &Serving) -> String {
    let (address, admin) = (serving.address(), serving.admin_address());
    let mut text = format!(
        "podgate serves https://{address}/validate and https://{address}/mutate\n\
         health and metrics: http://{admin}/readyz?verbose and http://{admin}/metrics\n"
    );
    if let Some(ca) = serving.ca() {
        text.push_str("the certificate is generated; trust this CA to call it (caBundle takes it in base64):\n");
        text.push_str(ca);
    }
    text
}

fn load(directory: Option<&std::path::Path>) -> Result<(Files, PolicySet), PolicyError> {
    match directory {
        None => Ok((Files::new(), shipped()?)),
        Some(directory) => {
            let files = directory::read(directory)?;
            let set = PolicySet::load(&directory.display().to_string(), &files)?;
            Ok((files, set))
        }
    }
}

/// A good edit comes into force at once and as a whole; a bad one changes nothing but what is said.
fn reload(
    engine: &Engine,
    health: &Health,
    place: &str,
    found: Result<Files, DirectoryError>,
    prepare: impl Fn(PolicySet) -> PolicySet,
) {
    match found {
        Err(error) => {
            let reason = error.to_string();
            health.policies_refused(&reason, &format!("error: {reason}"));
        }
        Ok(files) => match PolicySet::load(place, &files) {
            Ok(set) if set.pod_security().is_some() && !engine.has_cluster() => {
                health.policies_refused(NO_CLUSTER, &format!("error: {NO_CLUSTER}"));
            }
            Ok(set) => {
                let set = prepare(set);
                health.policies_loaded(set.policies().len(), set.hash());
                engine.replace(set);
            }
            Err(error) => health.policies_refused(&error.to_string(), &error.render(false)),
        },
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
