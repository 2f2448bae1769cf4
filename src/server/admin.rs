//! The second port: `/livez`, `/readyz` and `/metrics`, in plain HTTP, for the kubelet and for Prometheus.

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};

use super::{health::Health, metrics};

/// The router of the second port. More routes can be merged into it.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(encoded))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                "not found; here are /livez, /readyz, /readyz?verbose and /metrics\n",
            )
        })
        .with_state(health)
}

/// As Kubernetes' own components answer: one word when ready, every condition when not or when asked.
async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let report = health.readiness().report();
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "verbose" || pair.starts_with("verbose="))
    });
    match (report.ready, verbose) {
        (true, false) => "ok\n".into_response(),
        (true, true) => report.text.into_response(),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, report.text).into_response(),
    }
}

async fn encoded(State(health): State<Health>) -> Response {
    health.metrics().ready(health.readiness().report().ready);
    match health.metrics().encode() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics could not be encoded\n",
        )
            .into_response(),
    }
}
