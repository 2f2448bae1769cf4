//! A gate from its start to the signal that ends it: what is loaded, watched and kept, and in which order.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ServeSettings;
use crate::cluster::{
    Cluster,
    certificates::{Keeper, Settings},
    client::connect,
    events::Events,
    rejections::Rejections,
};
use crate::policy::{LoadError, PolicySet, shipped};
use crate::server::directory::{self, DirectoryError, Files};
use crate::server::engine::Engine;
use crate::server::{CertificateSource, Current, Health, Serving, Shutdown, serve};

/// Why certificates cannot be kept.
const NO_CLUSTER_TO_KEEP_IN: &str = "--certificates cluster keeps certificates in the cluster, and no cluster is known: name one with --kubeconfig";

/// Between two looks at when the certificate ends.
const BETWEEN_LOOKS: Duration = Duration::from_mins(1);

/// What ends in weeks is told a few times a day.
const BETWEEN_WARNINGS: Duration = Duration::from_hours(6);

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

/// Why nobody can be told.
const NO_CLUSTER_TO_TELL: &str =
    "--events tells workloads in the cluster, and no cluster is known: name one with --kubeconfig";

/// Loads what is to be served, serves it, and ends when a signal says so.
pub(super) async fn serve_until_signal(
    mut settings: ServeSettings,
) -> Result<(), Box<dyn std::error::Error>> {
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
        .map(|(client, clock)| Cluster::new(client, clock));
    match &cluster {
        Some(Cluster { namespaces, .. }) => {
            health.require_namespaces(namespaces, settings.max_staleness);
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
    let mut keeping = None;
    if settings.in_cluster {
        let cluster = cluster.as_ref().ok_or(NO_CLUSTER_TO_KEEP_IN)?;
        let (kept, source) = keep(cluster, settings.names.clone(), &health);
        settings.config.certificate = source;
        keeping = Some(kept);
    }
    let events = cluster.as_ref().zip(settings.pod_uid).map(|(it, uid)| {
        let Settings {
            namespace,
            identity,
            ..
        } = &settings.names;
        Events::about_pod(it.client().clone(), namespace, identity, uid)
    });
    let rejections = match &cluster {
        _ if !settings.events => None,
        None => return Err(NO_CLUSTER_TO_TELL.into()),
        Some(cluster) => Some(tell_rejections(
            cluster,
            settings.names.identity.clone(),
            &health,
        )),
    };
    let engine = Arc::new(Engine::new(set, cluster).telling(rejections));
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
    tokio::spawn(warn_of_the_end(serving.certificate(), events));
    // Whoever started it may not read it: that is no reason to end.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), greeting(&serving).as_bytes());
    let ended = serving.wait().await;
    // Last, so that certificates are kept for as long as they are served.
    if let Some((stop, kept)) = keeping {
        stop.cancel();
        let _ = kept.await;
    }
    ended?;
    Ok(())
}

/// Keeps the certificates in the cluster until the token is cancelled; where the server is to take them from.
fn keep(
    cluster: &Cluster,
    names: Settings,
    health: &Health,
) -> ((CancellationToken, JoinHandle<()>), CertificateSource) {
    let clock = cluster.clock().clone();
    let (keeper, state) = Keeper::new(cluster.client(), clock.clone(), names);
    health.require_trust(state.clone());
    health.follow_certificates(state.clone());
    let stop = CancellationToken::new();
    let kept = tokio::spawn(keeper.run(stop.clone()));
    ((stop, kept), CertificateSource::Kept { state, clock })
}

/// Tells the owners of Pods that are rejected, in the name of this replica.
fn tell_rejections(cluster: &Cluster, identity: String, health: &Health) -> Rejections {
    let metrics = health.metrics().clone();
    let (client, clock) = (cluster.client().clone(), cluster.clock().clone());
    Rejections::tell(client, clock, identity, move |fate| {
        metrics.rejection_event(fate);
    })
}

/// Says for as long as it is so that the certificate ends soon: in the log, and as an event about this Pod.
async fn warn_of_the_end(certificate: Arc<Current>, events: Option<Events>) {
    loop {
        let Some(note) = certificate.ends_soon() else {
            sleep(BETWEEN_LOOKS).await;
            continue;
        };
        warn!("{note}");
        if let Some(events) = &events {
            events
                .warn("CertificateEndsSoon", "RenewCertificate", &note)
                .await;
        }
        sleep(BETWEEN_WARNINGS).await;
    }
}

/// How to reach what is being served.
pub(in crate::cli) fn greeting(serving: &Serving) -> String {
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
