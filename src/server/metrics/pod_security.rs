//! The metrics of Pod Security Admission, with the names and labels that dashboards know.

use std::borrow::Cow;

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::review::{Count, Counted};

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// The three counters.
#[derive(Clone, Default)]
pub(super) struct PodSecurityMetrics {
    evaluations: Family<Labels<7>, Counter>,
    exemptions: Family<Labels<3>, Counter>,
    errors: Family<Labels<4>, Counter>,
}

// === impl PodSecurityMetrics ===

impl PodSecurityMetrics {
    /// Those of a new server. As upstream, what is most often counted is there from the start.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let it = Self::default();
        registry.register(
            "pod_security_evaluations",
            "Number of policy evaluations that occurred, not counting ignored or exempt requests",
            it.evaluations.clone(),
        );
        registry.register(
            "pod_security_exemptions",
            "Number of exempt requests, not counting ignored or out of scope requests",
            it.exemptions.clone(),
        );
        registry.register(
            "pod_security_errors",
            "Number of errors preventing normal evaluation. Non-fatal errors may result in the latest restricted profile \
             being used for evaluation",
            it.errors.clone(),
        );
        for operation in ["create", "update"] {
            let request = |resource| Count {
                what: Counted::Exemption,
                operation,
                resource,
                subresource: "",
            };
            let allowed = ["allow", "privileged", "latest", "enforce"];
            drop(
                it.evaluations
                    .get_or_create_owned(&evaluation(allowed.map(Cow::from), &request("pod"))),
            );
            for resource in ["pod", "controller"] {
                drop(
                    it.exemptions
                        .get_or_create_owned(&attributes(&request(resource))),
                );
            }
        }
        it
    }

    pub(super) fn count(&self, count: &Count) {
        match &count.what {
            Counted::Evaluation {
                decision,
                level,
                version,
                mode,
            } => {
                let what = [
                    (*decision).into(),
                    (*level).into(),
                    version.clone(),
                    (*mode).into(),
                ];
                self.evaluations
                    .get_or_create(&evaluation(what, count))
                    .inc();
            }
            Counted::Exemption => {
                self.exemptions.get_or_create(&attributes(count)).inc();
            }
            Counted::Error { fatal } => {
                let fatal = if *fatal { "true" } else { "false" };
                let [operation, resource, subresource] = attributes(count);
                let labels = [("fatal", fatal.into()), operation, resource, subresource];
                self.errors.get_or_create(&labels).inc();
            }
        }
    }
}

fn attributes(count: &Count) -> Labels<3> {
    [
        ("request_operation", count.operation.into()),
        ("resource", count.resource.into()),
        ("subresource", count.subresource.into()),
    ]
}

fn evaluation(what: [Cow<'static, str>; 4], count: &Count) -> Labels<7> {
    let [decision, level, version, mode] = what;
    let [operation, resource, subresource] = attributes(count);
    [
        ("decision", decision),
        ("policy_level", level),
        ("policy_version", version),
        ("mode", mode),
        operation,
        resource,
        subresource,
    ]
}
