//! The two signals that end a server: the first one drains, the second one aborts.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Tells a server to end. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    pub(crate) drain: CancellationToken,
    pub(crate) abort: CancellationToken,
}

// === impl Shutdown ===

impl Shutdown {
    /// One that SIGTERM and SIGINT set off: once to drain, twice to abort.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let signalled = shutdown.clone();
        tokio::spawn(async move {
            let mut next = async || tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
            let name = next().await;
            // First what matters: a log that nobody reads any more must not keep it from happening.
            signalled.drain();
            info!(signal = name, "draining; a second signal ends at once");
            let name = next().await;
            signalled.abort();
            warn!(signal = name, "ending at once");
        });
        Ok(shutdown)
    }

    /// Begins the drain: unready, keep serving, stop accepting, finish.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends at once; what is in flight is lost.
    pub fn abort(&self) {
        self.drain.cancel();
        self.abort.cancel();
    }

    /// Resolves when a drain has begun.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }
}
