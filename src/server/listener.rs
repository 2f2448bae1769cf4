//! The accept loop: a permit before `accept`, then each connection on its own task.
//! With all permits taken, new connections wait in the kernel's queue and cost podgate nothing.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    certificate::Current,
    config::Timeouts,
    connection::{End, drive},
    metrics::Metrics,
};

/// After an `accept` that failed for want of file descriptors or memory: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    pub(crate) permits: Arc<Semaphore>,
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
        let start = |stream, permit| shared.tasks.spawn(shared.clone().serve(stream, permit));
        let accepting = async {
            loop {
                // The semaphore is never closed.
                let Ok(permit) = shared.permits.clone().acquire_owned().await else {
                    return;
                };
                match socket.accept().await {
                    Ok((stream, _)) => drop(start(stream, permit)),
                    Err(error) if concerns_one_connection(&error) => {}
                    Err(error) => {
                        warn!(%error, "cannot accept connections");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accepting).await;
        while let Ok(permit) = shared.permits.clone().try_acquire_owned() {
            match socket.accept().now_or_never() {
                Some(Ok((stream, _))) => drop(start(stream, permit)),
                Some(Err(error)) if concerns_one_connection(&error) => {}
                _ => break,
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
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
                None => Some(drive(stream, router, self.timeouts, closing, finish).await),
                Some(certificate) => {
                    let stream = self.handshake(certificate, stream).await?;
                    Some(drive(stream, router, self.timeouts, closing, finish).await)
                }
            }
        };
        match self.abort.run_until_cancelled(serving).await.flatten() {
            Some(End::Cut(phase)) => debug!(?phase, "connection cut at its deadline"),
            Some(End::Broken(error)) => debug!(%error, "connection broke"),
            Some(End::Closed) | None => {}
        }
    }

    async fn handshake(
        &self,
        certificate: &Current,
        stream: TcpStream,
    ) -> Option<TlsStream<TcpStream>> {
        // Nobody is sent here before there is one.
        let acceptor = TlsAcceptor::from(certificate.load()?.tls());
        let failed = match timeout(self.timeouts.handshake, acceptor.accept(stream)).await {
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
