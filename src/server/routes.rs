//! The webhook port as a tower service: what happens to a request before and after the engine sees its body.
//!
//! In this order: panic guard, metrics, media type, announced size, body within its size and time, bounded concurrency,
//! review within the deadline. A body that does not come takes no place from one that did. Whatever fails becomes a [`Refusal`]; nothing is logged for an answered review.

use std::{any::Any, future::pending, panic::resume_unwind, sync::Arc, time::Duration};

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
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, error, warn};

use super::{
    body::{self, Arrived, Reading},
    budget::Budget,
    config::{Limits, Timeouts},
    deadline,
    gate::{Endpoint, Outcome, Reply, Reviewer},
    metrics::Metrics,
    peer::Peer,
    refusal::Refusal,
    room::Stay,
    turns::Turns,
};

/// A body of this size keeps a processor busy for a millisecond. Its review takes its turn, and has a thread of its own.
const HEAVY: usize = 512 * 1024;

/// Reviews of such bodies at a time, at most: each may take memory beside its body.
const MOST_HEAVY: usize = 2;

/// What every request shares.
struct Gate<R> {
    reviewer: Arc<R>,
    metrics: Arc<Metrics>,
    in_flight: Arc<Semaphore>,
    body_memory: Arc<Budget>,
    heavy: Arc<Turns>,
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
    let body_memory = limits.body_memory.max(limits.body);
    let gate = Arc::new(Gate {
        reviewer,
        in_flight: Arc::new(Semaphore::new(limits.in_flight)),
        body_memory: Budget::new(body_memory, metrics.body_bytes().clone()),
        heavy: Turns::for_half_of_the_processors(MOST_HEAVY, Gauge::default()),
        metrics,
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
                if !matches!(
                    refusal,
                    Refusal::SlowBody(_) | Refusal::BrokenBody | Refusal::GaveWay
                ) {
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
        // None where the router is called without a socket.
        let stay = head.extensions.get::<Arc<Stay>>();
        let peer = stay.map_or(Peer::NOBODY, |stay| stay.peer());
        let reading = Reading {
            limit: self.limits.body,
            within: self.timeouts.body.min(budget),
            budget: &self.body_memory,
            wait,
            peer,
        };
        let arrived = reading.read(body).await?;
        if let Some(stay) = stay {
            stay.reviewing();
        }
        let permit = self.enter(wait).await?;
        let deadline = started + budget;
        let reply = if arrived.bytes.len() < HEAVY {
            let review = self
                .reviewer
                .review(endpoint, arrived.bytes.clone(), deadline);
            timeout_at(deadline, review).await
        } else {
            timeout_at(
                deadline,
                self.heavy_review(endpoint, arrived, permit, peer, deadline),
            )
            .await
        };
        let reply = reply.map_err(|_| Refusal::DeadlineExceeded(budget))?;
        if let Some(stay) = stay
            && reply.outcome != Outcome::Error
        {
            stay.proven();
        }
        Ok(reply)
    }

    /// Beside the threads that serve connections. What it holds is given back when it has really ended.
    async fn heavy_review(
        &self,
        endpoint: Endpoint,
        arrived: Arrived,
        permit: OwnedSemaphorePermit,
        peer: Peer,
        deadline: Instant,
    ) -> Reply {
        let turn = self.heavy.take(peer).await;
        let (reviewer, runtime) = (self.reviewer.clone(), Handle::current());
        let reviewing = spawn_blocking(move || {
            let _held = (turn, permit, arrived.share);
            runtime.block_on(reviewer.review(endpoint, arrived.bytes, deadline))
        });
        match reviewing.await {
            Ok(reply) => reply,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => pending().await,
            },
        }
    }

    /// A place among the reviews in flight. A burst waits a little for one; what still has none is shed.
    async fn enter(&self, wait: Duration) -> Result<OwnedSemaphorePermit, Refusal> {
        // The semaphore is never closed, so what is no permit is the time that ran out.
        match timeout(wait, self.in_flight.clone().acquire_owned()).await {
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
