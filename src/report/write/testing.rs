//! An API server of reports, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::api::ReportApi;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Stub(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    served: BTreeSet<ReportApi>,
    /// By path.
    pub(super) stored: BTreeMap<String, Value>,
    /// Method and path of what was written.
    pub(super) writes: Vec<String>,
    /// The CRDs go away before this many writes are taken.
    pub(super) lasts: Option<usize>,
    /// Writes are refused in this namespace.
    pub(super) forbidden: Option<String>,
    version: u64,
}

// === impl Stub ===

impl Stub {
    pub(super) fn serving(served: &[ReportApi]) -> Self {
        let stub = Self::default();
        stub.state().served = served.iter().copied().collect();
        stub
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> Client {
        let stub = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let stub = stub.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_or(Value::Null, |it| {
                    serde_json::from_slice(&it.to_bytes()).unwrap_or_default()
                });
                let query = parts.uri.query().unwrap_or_default();
                let (status, answer) =
                    stub.state()
                        .answer(&parts.method, parts.uri.path(), query, body);
                let response = Response::builder().status(status);
                let body = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(response.body(body).expect("it is a response"))
            }
        });
        Client::new(service, "default")
    }
}

// === impl State ===

impl State {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        if *method != Method::GET && self.lasts == Some(self.writes.len()) {
            self.served.clear();
        }
        let Some(api) = self
            .served
            .iter()
            .copied()
            .find(|it| path.starts_with(&format!("/apis/{}", it.api_version())))
        else {
            return failure(404, "NotFound");
        };
        let forbidden = self.forbidden.as_deref();
        let is_forbidden = forbidden.is_some_and(|it| path.contains(&format!("/namespaces/{it}/")));
        match *method {
            Method::GET if path == format!("/apis/{}", api.api_version()) => {
                (StatusCode::OK, json!(resources(api)))
            }
            Method::GET => {
                assert!(
                    query.contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dpodgate"),
                    "{query}"
                );
                let last = format!("/{}", path.rsplit('/').next().unwrap_or_default());
                let within = path.strip_suffix(&last).unwrap_or_default();
                let stored = self.stored.iter().filter(|(at, it)| {
                    at.starts_with(within)
                        && it["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "podgate"
                });
                let items: Vec<Value> = stored
                    .map(|(_, it)| json!({"metadata": it["metadata"]}))
                    .collect();
                (StatusCode::OK, json!({"metadata": {}, "items": items}))
            }
            _ if is_forbidden => failure(403, "Forbidden"),
            Method::PATCH => self.apply(path, query, body),
            Method::DELETE => {
                self.writes.push(format!("DELETE {path}"));
                match self.stored.remove(path) {
                    Some(_) => (StatusCode::OK, json!({})),
                    None => failure(404, "NotFound"),
                }
            }
            _ => failure(405, "MethodNotAllowed"),
        }
    }

    fn apply(&mut self, path: &str, query: &str, mut body: Value) -> (StatusCode, Value) {
        assert!(query.contains("fieldManager=podgate"), "{query}");
        let foreign = self.stored.get(path).is_some_and(|it| {
            it["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "podgate"
        });
        if foreign && !query.contains("force=true") {
            return failure(409, "Conflict");
        }
        self.writes.push(format!("PATCH {path}"));
        self.version += 1;
        body["metadata"]["resourceVersion"] = self.version.to_string().into();
        body["metadata"]["uid"] = format!("of-{}", self.version).into();
        self.stored.insert(path.to_owned(), body.clone());
        (StatusCode::OK, body)
    }
}

fn failure(code: u16, reason: &str) -> (StatusCode, Value) {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code});
    (StatusCode::from_u16(code).expect("it is a status"), status)
}

/// What an API server says that it serves of this.
pub(super) fn resources(api: ReportApi) -> APIResourceList {
    let path = api.path(None);
    let resource = APIResource {
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        kind: api.kind().to_owned(),
        namespaced: true,
        verbs: ["delete", "list", "patch", "create"]
            .map(str::to_owned)
            .into(),
        ..APIResource::default()
    };
    APIResourceList {
        group_version: api.api_version().to_owned(),
        resources: vec![resource],
    }
}
