//! Where the server meets the engine: one trait, and the words both sides use.
//! The server knows nothing of reviews but their bytes; the engine knows nothing of sockets.

use std::future::Future;

use axum::body::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use crate::review::Count;

/// What the engine offers the server. The engine side implements it.
pub trait Reviewer: Send + Sync + 'static {
    /// Answers one `AdmissionReview` body; never fails: what cannot be read becomes an answer too.
    ///
    /// Ready at once as a rule; a namespace that the cache has not seen yet is fetched live. The server
    /// drops the future when the deadline of the review has passed.
    fn review(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Reply> + Send;
}

/// Which of the two webhooks was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /validate`
    Validate,
    /// `POST /mutate`
    Mutate,
}

/// The answer to one review, sent as `application/json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 for every review that could be read, whatever was decided.
    pub status: StatusCode,
    /// The `AdmissionReview` response, or what is said about a body that is none.
    pub body: Vec<u8>,
    /// What the metrics count.
    pub outcome: Outcome,
    /// What the metrics of Pod Security Admission count.
    pub counts: Vec<Count>,
}

/// How a review ended, as the label `outcome` of the metrics names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Let in as it was sent.
    Allowed,
    /// Rejected by a policy.
    Denied,
    /// Let in with injections.
    Patched,
    /// Not judged: the request or podgate was at fault.
    Error,
}

// === impl Endpoint ===

impl Endpoint {
    /// Both, in the order of their discriminants.
    pub const ALL: [Self; 2] = [Self::Validate, Self::Mutate];

    /// The path it is served at.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Validate => "/validate",
            Self::Mutate => "/mutate",
        }
    }

    /// The label `endpoint` of the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Mutate => "mutate",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Patched, Self::Error];

    /// The label `outcome` of the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Patched => "patched",
            Self::Error => "error",
        }
    }
}
