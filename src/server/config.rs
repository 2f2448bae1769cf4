//! Everything about serving that can be set. The defaults are the ones DESIGN calls for; tests shorten the times.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::sync::watch;

use super::clients::ClientAuthority;
use crate::cluster::{certificates::State, clock::ApiClock};

/// How to serve. Passive data: nothing is opened or read until [`serve`](super::serve).
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the webhook listens, with TLS. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where health and metrics are served, in plain HTTP. Port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// The certificate that the webhook presents.
    pub certificate: CertificateSource,
    /// Which clients are let in; none means all.
    pub clients: Option<ClientAuthority>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Made at start, signed by a CA made for it, both kept in memory only.
    Generated {
        /// DNS names and IP addresses that it is good for.
        names: Vec<String>,
    },
    /// PEM files, read again whenever their content changes.
    Files {
        /// The certificate, followed by the intermediates of its chain if there are any.
        certificate: PathBuf,
        /// Its private key: PKCS #8, PKCS #1 or SEC 1.
        key: PathBuf,
    },
    /// Kept in the cluster by a [`Keeper`](crate::cluster::certificates::Keeper), and served as soon as it is known.
    Kept {
        /// What the keeper knows.
        state: watch::Receiver<State>,
        /// What time it is for those who are served.
        clock: ApiClock,
    },
}

/// Sizes and counts that bound what clients can take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue until one closes.
    pub connections: usize,
    /// Reviews between the end of their body and their answer; what finds no place in time gets 503.
    pub in_flight: usize,
    /// Bytes of a body. 7 MiB is what controller-runtime reads: an UPDATE carries two objects of up to 1.5 MB in
    /// etcd's encoding, more as JSON.
    pub body: usize,
}

/// Times that bound how long clients can take, and the steps of starting and stopping.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// From the head to the end of the body.
    pub body: Duration,
    /// From the head of a request until the client has taken the whole answer.
    pub exchange: Duration,
    /// A connection without a request. Must be more than the 90 s after which the API server drops idle connections
    /// itself: Go does not send a POST again when it meets a connection that was closed by the server at that moment.
    pub idle: Duration,
    /// How long a review waits for a place among those in flight.
    pub queue: Duration,
    /// Between looks at the certificate files.
    pub certificate_poll: Duration,
    /// From "not ready" to the end of accepting: the time that endpoints need to spread through the cluster.
    pub drain_delay: Duration,
    /// For the requests in flight when accepting has ended.
    pub drain_deadline: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8444)),
            certificate: CertificateSource::default(),
            clients: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

// === impl CertificateSource ===

impl Default for CertificateSource {
    fn default() -> Self {
        let names = [
            "localhost",
            "127.0.0.1",
            "::1",
            "podgate.podgate-system.svc",
        ];
        Self::Generated {
            names: names.map(String::from).into(),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            in_flight: 256,
            body: 7 * 1024 * 1024,
        }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            exchange: Duration::from_mins(1),
            idle: Duration::from_mins(3),
            queue: Duration::from_secs(2),
            certificate_poll: Duration::from_secs(5),
            drain_delay: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(20),
        }
    }
}
