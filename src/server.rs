//! Serving: the TLS listener and what surrounds it. Knows reviews only as bytes that a [`Reviewer`] answers.
//!
//! [`serve`] is the one entry. It binds both ports, proves that the webhook answers, and ends in stages:
//! unready → keep serving → stop accepting → finish what is in flight → deadline.

mod admin;
mod body;
mod budget;
mod certificate;
mod clients;
mod config;
mod connection;
mod deadline;
pub mod directory;
mod drain;
pub mod engine;
pub(crate) mod files;
pub mod gate;
mod health;
mod listener;
mod metrics;
mod peer;
mod probe;
pub mod readiness;
mod refusal;
mod room;
mod routes;
mod shutdown;
mod turns;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{JoinError, JoinHandle},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::info;

pub use self::{
    certificate::{CertificateError, Current, Generated, install_crypto_provider},
    clients::{ClientAuthority, ClientsError},
    config::{CertificateSource, Config, Limits, Timeouts},
    deadline::parse_go_duration,
    drain::Drained,
    gate::Reviewer,
    health::Health,
    metrics::Metrics,
    routes::router,
    shutdown::Shutdown,
};
use self::{
    clients::Clients,
    drain::{Accepting, Running},
    listener::{BACKLOG, Listener, Shared},
    readiness::Condition,
    room::{Closed, Room},
    turns::Turns,
};

/// Connections to the second port: a kubelet, a few scrapers, a person.
const ADMIN_CONNECTIONS: usize = 64;

/// A server that runs. Dropping it changes nothing: it ends when its [`Shutdown`] says so.
pub struct Serving {
    address: SocketAddr,
    admin_address: SocketAddr,
    certificate: Arc<Current>,
    running: JoinHandle<Drained>,
}

/// Why serving could not begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate cannot be served.
    #[error("cannot serve with this certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Clients cannot be told apart.
    #[error("cannot tell clients apart: {0}")]
    Clients(#[from] ClientsError),
    /// An address cannot be listened at.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server's own task ended by a panic.
    #[error("the server ended by a bug of its own: {0}")]
    Ended(#[from] JoinError),
}

/// Starts everything: both ports, the certificate's watch, the proof that the listener works.
/// Returns as soon as both ports are bound; `/readyz` says when reviews may come.
///
/// # Errors
/// When the certificate cannot be used or an address is taken.
pub async fn serve<R: Reviewer>(
    config: Config,
    reviewer: Arc<R>,
    health: Health,
    shutdown: Shutdown,
) -> Result<Serving, ServeError> {
    install_crypto_provider();
    let Config {
        listen,
        admin_listen,
        certificate,
        clients,
        limits,
        timeouts,
    } = config;
    let (clients, authority) = clients.map(Clients::load).transpose()?.unzip();
    let (current, source) = Current::load_from(certificate, clients.clone())?;
    let current = Arc::new(current);
    let (socket, address) = bind(listen)?;
    let (admin_socket, admin_address) = bind(admin_listen)?;

    let metrics = health.metrics().clone();
    if let Some(certificate) = current.load() {
        metrics.certificate_served(certificate.not_after());
    }
    let probed = current.clone();
    health
        .readiness()
        .require("certificate", move || probed.condition());
    let proven = health
        .readiness()
        .switch("listener", Condition::Failed("not tried yet".into()));
    let draining = health
        .readiness()
        .switch("shutdown", Condition::Ok("not draining".into()));

    let closing = Arc::new(AtomicBool::new(false));
    let handshakes =
        Turns::for_half_of_the_processors(usize::MAX, metrics.handshakes_waiting().clone());
    let shared = |router: Router, room, certificate, metrics| {
        Arc::new(Shared {
            router,
            certificate,
            room,
            handshakes: handshakes.clone(),
            timeouts,
            metrics,
            closing: closing.clone(),
            finish: CancellationToken::new(),
            tasks: TaskTracker::new(),
            abort: shutdown.abort.clone(),
        })
    };
    let webhook = shared(
        router(reviewer, metrics.clone(), limits, timeouts),
        Room::new(
            files::connections(limits.connections),
            metrics.closed_for_room().clone(),
        ),
        Some(current.clone()),
        Some(metrics.clone()),
    );
    let admin_room = Room::new(ADMIN_CONNECTIONS, Closed::default());
    let admin = shared(admin::router(health), admin_room, None, None);
    let start = |socket, shared: Arc<Shared>| {
        let stop = CancellationToken::new();
        let (finish, tasks) = (shared.finish.clone(), shared.tasks.clone());
        let listener = Listener { socket, shared };
        let task = AbortOnDropHandle::new(tokio::spawn(listener.run(stop.clone())));
        Accepting {
            task,
            stop,
            finish,
            tasks,
        }
    };
    let mut beside = vec![AbortOnDropHandle::new(tokio::spawn(probe::prove(
        address,
        current.clone(),
        proven,
    )))];
    if let Some((clients, authority)) = clients.zip(authority) {
        let following = clients.follow(authority, timeouts.certificate_poll);
        beside.push(AbortOnDropHandle::new(tokio::spawn(following)));
    }
    if let Some(source) = source {
        let following = source.follow(current.clone(), timeouts.certificate_poll, metrics.clone());
        beside.push(AbortOnDropHandle::new(tokio::spawn(following)));
    }
    let running = Running {
        webhook: start(socket, webhook),
        admin: start(admin_socket, admin),
        beside,
        closing,
        draining,
        timeouts,
    };
    info!(%address, %admin_address, "serving");
    Ok(Serving {
        address,
        admin_address,
        certificate: current,
        running: tokio::spawn(running.until(shutdown)),
    })
}

// === impl Serving ===

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Serving {
    /// Where the webhook listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The CA to trust, in PEM, when the certificate was generated.
    #[must_use]
    pub fn ca(&self) -> Option<&str> {
        self.certificate.ca()
    }

    /// The certificate in force, from now on.
    #[must_use]
    pub fn certificate(&self) -> Arc<Current> {
        self.certificate.clone()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When the server ended by a panic of its own task.
    pub async fn wait(self) -> Result<Drained, ServeError> {
        Ok(self.running.await?)
    }
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let socket = listen(address).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

/// As tokio's own listener, but for the length of the queue.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A port that was served a moment ago can be served again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
