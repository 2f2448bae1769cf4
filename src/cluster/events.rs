//! Events about podgate itself, for `kubectl get events` and whoever watches them.
//! Needs `create` and `patch` on events of events.k8s.io.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use super::with_causes;

/// Tells events about one object: the Pod that this replica runs in.
pub struct Events {
    recorder: Recorder,
    regarding: ObjectReference,
}

// === impl Events ===

impl Events {
    /// Events about this Pod, told by it.
    #[must_use]
    pub fn about_pod(client: Client, namespace: &str, name: &str, uid: String) -> Self {
        let reporter = Reporter {
            controller: "podgate".into(),
            instance: Some(name.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            regarding: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                uid: Some(uid),
                ..ObjectReference::default()
            },
        }
    }

    /// Warns. What cannot be told is logged: an event is never the only place where something is said.
    pub async fn warn(&self, reason: &str, action: &str, note: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &self.regarding).await {
            warn!(
                reason,
                error = with_causes(&error),
                "an event cannot be told"
            );
        }
    }
}
