//! The end of a server, in stages that lose no review:
//! unready → keep serving while endpoints spread → stop accepting → finish what is in flight → deadline.
//!
//! From the first stage on every answer closes its connection, so that clients leave by themselves, between two
//! requests. What is still connected when accepting stops has not been used for the whole first stage.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::{sleep, timeout};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::{error, info, warn};

use super::{
    config::Timeouts,
    readiness::{Condition, Switch},
    shutdown::Shutdown,
};

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request that had begun was answered.
    Complete,
    /// The deadline passed with this many connections still busy.
    Deadline {
        /// Connections that were cut.
        cut: usize,
    },
    /// A second signal ended it at once.
    Aborted,
    /// The accept loop ended by itself, which is a bug.
    Failed,
}

/// An accept loop under way, and the way to end it.
pub(crate) struct Accepting {
    pub(crate) task: AbortOnDropHandle<()>,
    pub(crate) stop: CancellationToken,
    pub(crate) finish: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// Everything that runs, and what the stages need.
pub(crate) struct Running {
    pub(crate) webhook: Accepting,
    pub(crate) admin: Accepting,
    /// Ended with the server, at whatever point they are.
    pub(crate) beside: Vec<AbortOnDropHandle<()>>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) draining: Switch,
    pub(crate) timeouts: Timeouts,
}

// === impl Running ===

impl Running {
    /// Runs until told to end, and then through the stages.
    pub(crate) async fn until(mut self, shutdown: Shutdown) -> Drained {
        let drained = tokio::select! {
            () = shutdown.draining() => {
                let abort = shutdown.abort.clone();
                abort.run_until_cancelled(self.drain()).await.unwrap_or(Drained::Aborted)
            }
            _ = &mut self.webhook.task => {
                error!("the accept loop ended by itself; this is a bug in podgate");
                Drained::Failed
            }
        };
        // Whatever is still open, on either port, ends here.
        shutdown.abort();
        drop(self.beside);
        info!(?drained, "ended");
        drained
    }

    async fn drain(&mut self) -> Drained {
        let Timeouts {
            drain_delay,
            drain_deadline,
            ..
        } = self.timeouts;
        self.draining
            .set(Condition::Failed("draining, about to end".into()));
        self.closing.store(true, Ordering::Relaxed);
        sleep(drain_delay).await;
        let Accepting {
            task,
            stop,
            finish,
            tasks,
        } = &mut self.webhook;
        stop.cancel();
        if task.await.is_err() {
            return Drained::Failed;
        }
        info!(connections = tasks.len(), "not accepting any more");
        finish.cancel();
        tasks.close();
        let drained = if timeout(drain_deadline, tasks.wait()).await.is_ok() {
            Drained::Complete
        } else {
            let cut = tasks.len();
            warn!(cut, "the drain took too long, connections are cut");
            Drained::Deadline { cut }
        };
        self.admin.stop.cancel();
        drained
    }
}
