//! The engine behind the server's [`Reviewer`]: the policy set in force, and the labels of namespaces.
//! A review takes one snapshot of the set; only a namespace that the cache has not seen is waited for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Bytes;
use http::StatusCode;

use crate::cluster::namespaces::{Labels, Namespaces};
use crate::decision::Stage;
use crate::policy::PolicySet;
use crate::review::{self, Review, response};

use super::gate::{Endpoint, Outcome, Reply, Reviewer};
use super::refusal::Refusal;

/// Policies and labels; answers reviews.
pub struct Engine {
    set: ArcSwap<PolicySet>,
    namespaces: Option<Namespaces>,
}

// === impl Engine ===

impl Engine {
    /// An engine with this set in force. Without `namespaces` labels cannot be known.
    #[must_use]
    pub fn new(set: PolicySet, namespaces: Option<Namespaces>) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            namespaces,
        }
    }

    /// True if the labels of namespaces can be known.
    #[must_use]
    pub fn has_cluster(&self) -> bool {
        self.namespaces.is_some()
    }

    /// Puts another set in force, for every review that begins from now on.
    pub fn replace(&self, set: PolicySet) {
        self.set.store(Arc::new(set));
    }
}

impl Reviewer for Engine {
    async fn review(&self, endpoint: Endpoint, body: Bytes) -> Reply {
        let review = match Review::parse(&body) {
            Ok(review) => review,
            Err(refusal) => {
                let refusal = Refusal::NoReview(refusal.to_string());
                return Reply {
                    status: refusal.status(),
                    body: refusal.body(),
                    outcome: Outcome::Error,
                };
            }
        };
        let set = self.set.load_full();
        let mut labels: Option<Labels> = None;
        if let Some(namespaces) = &self.namespaces
            && set.needs_namespace_labels()
            && review.is_judged()
        {
            match namespaces.labels(review.namespace()).await {
                Ok(found) => labels = Some(found),
                Err(error) => {
                    let message = format!(
                        "podgate cannot judge this request, so it is not admitted: the labels of its namespace are \
                         unknown: {error}"
                    );
                    return response::deny(review.uid(), 500, "InternalError", &message).into();
                }
            }
        }
        let stage = match endpoint {
            Endpoint::Mutate => Stage::Mutate,
            Endpoint::Validate => Stage::Validate,
        };
        review.answer(stage, &set, labels.as_deref()).into()
    }
}

impl From<review::Answer> for Reply {
    fn from(answer: review::Answer) -> Self {
        let outcome = match answer.outcome {
            review::Outcome::Allowed => Outcome::Allowed,
            review::Outcome::Denied => Outcome::Denied,
            review::Outcome::Patched => Outcome::Patched,
            review::Outcome::Error => Outcome::Error,
        };
        Self {
            status: StatusCode::OK,
            body: answer.body,
            outcome,
        }
    }
}
