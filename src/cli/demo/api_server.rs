//! The API server's side of the demo: it sends an object through both webhooks, as an API server does when somebody
//! applies a manifest, and holds what comes out. TLS with the gate's CA, HTTP/1.1, mutation first.

use std::{io, net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem, pem::PemObject as _},
    },
};

use crate::pod::Kind;

/// One connection to the webhooks.
pub(super) struct ApiServer {
    gate: SendRequest<Full<Bytes>>,
    reviews: u32,
}

/// What became of an object.
pub(super) struct Outcome {
    /// The object as the mutating webhook left it: stored, unless it was denied.
    pub(super) object: Value,
    /// For the `Warning:` lines.
    pub(super) warnings: Vec<String>,
    /// Why it was rejected.
    pub(super) denied: Option<Denied>,
}

/// A rejection, as a Kubernetes Status says it.
#[derive(Debug, Deserialize)]
pub(super) struct Denied {
    pub(super) reason: String,
    pub(super) message: String,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot connect to the gate: {0}")]
    Connect(#[from] io::Error),
    #[error("cannot trust the gate's CA: {0}")]
    Trust(#[from] pem::Error),
    #[error("cannot trust the gate's CA: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the gate did not answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the gate answered {0}: {1}")]
    Status(StatusCode, String),
    #[error("the gate's answer is no AdmissionReview: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("the gate's patch is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("the gate's patch does not apply: {0}")]
    Patch(#[from] json_patch::PatchError),
    #[error("the gate answered review {found:?} where {sent:?} was asked")]
    OtherReview { sent: String, found: String },
}

#[derive(Deserialize)]
struct Answer {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<Denied>,
    patch: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

// === impl ApiServer ===

impl ApiServer {
    /// Connects to the webhooks at `address`, trusting `ca` (PEM) alone.
    pub(super) async fn connect(address: SocketAddr, ca: &str) -> Result<Self, CallError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(tls))
            .connect(name, stream)
            .await?;
        let (gate, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends when `gate` is dropped; until then its errors are those of the calls.
        tokio::spawn(connection);
        Ok(Self { gate, reviews: 0 })
    }

    /// Sends a new object through both webhooks.
    pub(super) async fn create(
        &mut self,
        kind: Kind,
        mut object: Value,
    ) -> Result<Outcome, CallError> {
        let mut warnings = Vec::new();
        // Values are injected into Pods, never into templates: the registration asks about nothing else.
        let paths: &[&str] = if kind.is_workload() {
            &["/validate"]
        } else {
            &["/mutate", "/validate"]
        };
        for path in paths {
            let answer = self.review(path, kind, &object).await?;
            warnings.extend(answer.warnings);
            if let Some(patch) = answer.patch {
                let operations: json_patch::Patch =
                    serde_json::from_slice(&STANDARD.decode(patch)?)?;
                json_patch::patch(&mut object, &operations)?;
            }
            if !answer.allowed {
                let denied = answer.status.unwrap_or_else(|| Denied {
                    reason: String::new(),
                    message: "denied without a reason".to_owned(),
                });
                return Ok(Outcome {
                    object,
                    warnings,
                    denied: Some(denied),
                });
            }
        }
        Ok(Outcome {
            object,
            warnings,
            denied: None,
        })
    }

    async fn review(
        &mut self,
        path: &str,
        kind: Kind,
        object: &Value,
    ) -> Result<Response, CallError> {
        self.reviews += 1;
        let sent = format!("demo-{}", self.reviews);
        let group_version_kind =
            json!({"group": kind.group(), "version": "v1", "kind": kind.name()});
        let resource = json!({"group": kind.group(), "version": "v1", "resource": kind.resource()});
        let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": sent,
            "kind": group_version_kind,
            "requestKind": group_version_kind,
            "resource": resource,
            "requestResource": resource,
            "name": object["metadata"]["name"],
            "namespace": object["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {"username": "developer", "groups": ["developers", "system:authenticated"]},
            "object": object,
            "oldObject": null,
            "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        }});
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{path}?timeout=5s").parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(
            header::HOST,
            header::HeaderValue::from_static("podgate.podgate-system.svc:443"),
        );
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        headers.insert(
            header::ACCEPT,
            header::HeaderValue::from_static("application/json, */*"),
        );
        self.gate.ready().await?;
        let answer = self.gate.send_request(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            return Err(CallError::Status(
                status,
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
        let Answer { response } = serde_json::from_slice(&bytes)?;
        if response.uid != sent {
            return Err(CallError::OtherReview {
                sent,
                found: response.uid,
            });
        }
        Ok(response)
    }
}
