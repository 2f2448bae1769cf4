//! The engine behind the server's [`Reviewer`]: the policy set in force, and what is known of the cluster.
//! A review takes one snapshot of the set. Only a namespace that the cache has not seen is waited for, and the Pods of
//! one that begins to enforce more.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Bytes;
use http::StatusCode;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::cluster::Cluster;
use crate::cluster::rejections::{Rejection, Rejections};
use crate::decision::Stage;
use crate::output::pod_security::UNLISTED;
use crate::policy::PolicySet;
use crate::review::{self, Existing, Labels, Rejected, Review, response};

use super::gate::{Endpoint, Outcome, Reply, Reviewer};
use super::refusal::Refusal;

/// For looking at the Pods that a namespace has already; upstream's limit.
const EXISTING: Duration = Duration::from_secs(1);

/// Pods that are judged before others get their turn: about a millisecond.
const BATCH: usize = 16;

/// Policies and the cluster; answers reviews.
pub struct Engine {
    set: ArcSwap<PolicySet>,
    cluster: Option<Cluster>,
    rejections: Option<Rejections>,
}

// === impl Engine ===

impl Engine {
    /// An engine with this set in force. Without `cluster` labels cannot be known.
    #[must_use]
    pub fn new(set: PolicySet, cluster: Option<Cluster>) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            cluster,
            rejections: None,
        }
    }

    /// Has the owners of rejected Pods told.
    #[must_use]
    pub fn telling(mut self, rejections: Option<Rejections>) -> Self {
        self.rejections = rejections;
        self
    }

    /// True if the labels of namespaces can be known.
    #[must_use]
    pub fn has_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// Leaves a note for the owner of a Pod that was rejected just now.
    fn tell_owner(&self, review: &Review<'_>, body: &[u8], answer: &review::Answer) {
        let Some(rejections) = &self.rejections else {
            return;
        };
        if review.rejects_new_pod(answer) {
            rejections.leave(|| Rejected::read(body, &answer.body).map(Rejection::from));
        }
    }

    /// Puts another set in force, for every review that begins from now on.
    pub fn replace(&self, set: PolicySet) {
        self.set.store(Arc::new(set));
    }
}

impl Reviewer for Engine {
    async fn review(&self, endpoint: Endpoint, body: Bytes, deadline: Instant) -> Reply {
        let review = match Review::parse(&body) {
            Ok(review) => review,
            Err(refusal) => {
                let refusal = Refusal::NoReview(refusal.to_string());
                return Reply {
                    status: refusal.status(),
                    body: refusal.body(),
                    outcome: Outcome::Error,
                    counts: Vec::new(),
                };
            }
        };
        let set = self.set.load_full();
        let stage = match endpoint {
            Endpoint::Mutate => Stage::Mutate,
            Endpoint::Validate => Stage::Validate,
        };
        let answer = |labels: Labels<'_>| {
            let answer = review.answer(stage, &set, labels);
            if stage == Stage::Validate {
                self.tell_owner(&review, &body, &answer);
            }
            Reply::from(answer)
        };
        let Some(cluster) = &self.cluster else {
            return answer(Labels::Unknown);
        };
        if let Some(existing) = review.existing(&set) {
            let now = Instant::now();
            let until = now + EXISTING.min(deadline.saturating_duration_since(now) / 2);
            let warnings = look_at_existing(cluster, existing, until).await;
            return review.answer_existing(warnings).into();
        }
        if !review.needs_labels(stage, &set) {
            return answer(Labels::Unknown);
        }
        match cluster.namespaces.labels(review.namespace()).await {
            Ok(labels) => answer(Labels::Known(&labels)),
            Err(error) if set.selects_by_labels() => {
                let message = format!(
                    "podgate cannot judge this request, so it is not admitted: the labels of its namespace are \
                     unknown: {error}"
                );
                response::deny(review.uid(), 500, "InternalError", &message).into()
            }
            Err(error) => answer(Labels::Failed(&error.to_string())),
        }
    }
}

/// What is told of the Pods that a namespace has already: of as many as can be looked at until then.
async fn look_at_existing(
    cluster: &Cluster,
    mut existing: Existing<'_>,
    until: Instant,
) -> Vec<String> {
    let mut pages = cluster.pods(existing.namespace());
    let mut unlisted: Option<usize> = None;
    let mut unread = 0;
    loop {
        let page = match timeout_at(until, pages.next()).await {
            Ok(Ok(Some(page))) => page,
            Ok(Ok(None)) => {
                unlisted = Some(0);
                break;
            }
            Ok(Err(error)) => {
                warn!(namespace = existing.namespace(), %error, "cannot list the Pods of a namespace that enforces more");
                break;
            }
            Err(_) => break,
        };
        let total = page.items().len();
        for (at, pod) in page.items().enumerate() {
            if at % BATCH == 0 {
                tokio::task::yield_now().await;
                if Instant::now() >= until {
                    unread += total - at;
                    break;
                }
            }
            // What cannot be read has not been looked at.
            unread += usize::from(existing.add(pod).is_err());
        }
        unlisted = page
            .remaining
            .map_or(Some(0), |it| usize::try_from(it).ok());
        if Instant::now() >= until {
            break;
        }
    }
    match unlisted {
        Some(unlisted) => existing.warnings(unlisted + unread),
        None => vec![UNLISTED.to_owned()],
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
            counts: answer.counts,
        }
    }
}

impl From<Rejected<'_>> for Rejection {
    fn from(it: Rejected<'_>) -> Self {
        let owner = ObjectReference {
            api_version: Some(it.owner.api_version.to_string()),
            kind: Some(it.owner.kind.to_string()),
            name: Some(it.owner.name.to_string()),
            uid: Some(it.owner.uid.to_string()),
            namespace: Some(it.namespace.to_string()),
            ..ObjectReference::default()
        };
        Self {
            owner,
            note: it.note,
            findings: it.findings,
        }
    }
}
