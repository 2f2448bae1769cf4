//! The labels of namespaces, as a snapshot that reviews read without waiting.
//!
//! A watch keeps the snapshot; only a namespace that it does not hold is fetched live, as a Pod may be created before
//! the watch has told of its namespace. When the watch fails, the last snapshot stays, and its age is told. A watch is
//! begun anew every [`WATCH`] seconds, so that one that is dead without saying so is not taken for a quiet one.
//! Needs `get`, `list` and `watch` on namespaces.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{clock::ApiClock, segment};

/// How long one watch lasts.
const WATCH: u32 = 25;

/// Between two tries. Short, because a replica whose labels are old is of no use once the API server is back.
const PAUSE: Duration = Duration::from_secs(2);

/// A watch that began within this time, or the one before it, tells what is.
const FRESH: Duration = Duration::from_mins(1);

/// For one live GET; the review that waits for it has a deadline of its own.
const LIVE_GET: Duration = Duration::from_secs(2);

/// The labels of one namespace. Cheap to clone.
pub type Labels = Arc<BTreeMap<String, String>>;

/// The labels of all namespaces. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Namespaces(Arc<Inner>);

/// Why the labels of a namespace are not known.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// There is no such namespace.
    #[error("there is no namespace {0:?}")]
    NotFound(String),
    /// The API server did not answer in time.
    #[error("the API server did not tell the labels of namespace {namespace:?} within {within:?}")]
    TimedOut {
        /// Which.
        namespace: String,
        /// How long was waited.
        within: Duration,
    },
    /// The API server answered with an error.
    #[error("cannot get namespace {namespace:?}: {source}")]
    Api {
        /// Which.
        namespace: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// How far the watch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// The namespaces have not been listed yet; the last error, if there was one.
    Pending(Option<String>),
    /// The snapshot holds this many namespaces and follows the cluster.
    Synced(usize),
    /// The snapshot holds this many namespaces, but may be out of date.
    Stale {
        /// How many.
        count: usize,
        /// How old it is at most, if that is known.
        age: Option<Duration>,
        /// The last error.
        error: String,
    },
}

/// The same pause before every try.
struct Steadily;

type Snapshot = HashMap<String, Labels>;

struct Inner {
    api: Api<PartialObjectMeta<Namespace>>,
    clock: ApiClock,
    snapshot: ArcSwap<Snapshot>,
    sync: ArcSwap<SyncState>,
}

// === impl Namespaces ===

impl Namespaces {
    /// An empty snapshot; [`Namespaces::follow`] fills it.
    #[must_use]
    pub fn new(client: Client, clock: ApiClock) -> Self {
        Self(Arc::new(Inner {
            api: Api::all(client),
            clock,
            snapshot: ArcSwap::default(),
            sync: ArcSwap::from_pointee(SyncState::Pending(None)),
        }))
    }

    /// The labels of a namespace: from the snapshot, or fetched if it holds none. What was fetched is not kept: the
    /// watch brings it, in the right order with later changes; and that a namespace is missing is never remembered.
    ///
    /// # Errors
    /// When it does not exist or cannot be fetched. Unknown labels are not empty labels.
    pub async fn labels(&self, namespace: &str) -> Result<Labels, LabelsError> {
        if let Some(labels) = self.known(namespace) {
            return Ok(labels);
        }
        match timeout(LIVE_GET, self.0.api.get_opt(&segment(namespace))).await {
            Ok(Ok(Some(found))) => Ok(labels_of(found).1),
            Ok(Ok(None)) => Err(LabelsError::NotFound(namespace.to_owned())),
            Ok(Err(source)) => Err(LabelsError::Api {
                namespace: namespace.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(LabelsError::TimedOut {
                namespace: namespace.to_owned(),
                within: LIVE_GET,
            }),
        }
    }

    /// The labels as the snapshot holds them. Never waits.
    #[must_use]
    pub fn known(&self, namespace: &str) -> Option<Labels> {
        self.0.snapshot.load().get(namespace).cloned()
    }

    /// How far the watch has come.
    #[must_use]
    pub fn sync(&self) -> SyncState {
        self.0.sync.load().at(self.0.clock.since_watching())
    }

    /// Keeps the snapshot, for ever.
    pub async fn follow(self) {
        let config = watcher::Config::default().timeout(WATCH);
        let events = watcher(self.0.api.clone(), config).backoff(Steadily);
        let mut events = pin!(events);
        let mut listed = Snapshot::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.apply(event, &mut listed),
                Err(error) => self.failed(&error),
            }
        }
    }

    /// A new snapshot for each change: namespaces change rarely, and are read with every review.
    fn apply(&self, event: Event<PartialObjectMeta<Namespace>>, listed: &mut Snapshot) {
        let snapshot = match event {
            Event::Init => {
                listed.clear();
                return;
            }
            Event::InitApply(namespace) => {
                listed.extend([labels_of(namespace)]);
                return;
            }
            Event::InitDone => std::mem::take(listed),
            Event::Apply(namespace) => {
                let mut snapshot = Snapshot::clone(&self.0.snapshot.load());
                snapshot.extend([labels_of(namespace)]);
                snapshot
            }
            Event::Delete(namespace) => {
                let mut snapshot = Snapshot::clone(&self.0.snapshot.load());
                snapshot.remove(&namespace.name_any());
                snapshot
            }
        };
        let count = snapshot.len();
        self.0.snapshot.store(Arc::new(snapshot));
        if !matches!(**self.0.sync.load(), SyncState::Synced(_)) {
            info!(count, "namespaces synced");
        }
        self.0.sync.store(Arc::new(SyncState::Synced(count)));
    }

    fn failed(&self, error: &watcher::Error) {
        warn!(%error, "the watch of namespaces failed, trying again");
        let error = error.to_string();
        let sync = match self.sync() {
            SyncState::Pending(_) => SyncState::Pending(Some(error)),
            SyncState::Synced(count) | SyncState::Stale { count, .. } => SyncState::Stale {
                count,
                age: None,
                error,
            },
        };
        self.0.sync.store(Arc::new(sync));
    }
}

// === impl SyncState ===

impl SyncState {
    /// What was noted by the events, in the light of how long ago a watch last began, if that is known.
    fn at(&self, age: Option<Duration>) -> Self {
        let is_fresh = age.map(|age| age < FRESH);
        match (self, is_fresh) {
            // Nothing may have changed since an error, so that no event has come.
            (Self::Stale { count, .. }, Some(true)) => Self::Synced(*count),
            (Self::Synced(count), Some(false)) => Self::Stale {
                count: *count,
                age,
                error: "no watch can be begun".into(),
            },
            (Self::Stale { count, error, .. }, _) => Self::Stale {
                count: *count,
                age,
                error: error.clone(),
            },
            (noted, _) => noted.clone(),
        }
    }
}

// === impl Steadily ===

impl Iterator for Steadily {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(PAUSE)
    }
}

impl Backoff for Steadily {
    fn reset(&mut self) {}
}

/// Name and labels; all else of the object, managed fields and annotations included, is let go here.
fn labels_of(namespace: PartialObjectMeta<Namespace>) -> (String, Labels) {
    (
        namespace.metadata.name.unwrap_or_default(),
        Arc::new(namespace.metadata.labels.unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, StatusCode};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::time::sleep;

    use super::*;

    /// An API server that lists `old`, then tells of `new` and of the end of `old`, and also knows `live`.
    fn api_server() -> Client {
        let service = tower::service_fn(async |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default();
            let (status, body) = match request.uri().path() {
                "/api/v1/namespaces" if query.contains("watch=true") => {
                    let added = json!({"type": "ADDED", "object": namespace("new", "2")});
                    let deleted = json!({"type": "DELETED", "object": namespace("old", "3")});
                    (StatusCode::OK, format!("{added}\n{deleted}\n"))
                }
                "/api/v1/namespaces" => (StatusCode::OK, list(&[namespace("old", "1")])),
                "/api/v1/namespaces/live" => (StatusCode::OK, namespace("live", "4").to_string()),
                "/api/v1/namespaces/silent" => std::future::pending().await,
                _ => (StatusCode::NOT_FOUND, failure(404, "NotFound")),
            };
            Ok::<_, Infallible>(response(status, body))
        });
        Client::new(service, "default")
    }

    fn response(status: StatusCode, body: String) -> Response<Body> {
        let response = Response::builder()
            .status(status)
            .body(Body::from(body.into_bytes()));
        response.expect("it is a response")
    }

    fn namespace(name: &str, version: &str) -> Value {
        let metadata = json!({"name": name, "resourceVersion": version, "labels": {"is": name}});
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
    }

    fn list(items: &[Value]) -> String {
        let metadata = json!({"resourceVersion": "1"});
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items})
            .to_string()
    }

    fn failure(code: u16, reason: &str) -> String {
        json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code})
            .to_string()
    }

    async fn eventually(holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), waiting)
            .await
            .expect("it comes true");
    }

    #[test]
    fn a_watch_that_has_not_begun_for_long_is_no_quiet_one() {
        let stale = |age| SyncState::Stale {
            count: 3,
            age,
            error: "gone".into(),
        };
        let quiet = |age| SyncState::Stale {
            count: 3,
            age,
            error: "no watch can be begun".into(),
        };
        let [young, old] = [59, 61].map(|seconds| Some(Duration::from_secs(seconds)));
        for (noted, age, expected) in [
            (SyncState::Synced(3), young, SyncState::Synced(3)),
            (SyncState::Synced(3), old, quiet(old)),
            (SyncState::Synced(3), None, SyncState::Synced(3)),
            // It began again, and had nothing to tell.
            (stale(None), young, SyncState::Synced(3)),
            (stale(None), old, stale(old)),
            (stale(None), None, stale(None)),
            (SyncState::Pending(None), old, SyncState::Pending(None)),
        ] {
            assert_eq!(noted.at(age), expected, "{noted:?} {age:?}");
        }
    }

    #[tokio::test]
    async fn the_snapshot_follows_the_cluster() {
        let namespaces = Namespaces::new(api_server(), ApiClock::default());
        assert_eq!(namespaces.sync(), SyncState::Pending(None));
        let following = tokio::spawn(namespaces.clone().follow());
        eventually(|| namespaces.known("new").is_some() && namespaces.known("old").is_none()).await;
        let labels = namespaces.labels("new").await.expect("it is known");
        assert_eq!(
            *labels,
            BTreeMap::from([("is".to_owned(), "new".to_owned())])
        );
        assert!(!matches!(namespaces.sync(), SyncState::Pending(_)));
        following.abort();
    }

    #[tokio::test]
    async fn what_the_snapshot_lacks_is_fetched_and_what_is_missing_is_no_empty_set_of_labels() {
        let namespaces = Namespaces::new(api_server(), ApiClock::default());
        let labels = namespaces.labels("live").await.expect("it is fetched");
        assert_eq!(labels.get("is").map(String::as_str), Some("live"));
        assert!(
            namespaces.known("live").is_none(),
            "the watch alone fills the snapshot"
        );
        let error = namespaces.labels("none").await.expect_err("there is none");
        assert_eq!(error.to_string(), "there is no namespace \"none\"");
    }

    #[tokio::test]
    async fn a_refused_list_is_told_and_not_ready() {
        let refused = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(response(StatusCode::FORBIDDEN, failure(403, "Forbidden")))
        });
        let namespaces = Namespaces::new(Client::new(refused, "default"), ApiClock::default());
        let following = tokio::spawn(namespaces.clone().follow());
        eventually(|| matches!(namespaces.sync(), SyncState::Pending(Some(_)))).await;
        let error = namespaces.labels("any").await.expect_err("it is refused");
        assert!(
            error
                .to_string()
                .starts_with("cannot get namespace \"any\": "),
            "{error}"
        );
        following.abort();
    }
}
