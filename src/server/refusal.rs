//! Every answer of the webhook port that is no answer to a review, in one place: status, reason and one clear sentence.
//!
//! Written as a Kubernetes `Status`, because the API server's webhook client prefers the message of one to its own
//! generic text (client-go `rest/request.go`, `Result.Error`), so that `kubectl` shows ours.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;

/// Why a request got no review.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "this is podgate's own fault, a bug: it panicked while answering; nothing was decided about the request"
    )]
    Panicked,
    #[error(
        "podgate is overloaded: {limit} reviews are being answered already; the request was not judged"
    )]
    Overloaded { limit: usize },
    #[error(
        "podgate is overloaded: other bodies take all {budget} bytes that there are for large ones; the request was not judged"
    )]
    OverloadedByBodies { budget: usize },
    #[error(
        "podgate is overloaded: this large body was still arriving when another one needed its place; the request was not judged"
    )]
    GaveWay,
    #[error(
        "podgate did not finish within {0:?}, the deadline that the API server's timeout leaves; the request was not judged"
    )]
    DeadlineExceeded(Duration),
    #[error("the body did not arrive completely within {0:?}")]
    SlowBody(Duration),
    #[error("the body could not be read to its end")]
    BrokenBody,
    /// What the engine says about a body that it cannot answer as a review.
    #[error("{0}")]
    NoReview(String),
    #[error("the body is larger than {limit} bytes, the most that podgate reads")]
    TooLarge { limit: usize },
    #[error("the content type must be application/json, not {0:?}")]
    MediaType(String),
    #[error("the content encoding must be identity, not {0:?}")]
    Encoding(String),
    #[error("only POST of an AdmissionReview is served here")]
    Method,
    #[error("there is nothing at this path; podgate serves POST /validate and POST /mutate")]
    Path,
}

/// The part of `metav1.Status` that is used.
// The names are those of the API.
#[allow(clippy::struct_field_names)]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded { .. } | Self::OverloadedByBodies { .. } | Self::GaveWay => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DeadlineExceeded(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody | Self::NoReview(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
        }
    }

    /// The `StatusReason` that apimachinery has for the status.
    fn reason(&self) -> &'static str {
        match self {
            Self::Panicked => "InternalError",
            Self::Overloaded { .. } | Self::OverloadedByBodies { .. } | Self::GaveWay => {
                "ServiceUnavailable"
            }
            Self::DeadlineExceeded(_) | Self::SlowBody(_) => "Timeout",
            Self::BrokenBody | Self::NoReview(_) => "BadRequest",
            Self::TooLarge { .. } => "RequestEntityTooLarge",
            Self::MediaType(_) | Self::Encoding(_) => "UnsupportedMediaType",
            Self::Method => "MethodNotAllowed",
            Self::Path => "NotFound",
        }
    }

    /// The `Status`, as one line of JSON.
    pub(crate) fn body(&self) -> Vec<u8> {
        let message = format!("podgate: {self}");
        let body = serde_json::to_vec(&Status {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message: &message,
            reason: self.reason(),
            code: self.status().as_u16(),
        });
        // A struct of strings and a number always serialises; if it ever did not, the message alone would do.
        let mut body = body.unwrap_or_else(|_| message.into_bytes());
        body.push(b'\n');
        body
    }

    /// A header that tells the client what to do next.
    fn advice(&self) -> Option<(http::HeaderName, HeaderValue)> {
        match self {
            // The API server then tries again within its timeout (client-go `rest/with_retry.go`).
            Self::Overloaded { .. } | Self::OverloadedByBodies { .. } => {
                Some((RETRY_AFTER, HeaderValue::from_static("1")))
            }
            Self::Method => Some((ALLOW, HeaderValue::from_static("POST"))),
            // The rest of the body is not waited for, so nothing else can follow on this connection.
            Self::SlowBody(_) | Self::BrokenBody | Self::GaveWay => {
                Some((CONNECTION, HeaderValue::from_static("close")))
            }
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response =
            (self.status(), [(CONTENT_TYPE, "application/json")], body).into_response();
        if let Some((name, value)) = self.advice() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
