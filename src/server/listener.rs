//! The accept loop: each connection gets its place in the [`Room`], and is then served on its own task.
//! One connection at most is in hand without a place; further ones wait in the kernel's queue and cost podgate nothing.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    certificate::Current,
    config::Timeouts,
    connection::{End, Pace, drive, handshake},
    metrics::Metrics,
    peer::Peer,
    room::{Room, Stay},
    turns::Turns,
};

/// After an `accept` that failed for want of file descriptors or memory, a connection is closed to make room; should
/// that take longer than this, the next try comes all the same.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two words in the log about that.
const WARN_AGAIN: Duration = Duration::from_secs(10);

/// What the kernel may hold for us; it allows `net.core.somaxconn`, which is 4096, at most. Beyond it a newcomer's first
/// packet is lost and comes again after a second.
pub(crate) const BACKLOG: u32 = 4096;

/// One listening socket and what its connections need. Cheap to clone, but for the socket.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) shared: Arc<Shared>,
}

/// What every connection of a listener needs.
pub(crate) struct Shared {
    pub(crate) router: Router,
    /// None: plain HTTP.
    pub(crate) certificate: Option<Arc<Current>>,
    pub(crate) room: Arc<Room>,
    pub(crate) handshakes: Arc<Turns>,
    pub(crate) timeouts: Timeouts,
    /// None: connections are not counted.
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// Every answer is to be the last one on its connection.
    pub(crate) closing: Arc<AtomicBool>,
    /// Ends every connection as soon as no request is lost by it.
    pub(crate) finish: CancellationToken,
    /// Ends every connection at once.
    pub(crate) abort: CancellationToken,
    /// The connections.
    pub(crate) tasks: TaskTracker,
}

// === impl Listener ===

impl Listener {
    /// Accepts until told to stop; what the kernel had accepted by then is still taken.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { socket, shared } = self;
        let mut warned: Option<Instant> = None;
        while let Some(accepted) = stop.run_until_cancelled(socket.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    let (pace, peer) = shared.newcomer(from);
                    let entering = stop.run_until_cancelled(shared.room.enter(peer, &pace));
                    // The one that is in hand when accepting ends is not sent away.
                    let stay = entering
                        .await
                        .unwrap_or_else(|| shared.room.squeeze_in(peer, &pace));
                    shared.start(stream, pace, stay);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if warned.is_none_or(|warned| warned.elapsed() > WARN_AGAIN) {
                        warn!(%error, "cannot accept connections; others are closed to make room");
                        warned = Some(Instant::now());
                    }
                    shared.room.make(ACCEPT_PAUSE).await;
                }
            }
        }
        for _ in 0..BACKLOG {
            match socket.accept().now_or_never() {
                Some(Ok((stream, from))) => {
                    let (pace, peer) = shared.newcomer(from);
                    let Some(stay) = shared.room.try_enter(peer, &pace) else {
                        break;
                    };
                    shared.start(stream, pace, stay);
                }
                Some(Err(error)) if concerns_one_connection(&error) => {}
                _ => break,
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    fn newcomer(&self, from: SocketAddr) -> (Arc<Pace>, Peer) {
        (Arc::new(Pace::new(self.timeouts)), from.ip().into())
    }

    fn start(self: &Arc<Self>, stream: TcpStream, pace: Arc<Pace>, stay: Arc<Stay>) {
        drop(self.tasks.spawn(self.clone().serve(stream, pace, stay)));
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, pace: Arc<Pace>, stay: Arc<Stay>) {
        let _counted = self.metrics.as_ref().map(|metrics| metrics.connection());
        // Answers are written whole; waiting to fill a segment would only delay them.
        let _ = stream.set_nodelay(true);
        let (router, closing, finish) = (
            self.router.clone(),
            self.closing.clone(),
            self.finish.clone(),
        );
        let serving = async {
            match &self.certificate {
                None => Some(drive(stream, router, pace, stay.clone(), closing, finish).await),
                Some(certificate) => {
                    let stream = self.handshake(certificate, stream, stay.peer()).await?;
                    Some(drive(stream, router, pace, stay.clone(), closing, finish).await)
                }
            }
        };
        let staying = async {
            tokio::select! {
                end = serving => end,
                () = stay.told_to_go() => {
                    debug!("connection closed to make room for another");
                    None
                }
            }
        };
        match self.abort.run_until_cancelled(staying).await.flatten() {
            Some(End::Cut(phase)) => debug!(?phase, "connection cut at its deadline"),
            Some(End::Broken(error)) => debug!(%error, "connection broke"),
            Some(End::Closed) | None => {}
        }
    }

    async fn handshake(
        &self,
        certificate: &Current,
        stream: TcpStream,
        peer: Peer,
    ) -> Option<TlsStream<TcpStream>> {
        // Nobody is sent here before there is one.
        let acceptor = TlsAcceptor::from(certificate.load()?.tls());
        let shaking = handshake(acceptor, stream, &self.handshakes, peer);
        let failed = match timeout(self.timeouts.handshake, shaking).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::from(io::ErrorKind::TimedOut),
        };
        // Every probe of a port scanner ends here, so it is counted and only told on request.
        debug!(error = %failed, "TLS handshake failed");
        if let Some(metrics) = &self.metrics {
            metrics.handshake_failed();
        }
        None
    }
}

/// The peer went away before it was accepted: nothing that the next `accept` could meet.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
