//! What podgate counts and measures, and its text in the `OpenMetrics` format.
//! Every label has few values by construction: no namespace, name or user ever becomes one.

mod certificates;
mod connections;
mod pod_security;

use std::{
    fmt,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use self::{
    certificates::CertificateMetrics, connections::ConnectionMetrics,
    pod_security::PodSecurityMetrics,
};
use super::{
    gate::{Endpoint, Outcome},
    room::Closed,
};
use crate::cluster::certificates::{State, Trust};
use crate::cluster::rejections::Fate;
use crate::review::Count;

/// The content type of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds. A decision takes tens of microseconds; the upper half is for slow bodies and live GETs.
const DURATION_BUCKETS: [f64; 15] = [
    50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3e-3, 6e-3, 12e-3, 25e-3, 0.1, 0.5, 1.0, 5.0,
    10.0,
];

/// Static label pairs.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All metrics of one server. Made once, shared behind an `Arc`; updating one takes no lock on the way of a review.
pub struct Metrics {
    registry: Registry,
    ready: Gauge,
    reviews: [[Counter; Outcome::ALL.len()]; Endpoint::ALL.len()],
    durations: [Histogram; Endpoint::ALL.len()],
    in_flight: Gauge,
    connections: ConnectionMetrics,
    shed: Counter,
    body_bytes: Gauge,
    certificate_not_after: Gauge,
    certificate_reloads: Family<Labels<1>, Counter>,
    policy_reloads: Family<Labels<1>, Counter>,
    policies_loaded: Gauge,
    policies_stale: Gauge,
    policy_set: Family<[(&'static str, String); 1], Gauge>,
    certificates: CertificateMetrics,
    rejection_events: [Counter; Fate::ALL.len()],
    pod_security: PodSecurityMetrics,
}

/// One review under way. Counts it when dropped, as an error unless [`ReviewGuard::finish`] said otherwise:
/// so a panic, and a client that hangs up, are counted too.
pub(crate) struct ReviewGuard<'a> {
    metrics: &'a Metrics,
    endpoint: Endpoint,
    outcome: Outcome,
    started: Instant,
}

/// One open connection.
pub(crate) struct ConnectionGuard<'a>(&'a Gauge);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Registry::default();
        let pod_security = PodSecurityMetrics::register(&mut all);
        let registry = all.sub_registry_with_prefix("podgate");
        let certificates = CertificateMetrics::register(registry);

        let connections = ConnectionMetrics::register(registry);
        let reviews = Family::<Labels<2>, Counter>::default();
        let durations =
            Family::<Labels<1>, Histogram, fn() -> Histogram>::new_with_constructor(|| {
                Histogram::new(DURATION_BUCKETS)
            });
        registry.register("reviews", "Reviews answered", reviews.clone());
        registry.register_with_unit(
            "review_duration",
            "Time from the head of a review to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        let metrics = Self {
            rejection_events: rejection_events(registry),
            reviews: Endpoint::ALL.map(|endpoint| {
                Outcome::ALL.map(|outcome| {
                    reviews.get_or_create_owned(&[
                        ("endpoint", endpoint.label()),
                        ("outcome", outcome.label()),
                    ])
                })
            }),
            durations: Endpoint::ALL
                .map(|endpoint| durations.get_or_create_owned(&[("endpoint", endpoint.label())])),
            ready: Gauge::default(),
            in_flight: Gauge::default(),
            connections,
            shed: Counter::default(),
            body_bytes: Gauge::default(),
            certificate_not_after: Gauge::default(),
            certificate_reloads: results(),
            policy_reloads: results(),
            policies_loaded: Gauge::default(),
            policies_stale: Gauge::default(),
            policy_set: Family::default(),
            certificates,
            pod_security,
            registry: Registry::default(),
        };
        registry.register("ready", "1 while /readyz says so", metrics.ready.clone());
        registry.register(
            "in_flight",
            "Reviews being answered now",
            metrics.in_flight.clone(),
        );
        registry.register(
            "shed",
            "Reviews refused because too many, or too large ones, were under way",
            metrics.shed.clone(),
        );
        registry.register_with_unit(
            "large_bodies",
            "Memory that is set aside for large bodies",
            Unit::Bytes,
            metrics.body_bytes.clone(),
        );
        registry.register_with_unit(
            "certificate_not_after",
            "When the served certificate expires, in Unix time",
            Unit::Seconds,
            metrics.certificate_not_after.clone(),
        );
        registry.register(
            "certificate_reload",
            "Changed certificate files, by whether they could be used",
            metrics.certificate_reloads.clone(),
        );
        registry.register(
            "policy_reload",
            "Changed policy directories, by whether they could be used",
            metrics.policy_reloads.clone(),
        );
        registry.register(
            "policies_loaded",
            "Policies in force",
            metrics.policies_loaded.clone(),
        );
        registry.register(
            "policies_stale",
            "1 when the last change of the policies was refused and an older set is in force",
            metrics.policies_stale.clone(),
        );
        registry.register(
            "policy_set_info",
            "The policy set in force, by hash",
            metrics.policy_set.clone(),
        );
        Self {
            registry: all,
            ..metrics
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All metrics in the `OpenMetrics` text format.
    ///
    /// # Errors
    /// When formatting fails, which it cannot into a `String` unless a metric refuses to encode itself.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(4096);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    pub(crate) fn ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    pub(crate) fn review(&self, endpoint: Endpoint) -> ReviewGuard<'_> {
        self.in_flight.inc();
        ReviewGuard {
            metrics: self,
            endpoint,
            outcome: Outcome::Error,
            started: Instant::now(),
        }
    }

    pub(crate) fn pod_security(&self, counts: &[Count]) {
        for count in counts {
            self.pod_security.count(count);
        }
    }

    pub(crate) fn connection(&self) -> ConnectionGuard<'_> {
        self.connections.open.inc();
        ConnectionGuard(&self.connections.open)
    }

    pub(crate) fn handshake_failed(&self) {
        self.connections.handshake_errors.inc();
    }

    pub(crate) fn handshakes_waiting(&self) -> &Gauge {
        &self.connections.handshakes_waiting
    }

    pub(crate) fn closed_for_room(&self) -> &Closed {
        &self.connections.closed_for_room
    }

    pub(crate) fn body_bytes(&self) -> &Gauge {
        &self.body_bytes
    }

    pub(crate) fn review_shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn certificate_served(&self, not_after: i64) {
        self.certificate_not_after.set(not_after);
    }

    pub(crate) fn certificates_kept(&self, state: &State) {
        let it = &self.certificates;
        it.authority_not_after
            .set(state.authority_ends.unwrap_or_default());
        it.lease_held.set(i64::from(state.is_holder));
        it.stale.set(i64::from(state.error.is_some()));
        it.untrusted.set(match &state.trust {
            Trust::Missing(kinds) => i64::try_from(kinds.len()).unwrap_or(i64::MAX),
            Trust::Unknown | Trust::Unregistered | Trust::Full => 0,
        });
    }

    pub(crate) fn certificate_reloaded(&self, ok: bool) {
        self.certificate_reloads.get_or_create(&[result(ok)]).inc();
    }

    pub(crate) fn rejection_event(&self, fate: Fate) {
        self.rejection_events[fate as usize].inc();
    }

    pub(crate) fn policies_reloaded(&self, ok: bool) {
        self.policy_reloads.get_or_create(&[result(ok)]).inc();
        self.policies_stale.set(i64::from(!ok));
    }

    pub(crate) fn policies_in_force(&self, count: usize, hash: &str) {
        self.policies_loaded
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        self.policy_set.clear();
        self.policy_set
            .get_or_create(&[("hash", hash.to_owned())])
            .set(1);
    }
}

// === impl ReviewGuard ===

impl ReviewGuard<'_> {
    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for ReviewGuard<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.reviews[self.endpoint as usize][self.outcome as usize].inc();
        self.metrics.durations[self.endpoint as usize]
            .observe(self.started.elapsed().as_secs_f64());
    }
}

// === impl ConnectionGuard ===

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn result(ok: bool) -> (&'static str, &'static str) {
    ("result", if ok { "ok" } else { "error" })
}

/// A counter by what becomes of a rejection that is to be told, in the order of [`Fate`].
fn rejection_events(registry: &mut Registry) -> [Counter; Fate::ALL.len()] {
    let family = Family::<Labels<1>, Counter>::default();
    registry.register(
        "rejection_events",
        "Rejected Pods whose owners were to be told by an Event, by what became of that",
        family.clone(),
    );
    Fate::ALL.map(|fate| family.get_or_create_owned(&[("result", fate.label())]))
}

/// A counter by result that shows both from the start, so that a rate over it has something to stand on.
fn results() -> Family<Labels<1>, Counter> {
    let family = Family::default();
    for ok in [true, false] {
        drop(family.get_or_create_owned(&[result(ok)]));
    }
    family
}

#[cfg(test)]
mod tests;
