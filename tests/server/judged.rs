//! Reviews for the real engine: what is sent, and what is expected back, as JSON.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::support::{Answer, Client, Server, post};

/// Both, for what is answered alike.
pub(crate) const ENDPOINTS: [&str; 2] = ["/validate", "/mutate"];

/// Every denial of a Pod that could not be read begins like this, and no finding does.
pub(crate) const UNREADABLE: &str =
    "podgate cannot judge this Pod, so it is not admitted: request.object cannot be read: ";

/// A kept-alive connection to the real engine.
pub(crate) struct Judge(Client);

/// One value inside another.
pub(crate) struct Node {
    /// As podgate writes it, for example `spec.containers[0].name`.
    pub(crate) path: String,
    /// As [`with`] takes it.
    pub(crate) pointer: String,
    pub(crate) value: Value,
}

// === impl Judge ===

impl Judge {
    pub(crate) async fn start() -> Self {
        Self::of(&Server::judging().await).await
    }

    pub(crate) async fn of(server: &Server) -> Self {
        Self(server.connect().await)
    }

    pub(crate) async fn send(&mut self, endpoint: &str, body: impl Into<Bytes>) -> Answer {
        let uri = format!("{endpoint}?timeout=10s");
        let answer = self.0.send(post(&uri, body)).await.expect("it answers");
        assert_eq!(answer.header("content-type"), "application/json");
        answer
    }

    /// The `response` to what could be read as a review.
    pub(crate) async fn response(&mut self, endpoint: &str, body: impl Into<Bytes>) -> Value {
        let answer = self.send(endpoint, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut answer: Value = serde_json::from_str(&answer.text).expect("an answer is JSON");
        let response = answer["response"].take();
        let whole = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": null});
        assert_eq!(answer, whole);
        response
    }

    /// Both endpoints refuse the body as no review, with a `Status` of one line. Its message.
    pub(crate) async fn refusal(&mut self, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let mut messages = Vec::new();
        for endpoint in ENDPOINTS {
            let answer = self.send(endpoint, body.clone()).await;
            assert_eq!(answer.status, 400, "{}: {}", shown(&body), answer.text);
            let message = answer.message();
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": "BadRequest", "code": 400});
            assert_eq!(
                serde_json::from_str::<Value>(&answer.text).ok(),
                Some(status)
            );
            messages.push(message);
        }
        assert_eq!(messages[0], messages[1], "{}", shown(&body));
        messages.swap_remove(0)
    }

    /// Both endpoints refuse the body as no review, with exactly this message.
    pub(crate) async fn refuses(&mut self, body: impl Into<Bytes>, message: &str) {
        let body = body.into();
        let found = self.refusal(body.clone()).await;
        assert_eq!(found, format!("podgate: {message}"), "{}", shown(&body));
    }

    /// Both endpoints deny the review without having judged it, in the same words.
    pub(crate) async fn denial(&mut self, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let [validate, mutate] = ENDPOINTS;
        let message = self.denial_at(validate, body.clone()).await;
        assert_eq!(message, self.denial_at(mutate, body).await);
        message
    }

    /// It denies the review without having judged it, in nothing like a finding. The message.
    pub(crate) async fn denial_at(&mut self, endpoint: &str, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let response = self.response(endpoint, body.clone()).await;
        let message = response["status"]["message"].as_str().unwrap_or_default();
        let denied = json!({"uid": "u-1", "allowed": false, "status": {
            "status": "Failure", "code": 400, "reason": "BadRequest", "message": message}});
        assert_eq!(response, denied, "{endpoint}: {}", shown(&body));
        message.to_owned()
    }

    /// Both endpoints deny the review without having judged it, with exactly this message.
    pub(crate) async fn denies(&mut self, body: impl Into<Bytes>, message: &str) {
        let body = body.into();
        let found = self.denial(body.clone()).await;
        assert_eq!(found, message, "{}", shown(&body));
    }

    /// Both endpoints let it in, as it is or with injections.
    pub(crate) async fn allows(&mut self, body: impl Into<Bytes>) {
        let body = body.into();
        for endpoint in ENDPOINTS {
            let response = self.response(endpoint, body.clone()).await;
            assert_eq!(
                response["allowed"],
                true,
                "{endpoint}: {}: {response}",
                shown(&body)
            );
        }
    }
}

/// A CREATE of a Pod, its object as text, so that it can be anything.
pub(crate) fn pod_review(object: &str) -> String {
    let review = review("", "pods", &json!("OBJECT")).to_string();
    review.replace("\"OBJECT\"", object)
}

/// A CREATE of the object as that resource of the group.
pub(crate) fn review(group: &str, resource: &str, object: &Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "resource": {"group": group, "version": "v1", "resource": resource},
        "subResource": "", "name": "web", "namespace": "shop", "operation": "CREATE",
        "userInfo": {"username": "jane", "groups": ["devs", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false, "options": null}})
}

/// A Pod that the shipped policies let in.
pub(crate) fn plain_pod() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}})
}

/// Every value inside this one, at any depth.
pub(crate) fn nodes(value: &Value) -> Vec<Node> {
    let mut nodes = Vec::new();
    visit(value, "", "", &mut nodes);
    nodes
}

fn visit(value: &Value, path: &str, pointer: &str, nodes: &mut Vec<Node>) {
    let children: Vec<(String, String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                let escaped = key.replace('~', "~0").replace('/', "~1");
                (format!("{path}{dot}{key}"), escaped, value)
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (format!("{path}[{index}]"), index.to_string(), value))
            .collect(),
        _ => return,
    };
    for (path, step, value) in children {
        let pointer = format!("{pointer}/{step}");
        visit(value, &path, &pointer, nodes);
        nodes.push(Node {
            path,
            pointer,
            value: value.clone(),
        });
    }
}

/// A copy with another value at that place, or without the place.
pub(crate) fn with(whole: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut copy = whole.clone();
    if let Some(value) = value {
        *copy.pointer_mut(pointer).expect("there is such a place") = value;
        return copy;
    }
    let (parent, last) = pointer.rsplit_once('/').expect("it is a pointer");
    match copy.pointer_mut(parent).expect("there is such a place") {
        Value::Object(fields) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        Value::Array(items) => {
            items.remove(last.parse().expect("it is an index"));
        }
        _ => unreachable!("{pointer}"),
    }
    copy
}

/// Values of every other type, and what podgate calls each.
pub(crate) fn mistyped(value: &Value) -> Vec<(Value, &'static str)> {
    let all = [
        (json!("yes"), "string \"yes\""),
        (json!(true), "boolean `true`"),
        (json!(1), "integer `1`"),
        (json!(1.5), "floating point `1.5`"),
        (json!([]), "list"),
        (json!({}), "object"),
    ];
    let same = |other: &Value| match value {
        Value::Number(_) => other.is_i64(),
        _ => std::mem::discriminant(value) == std::mem::discriminant(other),
    };
    all.into_iter().filter(|(other, _)| !same(other)).collect()
}

/// The start of a body, for a test that fails.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned()
}
