//! The metrics of the certificates that podgate keeps in the cluster.

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

/// What a keeper knows, as gauges.
#[derive(Clone, Default)]
pub(super) struct CertificateMetrics {
    /// In Unix time; zero while there is none.
    pub(super) authority_not_after: Gauge,
    pub(super) lease_held: Gauge,
    pub(super) stale: Gauge,
    pub(super) untrusted: Gauge,
}

// === impl CertificateMetrics ===

impl CertificateMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let it = Self::default();
        registry.register_with_unit(
            "ca_certificate_not_after",
            "When the authority of the served certificate expires, in Unix time; 0 if podgate does not keep it",
            Unit::Seconds,
            it.authority_not_after.clone(),
        );
        registry.register(
            "lease_held",
            "1 on the replica that does what is done once, such as renewing certificates",
            it.lease_held.clone(),
        );
        registry.register(
            "certificates_stale",
            "1 while podgate cannot look at its certificates in the cluster, or not do what is due",
            it.stale.clone(),
        );
        registry.register(
            "ca_bundle_missing",
            "Webhook configurations that do not trust the served certificate",
            it.untrusted.clone(),
        );
        it
    }
}
