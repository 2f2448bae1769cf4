//! What stands in the place of the engine where the test is about the server.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use http::StatusCode;
use podgate::server::{
    Reviewer,
    gate::{Endpoint, Outcome, Reply},
};
use tokio::{sync::Semaphore, time::Instant};

/// Does what the body tells it: `panic`, `hold` (until released), `deny`; anything else is allowed.
#[derive(Default)]
pub(crate) struct Stub {
    pub(crate) entered: AtomicUsize,
    pub(crate) answered: AtomicUsize,
    release: Option<Semaphore>,
}

// === impl Stub ===

impl Reviewer for Stub {
    async fn review(&self, endpoint: Endpoint, body: Bytes, _: Instant) -> Reply {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let outcome = match &body[..] {
            b"panic" => unreachable!("the stub was told to panic"),
            b"hold" => {
                let release = self
                    .release
                    .as_ref()
                    .expect("a stub that holds can be released");
                release
                    .acquire()
                    .await
                    .expect("it is never closed")
                    .forget();
                Outcome::Allowed
            }
            b"deny" => Outcome::Denied,
            _ => Outcome::Allowed,
        };
        self.answered.fetch_add(1, Ordering::SeqCst);
        Reply {
            status: StatusCode::OK,
            body: format!("{} {}", endpoint.label(), body.len()).into(),
            outcome,
            counts: Vec::new(),
        }
    }
}

impl Stub {
    /// One that can be told to hold.
    pub(crate) fn that_holds() -> Self {
        Self {
            release: Some(Semaphore::new(0)),
            ..Self::default()
        }
    }

    pub(crate) fn entered(&self) -> usize {
        self.entered.load(Ordering::SeqCst)
    }

    /// Lets this many held reviews go.
    pub(crate) fn release(&self, reviews: usize) {
        self.release
            .as_ref()
            .expect("it can be released")
            .add_permits(reviews);
    }
}
