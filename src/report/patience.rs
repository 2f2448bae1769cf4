//! How long the API server is waited for: what passes by itself is tried again, a few times, with growing pauses.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cluster::list::{ListError, Page, Pages, retry_after};

/// How often something is asked for before it is given up.
const ATTEMPTS: u32 = 6;
/// The first pause before asking again; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest that an API server may make us wait for one answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is left of the patience with one request.
pub(super) struct Patience {
    attempt: u32,
    pause: Duration,
}

/// Why a request was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Write(#[from] Box<kube::Error>),
    #[error("interrupted")]
    Stopped,
}

// === impl Patience ===

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: 1,
            pause: PAUSE,
        }
    }
}

impl Patience {
    /// Waits until it can be tried again, or gives the error back.
    pub(super) async fn wait(
        &mut self,
        error: Broken,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let wait = match &error {
            Broken::List(error) => error.retry_after(self.pause),
            Broken::Write(error) => retry_after(error, self.pause),
            Broken::Stopped => None,
        };
        let Some(wait) = wait.filter(|_| self.attempt < ATTEMPTS) else {
            return Err(error);
        };
        tokio::select! {
            () = sleep(wait.min(LONGEST_PAUSE)) => {}
            () = stop.cancelled() => return Err(Broken::Stopped),
        }
        self.attempt += 1;
        self.pause *= 2;
        Ok(())
    }
}

// === impl Broken ===

impl Broken {
    /// True if nobody answered.
    pub(super) fn is_unreachable(&self) -> bool {
        match self {
            Self::List(ListError::Api(error)) | Self::Write(error) => {
                matches!(
                    &**error,
                    kube::Error::HyperError(_) | kube::Error::Service(_)
                )
            }
            _ => false,
        }
    }

    /// The status with which the API server refused, if it did.
    pub(super) fn code(&self) -> Option<u16> {
        let (Self::List(ListError::Api(error)) | Self::Write(error)) = self else {
            return None;
        };
        match &**error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }
}

/// The next page of a list. What passes by itself is waited for: an API server that restarts, or has too much to do.
pub(super) async fn next(
    pages: &mut Pages,
    stop: &CancellationToken,
) -> Result<Option<Page>, Broken> {
    if pages.is_done() {
        return Ok(None);
    }
    let mut patience = Patience::default();
    loop {
        let page = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Broken::Stopped),
            page = pages.next() => page,
        };
        match page {
            Ok(page) => return Ok(page),
            Err(error) => patience.wait(Broken::List(error), stop).await?,
        }
    }
}
