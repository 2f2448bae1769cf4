//! What is sent to podgate: all that it judges, and nothing that a cluster needs to mend itself.

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;

use super::{Case, named, unread};
use crate::cluster::snapshot::Sort;
use crate::output::diagnosis::Observation;
use crate::pod::Kind;

pub(super) const RULES: &str = "rules";
pub(super) const TOO_WIDE: &str = "rules-too-wide";

/// What the kubelet, controllers and the API server itself write, whether podgate is there or not: group, resource.
const LIFELINES: [(&str, &str); 11] = [
    ("coordination.k8s.io", "leases"),
    ("", "nodes"),
    ("", "nodes/status"),
    ("", "endpoints"),
    ("discovery.k8s.io", "endpointslices"),
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("", "events"),
    ("", "pods/binding"),
    ("", "pods/eviction"),
    ("", "pods/status"),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
    ),
];

/// Something that is to be sent.
struct Needed {
    group: &'static str,
    resource: &'static str,
    operation: &'static str,
}

/// What belongs together, and what is lost where some of it is not sent.
struct Need {
    severity: fn(&'static str, String, String) -> Observation,
    lost: &'static str,
    needed: Vec<Needed>,
}

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    for sort in Sort::ALL {
        let (all, name) = case.snapshot.registered(sort);
        let place = format!("{} {name}", sort.kind());
        if let Err(why) = all {
            seen.push(unread(RULES, &*place, why));
            seen.push(unread(TOO_WIDE, &*place, why));
        }
        let Some(own) = case.snapshot.own(sort) else {
            continue;
        };
        let rules = own.webhooks.iter().flat_map(|it| it.rules.iter().flatten());
        let rules = Rules(rules.collect());
        let before = seen.len();
        for need in needs(case, sort) {
            let missing = need.needed.iter().filter(|it| !rules.send(it));
            let missing: Vec<String> = missing
                .map(|it| format!("{} of {}", it.operation, it.resource))
                .collect();
            if !missing.is_empty() {
                let what = format!("not sent to podgate: {}", named(&missing));
                let observation = (need.severity)(RULES, place.clone(), what);
                let fix = "register the rules of manifests/base/webhooks";
                seen.push(observation.why(need.lost).fix(fix));
            }
        }
        if seen.len() == before {
            let what = "all that podgate judges is sent to it";
            seen.push(Observation::ok(RULES, &*place, what));
        }
        seen.push(rules.too_wide(&place));
    }
}

/// What is to be sent to webhooks of that sort.
fn needs(case: &Case<'_>, sort: Sort) -> Vec<Need> {
    let core = |operations: &[(&'static str, &'static str)]| {
        let needed = operations.iter().map(|&(resource, operation)| Needed {
            group: "",
            resource,
            operation,
        });
        needed.collect()
    };
    if sort == Sort::Mutating {
        return vec![Need {
            severity: Observation::warning,
            lost: "nothing is injected there",
            needed: core(&[("pods", "CREATE"), ("pods/ephemeralcontainers", "UPDATE")]),
        }];
    }
    let mut needs = vec![
        Need {
            severity: Observation::error,
            lost: "such Pods are let in unchecked",
            needed: core(&[
                ("pods", "CREATE"),
                ("pods", "UPDATE"),
                ("pods/ephemeralcontainers", "UPDATE"),
                ("pods/resize", "UPDATE"),
            ]),
        },
        Need {
            severity: Observation::warning,
            lost: "who writes a template hears nothing; only its controller is told, when its Pods are rejected",
            needed: workloads(),
        },
    ];
    if case.labels_count() {
        needs.push(Need {
            severity: Observation::warning,
            lost: "namespaces with Pod Security labels that mean nothing are accepted",
            needed: core(&[("namespaces", "CREATE"), ("namespaces", "UPDATE")]),
        });
    }
    needs
}

fn workloads() -> Vec<Needed> {
    let kinds = [
        Kind::PodTemplate,
        Kind::ReplicationController,
        Kind::DaemonSet,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::CronJob,
        Kind::Job,
    ];
    let both = kinds.into_iter().flat_map(|kind| {
        ["CREATE", "UPDATE"].map(|operation| Needed {
            group: kind.group(),
            resource: kind.resource(),
            operation,
        })
    });
    both.collect()
}

/// The rules of one configuration.
struct Rules<'r>(Vec<&'r RuleWithOperations>);

// === impl Rules ===

impl Rules<'_> {
    fn send(&self, needed: &Needed) -> bool {
        self.0.iter().any(|rule| {
            has(rule.api_groups.as_ref(), needed.group)
                && has(rule.api_versions.as_ref(), "v1")
                && has(rule.operations.as_ref(), needed.operation)
                && has_resource(rule, needed.resource)
        })
    }

    fn too_wide(&self, place: &str) -> Observation {
        let sent = |group: &str, resource: &str| {
            let mut rules = self.0.iter();
            rules.any(|it| has(it.api_groups.as_ref(), group) && has_resource(it, resource))
        };
        let lifelines = LIFELINES
            .iter()
            .filter(|(group, resource)| sent(group, resource));
        let lifelines: Vec<String> = lifelines.map(|(_, it)| (*it).to_owned()).collect();
        let fix = "register the rules of manifests/base/webhooks, and no others";
        if !lifelines.is_empty() {
            let what = format!("sent to podgate without need: {}", named(&lifelines));
            return Observation::error(TOO_WIDE, place, what)
                .why("while podgate is down nobody can write these: nodes are lost, leaders are not elected, and podgate itself cannot be started")
                .fix(fix);
        }
        let deletions = self.0.iter().any(|it| {
            has(it.operations.as_ref(), "DELETE") || has(it.operations.as_ref(), "CONNECT")
        });
        if deletions {
            return Observation::warning(
                TOO_WIDE,
                place,
                "deletions or connections are sent to podgate",
            )
            .why("it never judges them, and while it is down nothing can be deleted")
            .fix(fix);
        }
        Observation::ok(TOO_WIDE, place, "nothing is sent to podgate without need")
    }
}

fn has(list: Option<&Vec<String>>, it: &str) -> bool {
    list.into_iter()
        .flatten()
        .any(|one| one == it || one == "*")
}

fn has_resource(rule: &RuleWithOperations, resource: &str) -> bool {
    let (whole, part) = resource.split_once('/').unwrap_or((resource, ""));
    rule.resources.iter().flatten().any(|one| {
        let (own, own_part) = one.split_once('/').unwrap_or((one, ""));
        (own == "*" || own == whole) && (own_part == part || own_part == "*")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};

    fn resources(
        from: &'static str,
        to: &'static str,
    ) -> impl Fn(&mut super::super::testing::Webhook) {
        move |it| {
            for rule in it.rules.as_mut().unwrap() {
                for resource in rule.resources.as_mut().unwrap() {
                    if resource == from {
                        to.clone_into(resource);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_sent_is_judged() {
        let place = "ValidatingWebhookConfiguration podgate";
        cases(&[
            Case::webhook(
                resources("pods/resize", "pods/log"),
                &format!("error rules: {place}: not sent to podgate: UPDATE of pods/resize"),
            ),
            Case::webhook(
                |it| it.rules.as_mut().unwrap()[0].operations = Some(vec!["CREATE".to_owned()]),
                &format!("error rules: {place}: not sent to podgate: UPDATE of pods"),
            ),
            Case::webhook(
                resources("cronjobs", "jobs/status"),
                &format!(
                    "warning rules: {place}: not sent to podgate: CREATE of cronjobs, UPDATE of cronjobs"
                ),
            ),
            Case::new(
                |it| {
                    it.validating.as_mut().unwrap()[0].webhooks.truncate(1);
                },
                &format!(
                    "warning rules: {place}: not sent to podgate: CREATE of namespaces, UPDATE of namespaces"
                ),
            ),
            Case::new(
                |it| {
                    let rules = it.mutating.as_mut().unwrap()[0].webhooks[0].rules.as_mut();
                    rules.unwrap().truncate(1);
                },
                "warning rules: MutatingWebhookConfiguration podgate: not sent to podgate: UPDATE of pods/ephemeralcontainers",
            ),
            Case::webhook(
                |it| {
                    let rule = &mut it.rules.as_mut().unwrap()[0];
                    rule.api_groups = Some(vec!["*".to_owned()]);
                    rule.resources = Some(vec!["*/*".to_owned()]);
                },
                &format!(
                    "error rules-too-wide: {place}: sent to podgate without need: leases, nodes, nodes/status, endpoints"
                ),
            ),
            Case::webhook(
                |it| it.rules.as_mut().unwrap()[0].operations = Some(vec!["*".to_owned()]),
                &format!("warning rules-too-wide: {place}: deletions or connections"),
            ),
        ]);
    }
}
