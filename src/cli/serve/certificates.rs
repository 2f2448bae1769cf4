//! The flags that say where the certificate comes from.

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::duration;
use crate::cluster::certificates::{Lifetimes, Settings};

/// kubelet writes it into every Pod that has a service account.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where the certificate comes from, and what podgate's own are called in the cluster.
#[derive(Args, Clone, Debug)]
pub struct CertificateArgs {
    /// Where the certificate comes from [default: files if --tls-cert names one, else memory]
    #[arg(long, env = "PODGATE_CERTIFICATES", value_enum)]
    pub certificates: Option<Certificates>,

    /// PEM file with the certificate and its chain; read again when it changes
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

    /// podgate's own namespace [default: that of this Pod, else podgate-system]
    #[arg(long, env = "PODGATE_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The Service that the webhook configurations name
    #[arg(
        long,
        env = "PODGATE_SERVICE",
        value_name = "NAME",
        default_value = "podgate"
    )]
    pub service: String,

    /// The two webhook configurations whose caBundle is kept
    #[arg(
        long,
        env = "PODGATE_WEBHOOK_CONFIGURATION",
        value_name = "NAME",
        default_value = "podgate"
    )]
    pub webhook_configuration: String,

    /// The Secret in which certificates are kept
    #[arg(
        long,
        env = "PODGATE_CERTIFICATE_SECRET",
        value_name = "NAME",
        default_value = "podgate-certificates"
    )]
    pub certificate_secret: String,

    /// The Lease of the replica that renews them
    #[arg(
        long,
        env = "PODGATE_LEASE",
        value_name = "NAME",
        default_value = "podgate"
    )]
    pub lease: String,

    /// This replica, for the Lease and for events [default: the host name]
    #[arg(long, env = "PODGATE_POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,

    /// The uid of this Pod, for events about it; without it none are told
    #[arg(long, env = "PODGATE_POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,

    /// How long a serving certificate is good; it is renewed when a third of that is left
    #[arg(long, env = "PODGATE_CERTIFICATE_LIFETIME", value_name = "DURATION", default_value = "2160h", value_parser = lifetime)]
    pub certificate_lifetime: Duration,

    /// How long the authority is good; it is followed by another when a third of that is left
    #[arg(long, env = "PODGATE_CA_LIFETIME", value_name = "DURATION", default_value = "8760h", value_parser = lifetime)]
    pub ca_lifetime: Duration,

    /// How long an authority is trusted before it signs, and the one before it afterwards
    #[arg(long, env = "PODGATE_CA_OVERLAP", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub ca_overlap: Duration,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Certificates {
    /// Made at every start, with an authority that nobody knows: to try podgate
    Memory,
    /// --tls-cert and --tls-key, from whoever writes these: a Secret of yours, or cert-manager's
    Files,
    /// podgate's own, kept in a Secret, renewed, and made known to the API servers through caBundle
    Cluster,
}

/// What the flags mean.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made at every start.
    Memory,
    /// From these files.
    Files {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Kept in the cluster.
    Cluster,
}

// === impl CertificateArgs ===

impl CertificateArgs {
    /// Sorts the flags; `pause` is the time between two looks at what is kept.
    pub(super) fn sort(
        self,
        pause: Duration,
    ) -> Result<(Source, Settings, Option<String>), String> {
        let Self {
            certificates,
            tls_cert,
            tls_key,
            namespace,
            service,
            webhook_configuration,
            certificate_secret,
            lease,
            pod_name,
            pod_uid,
            certificate_lifetime,
            ca_lifetime,
            ca_overlap,
        } = self;
        let source = match (certificates, tls_cert, tls_key) {
            (None | Some(Certificates::Files), Some(certificate), Some(key)) => {
                Source::Files { certificate, key }
            }
            (Some(Certificates::Files), ..) => {
                return Err("--certificates files needs --tls-cert and --tls-key".into());
            }
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(
                    "--tls-cert and --tls-key are of no use with these --certificates".into(),
                );
            }
            (Some(Certificates::Cluster), ..) => Source::Cluster,
            (None | Some(Certificates::Memory), ..) => Source::Memory,
        };
        if ca_lifetime < certificate_lifetime {
            return Err(
                "--ca-lifetime is shorter than --certificate-lifetime: no certificate outlives its authority"
                    .into(),
            );
        }
        if ca_overlap > ca_lifetime / 8 {
            return Err(
                "--ca-overlap is more than an eighth of --ca-lifetime: an authority would be followed too late"
                    .into(),
            );
        }
        let settings = Settings {
            namespace: namespace.unwrap_or_else(own_namespace),
            service,
            secret: certificate_secret,
            configuration: webhook_configuration,
            lease,
            identity: pod_name.unwrap_or_else(host_name),
            lifetimes: Lifetimes {
                authority: ca_lifetime,
                serving: certificate_lifetime,
                overlap: ca_overlap,
            },
            pause,
        };
        Ok((source, settings, pod_uid))
    }
}

fn own_namespace() -> String {
    let found = fs::read_to_string(NAMESPACE).ok();
    found
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .unwrap_or_else(|| "podgate-system".into())
}

/// In a Pod that is its name. The process number tells two on one machine apart.
fn host_name() -> String {
    let found = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = found.trim();
    let name = if name.is_empty() { "podgate" } else { name };
    format!("{name}-{}", std::process::id())
}

/// A certificate that lives for less is renewed all the time.
pub(in crate::cli) fn lifetime(text: &str) -> Result<Duration, &'static str> {
    match duration(text)? {
        it if it < Duration::from_mins(1) => Err("must be a minute or more"),
        it => Ok(it),
    }
}
