//! What is counted of connections to the webhook, before and beside their reviews.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::server::room::Closed;

pub(super) struct ConnectionMetrics {
    pub(super) open: Gauge,
    pub(super) handshake_errors: Counter,
    pub(super) handshakes_waiting: Gauge,
    pub(super) closed_for_room: Closed,
}

// === impl ConnectionMetrics ===

impl ConnectionMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            open: Gauge::default(),
            handshake_errors: Counter::default(),
            handshakes_waiting: Gauge::default(),
            closed_for_room: Closed::default(),
        };
        registry.register(
            "connections",
            "Open connections to the webhook",
            metrics.open.clone(),
        );
        registry.register(
            "handshake_errors",
            "TLS handshakes that failed or took too long",
            metrics.handshake_errors.clone(),
        );
        registry.register(
            "handshakes_waiting",
            "TLS handshakes that wait for their turn",
            metrics.handshakes_waiting.clone(),
        );
        registry.register(
            "strangers_closed",
            "Connections closed to make room, on which no review had been answered",
            metrics.closed_for_room.strangers.clone(),
        );
        registry.register(
            "proven_closed",
            "Connections closed to make room, on which reviews had been answered",
            metrics.closed_for_room.proven.clone(),
        );
        metrics
    }
}
