//! Events on the workloads whose Pods are rejected, where their owner looks for them: `kubectl describe`.
//!
//! A review leaves a note in a queue and goes on; a task of its own finds the topmost owner and tells it. A controller
//! tries again and again, and whoever may create Pods may name any owner, so little is told: once in a while per owner
//! and findings, and a bounded number a minute, for the cluster and for each namespace. What is not told is counted.
//! Needs `create` on Events of events.k8s.io, and `get` on `ReplicaSets` and Jobs.

mod pace;

use std::sync::Arc;

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, batch::v1::Job, core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};
use tracing::{debug, warn};

use self::pace::{Key, Pace, Verdict};
use super::{clock::ApiClock, with_causes};

/// Rejections that wait to be told; each holds a line of text and some names.
const QUEUE: usize = 256;

/// A Pod's `ReplicaSet`'s Deployment is at the second step, and nobody needs many more.
const MAX_DEPTH: usize = 4;

/// A Pod that was rejected, and whose it is.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The Pod's controller, with its namespace and uid.
    pub owner: ObjectReference,
    /// What is told; at most 1024 bytes.
    pub note: String,
    /// The same for the same findings.
    pub findings: u64,
}

/// What became of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// There is an Event.
    Told,
    /// There was one a short while ago.
    Repeated,
    /// There were too many others.
    Capped,
    /// The queue was full.
    Dropped,
    /// The API server did not take it.
    Failed,
}

/// Hears of every rejection what became of it.
type Count = Arc<dyn Fn(Fate) + Send + Sync>;

/// Where rejections are left. Cheap to clone.
#[derive(Clone)]
pub struct Rejections {
    queue: Sender<Rejection>,
    count: Count,
}

/// Who tells them.
struct Teller {
    client: Client,
    clock: ApiClock,
    /// This replica.
    identity: String,
    pace: Pace,
    /// The reason why the last one failed has been logged.
    has_warned: bool,
}

// === impl Fate ===

impl Fate {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 5] = [
        Self::Told,
        Self::Repeated,
        Self::Capped,
        Self::Dropped,
        Self::Failed,
    ];

    /// As metrics name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Repeated => "repeated",
            Self::Capped => "capped",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

// === impl Rejections ===

impl Rejections {
    /// Begins to tell what is left here, in the name of this replica, until all clones are gone.
    #[must_use]
    pub fn tell(
        client: Client,
        clock: ApiClock,
        identity: String,
        count: impl Fn(Fate) + Send + Sync + 'static,
    ) -> Self {
        let (queue, rejections) = channel(QUEUE);
        let count: Count = Arc::new(count);
        let teller = Teller {
            client,
            clock,
            identity,
            pace: Pace::default(),
            has_warned: false,
        };
        tokio::spawn(teller.run(rejections, count.clone()));
        Self { queue, count }
    }

    /// Leaves a rejection, if there is room for one and it is one. Never waits.
    pub fn leave(&self, rejection: impl FnOnce() -> Option<Rejection>) {
        match self.queue.try_reserve() {
            Ok(room) => {
                if let Some(rejection) = rejection() {
                    room.send(rejection);
                }
            }
            Err(_) => (self.count)(Fate::Dropped),
        }
    }
}

// === impl Teller ===

impl Teller {
    async fn run(mut self, mut rejections: Receiver<Rejection>, count: Count) {
        while let Some(rejection) = rejections.recv().await {
            count(self.tell(rejection).await);
        }
    }

    async fn tell(&mut self, rejection: Rejection) -> Fate {
        let Rejection {
            owner,
            note,
            findings,
        } = rejection;
        let namespace = owner.namespace.clone().unwrap_or_default();
        let direct = Key::new(&owner, findings);
        match self.pace.ask(Instant::now(), direct.clone(), &namespace) {
            Verdict::Go => {}
            Verdict::Repeated => return Fate::Repeated,
            Verdict::Capped => return Fate::Capped,
        }
        let top = match self.topmost(owner).await {
            Ok(top) => top,
            Err(error) => return self.failed(&direct, &error),
        };
        let key = Key::new(&top, findings);
        if key != direct && !self.pace.is_new(Instant::now(), key) {
            return Fate::Repeated;
        }
        let event = self.event(top, note);
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        match events.create(&PostParams::default(), &event).await {
            Ok(_) => {
                self.has_warned = false;
                Fate::Told
            }
            Err(error) => self.failed(&direct, &error),
        }
    }

    /// Said once, until it has worked again: every rejection would say the same. Whom the API server answered is not asked
    /// to be told again at once.
    fn failed(&mut self, key: &Key, error: &kube::Error) -> Fate {
        let error = if let kube::Error::Api(status) = error {
            status.message.clone()
        } else {
            self.pace.forget(key);
            with_causes(error)
        };
        if self.has_warned {
            debug!(error, owner = %key, "a workload cannot be told that its Pod was rejected");
        } else {
            warn!(
                error,
                "workloads cannot be told that their Pods are rejected; this is said once"
            );
            self.has_warned = true;
        }
        Fate::Failed
    }

    /// The Deployment above the `ReplicaSet`, the `CronJob` above the Job, and what is above those, as far as podgate may
    /// look. An owner that is gone, or is another one of the same name by now, is the last.
    async fn topmost(&self, owner: ObjectReference) -> kube::Result<ObjectReference> {
        let mut top = owner;
        for _ in 0..MAX_DEPTH {
            let Some(metadata) = self.metadata(&top).await? else {
                break;
            };
            let is_it = metadata.uid == top.uid;
            let above = metadata
                .owner_references
                .into_iter()
                .flatten()
                .find(|it| it.controller == Some(true));
            let Some(above) = above.filter(|_| is_it) else {
                break;
            };
            top = ObjectReference {
                api_version: Some(above.api_version),
                kind: Some(above.kind),
                name: Some(above.name),
                uid: Some(above.uid),
                namespace: top.namespace,
                ..ObjectReference::default()
            };
        }
        Ok(top)
    }

    /// Of a kind that has owners as a rule, if it is there and podgate may look.
    async fn metadata(&self, of: &ObjectReference) -> kube::Result<Option<ObjectMeta>> {
        let namespace = of.namespace.as_deref().unwrap_or_default();
        let name = of.name.as_deref().unwrap_or_default();
        let client = self.client.clone();
        let kind = (
            of.api_version.as_deref().unwrap_or_default(),
            of.kind.as_deref().unwrap_or_default(),
        );
        let found = match kind {
            ("apps/v1", "ReplicaSet") => {
                let api = Api::<ReplicaSet>::namespaced(client, namespace);
                api.get_metadata(name).await.map(|it| it.metadata)
            }
            ("batch/v1", "Job") => {
                let api = Api::<Job>::namespaced(client, namespace);
                api.get_metadata(name).await.map(|it| it.metadata)
            }
            _ => return Ok(None),
        };
        match found {
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(None),
            found => found.map(Some),
        }
    }

    fn event(&self, regarding: ObjectReference, note: String) -> Event {
        Event {
            metadata: ObjectMeta {
                namespace: regarding.namespace.clone(),
                generate_name: regarding.name.as_ref().map(|it| format!("{it}-")),
                ..ObjectMeta::default()
            },
            action: Some("CreatePod".into()),
            reason: Some("PodRejected".into()),
            type_: Some("Warning".into()),
            event_time: Some(MicroTime(self.clock.now())),
            reporting_controller: Some("podgate".into()),
            reporting_instance: Some(self.identity.clone()),
            regarding: Some(regarding),
            note: Some(note),
            ..Event::default()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// Method and path of what an API server was asked that forbids what begins like this, and knows nobody.
    type Asked = Arc<Mutex<Vec<String>>>;

    fn teller(forbidden: &'static str) -> (Teller, Asked) {
        let asked = Asked::default();
        let heard = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let line = format!("{} {}", request.method(), request.uri().path());
            let (code, body) = if line.starts_with(forbidden) {
                (
                    403,
                    json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"}),
                )
            } else if line.starts_with("GET") {
                (
                    404,
                    json!({"kind": "Status", "status": "Failure", "code": 404, "message": "no"}),
                )
            } else {
                (201, json!({"metadata": {}}))
            };
            heard.lock().unwrap().push(line);
            let answer = Response::builder().status(code);
            let answer = answer.body(Body::from(body.to_string().into_bytes()));
            async { Ok::<_, Infallible>(answer.unwrap()) }
        });
        let teller = Teller {
            client: Client::new(service, "default"),
            clock: ApiClock::default(),
            identity: "podgate-1".into(),
            pace: Pace::default(),
            has_warned: false,
        };
        (teller, asked)
    }

    fn rejection(findings: u64) -> Rejection {
        let text = |text: &str| Some(text.to_owned());
        Rejection {
            owner: ObjectReference {
                api_version: text("apps/v1"),
                kind: text("ReplicaSet"),
                name: text("web-1"),
                uid: text("1"),
                namespace: text("shop"),
                ..ObjectReference::default()
            },
            note: "no".into(),
            findings,
        }
    }

    const GET: &str = "GET /apis/apps/v1/namespaces/shop/replicasets/web-1";
    const POST: &str = "POST /apis/events.k8s.io/v1/namespaces/shop/events";

    #[tokio::test]
    async fn an_owner_that_cannot_be_looked_at_is_told_itself() {
        for forbidden in ["GET", "nothing"] {
            let (mut teller, asked) = teller(forbidden);
            assert_eq!(teller.tell(rejection(1)).await, Fate::Told);
            assert_eq!(*asked.lock().unwrap(), [GET, POST]);
        }
    }

    #[tokio::test]
    async fn whoever_may_not_tell_warns_once_and_does_not_try_the_same_again() {
        let (mut teller, asked) = teller("POST");
        assert_eq!(teller.tell(rejection(1)).await, Fate::Failed);
        assert!(teller.has_warned);
        assert_eq!(teller.tell(rejection(1)).await, Fate::Repeated);
        assert_eq!(teller.tell(rejection(2)).await, Fate::Failed);
        assert_eq!(*asked.lock().unwrap(), [GET, POST, GET, POST]);
    }

    #[tokio::test]
    async fn a_queue_that_is_full_takes_nothing_and_asks_for_nothing() {
        let (queue, mut waiting) = channel(1);
        let fates = Arc::new(Mutex::new(Vec::new()));
        let told = fates.clone();
        let rejections = Rejections {
            queue,
            count: Arc::new(move |fate| told.lock().unwrap().push(fate)),
        };
        rejections.leave(|| None);
        rejections.leave(|| Some(rejection(1)));
        rejections.leave(|| unreachable!("nobody has room for it"));
        assert_eq!(*fates.lock().unwrap(), [Fate::Dropped]);
        assert_eq!(waiting.recv().await.unwrap().findings, 1);
    }
}
