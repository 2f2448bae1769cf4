//! The webhook port as a tower service: what happens to a request before and after the engine sees its body.
//!
//! In this order: panic guard, metrics, media type, announced size, body within its size and time, bounded concurrency,
//! review within the deadline. A body that does not come takes no place from one that did. Whatever fails becomes a [`Refusal`]; nothing is logged for an answered review.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, error, warn};

use super::{
    body::{self, MAX_LARGE, Reading},
    config::{Limits, Timeouts},
    deadline,
    gate::{Endpoint, Reply, Reviewer},
    metrics::Metrics,
    refusal::Refusal,
};

/// What every request shares.
struct Gate<R> {
    reviewer: Arc<R>,
    metrics: Arc<Metrics>,
    in_flight: Semaphore,
    large_bodies: Semaphore,
    limits: Limits,
    timeouts: Timeouts,
}

/// The router of the webhook port; a plain tower service, so that tests can drive it without a socket.
pub fn router<R: Reviewer>(
    reviewer: Arc<R>,
    metrics: Arc<Metrics>,
    limits: Limits,
    timeouts: Timeouts,
) -> Router {
    let gate = Arc::new(Gate {
        reviewer,
        metrics,
        in_flight: Semaphore::new(limits.in_flight),
        large_bodies: Semaphore::new(MAX_LARGE),
        limits,
        timeouts,
    });
    let route = |endpoint: Endpoint| {
        post(
            move |State(gate): State<Arc<Gate<R>>>, request: Request| async move {
                gate.serve(endpoint, request).await
            },
        )
        .fallback(async || Refusal::Method)
    };
    Router::new()
        .route(Endpoint::Validate.path(), route(Endpoint::Validate))
        .route(Endpoint::Mutate.path(), route(Endpoint::Mutate))
        .fallback(async || Refusal::Path)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(gate)
}

// === impl Gate ===

impl<R: Reviewer> Gate<R> {
    async fn serve(&self, endpoint: Endpoint, request: Request) -> Response {
        let counted = self.metrics.review(endpoint);
        let (head, mut body) = request.into_parts();
        match self.answer(endpoint, &head, &mut body).await {
            Ok(reply) => {
                counted.finish(reply.outcome);
                self.metrics.pod_security(&reply.counts);
                (
                    reply.status,
                    [(CONTENT_TYPE, "application/json")],
                    reply.body,
                )
                    .into_response()
            }
            Err(refusal) => {
                if refusal.status().is_server_error() {
                    warn!(endpoint = endpoint.label(), elapsed = ?counted.elapsed(), %refusal, "review refused");
                } else {
                    debug!(endpoint = endpoint.label(), elapsed = ?counted.elapsed(), %refusal, "review refused");
                }
                if refusal.status() == StatusCode::SERVICE_UNAVAILABLE {
                    self.metrics.review_shed();
                }
                // Of a body that came too slowly, or broke, nothing more is waited for.
                if !matches!(refusal, Refusal::SlowBody(_) | Refusal::BrokenBody) {
                    body::swallow(&head.headers, body, self.limits.body, self.timeouts.body);
                }
                refusal.into_response()
            }
        }
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        head: &Parts,
        body: &mut Body,
    ) -> Result<Reply, Refusal> {
        let started = Instant::now();
        let budget = deadline::budget(head.uri.query());
        check_media_type(&head.headers)?;
        body::check_length(&head.headers, self.limits.body)?;
        let wait = self.timeouts.queue.min(budget / 2);
        let reading = Reading {
            limit: self.limits.body,
            within: self.timeouts.body.min(budget),
            large: &self.large_bodies,
            wait,
        };
        let arrived = reading.read(body).await?;
        let _permit = self.enter(wait).await?;
        let deadline = started + budget;
        let review = self
            .reviewer
            .review(endpoint, arrived.bytes.clone(), deadline);
        timeout_at(deadline, review)
            .await
            .map_err(|_| Refusal::DeadlineExceeded(budget))
    }

    /// A place among the reviews in flight. A burst waits a little for one; what still has none is shed.
    async fn enter(&self, wait: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
        // The semaphore is never closed, so what is no permit is the time that ran out.
        match timeout(wait, self.in_flight.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Overloaded {
                limit: self.limits.in_flight,
            }),
        }
    }
}

/// The API server sends exactly `application/json`, never compressed.
fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let shown = |value: Option<&HeaderValue>| {
        String::from_utf8_lossy(value.map_or(b"", HeaderValue::as_bytes))
            .chars()
            .take(100)
            .collect()
    };
    let content_type = headers.get(CONTENT_TYPE);
    let media_type = content_type
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refusal::MediaType(shown(content_type)));
    }
    let encodings = headers.get_all(CONTENT_ENCODING);
    let is_other = |value: &&HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    match encodings.iter().find(is_other) {
        Some(encoding) => Err(Refusal::Encoding(shown(Some(encoding)))),
        None => Ok(()),
    }
}

/// The payload of the panic is not told: it may quote the object.
// By value because that is what the layer calls.
#[allow(clippy::needless_pass_by_value)]
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    error!("a review panicked; this is a bug in podgate");
    Refusal::Panicked.into_response()
}
