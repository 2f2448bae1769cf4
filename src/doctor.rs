//! Judges what an installed gate looks like from outside: what is wrong with it, why that matters, and how to mend it.
//!
//! Pure: everything that was found is in a [`Snapshot`], nothing is asked here. One file a group of checks; what could
//! not be read becomes an observation `unknown`, where a check would have needed it.

mod certificate;
mod copies;
mod exclusions;
mod nodes;
mod policies;
mod reachability;
mod registration;
mod replicas;
mod rights;
mod rules;
mod service;
#[cfg(test)]
mod testing;
mod versions;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;

use crate::cluster::snapshot::{Snapshot, Sort, Unread};
use crate::output::diagnosis::Observation;
use crate::policy::PolicySet;

/// Every check, and what it asks; in the order in which observations are made.
pub const CHECKS: [(&str, &str); 25] = [
    (
        registration::REGISTERED,
        "Both webhook configurations are there, and their webhooks are podgate's.",
    ),
    (
        registration::FAILURE_POLICY,
        "What podgate does not answer is refused.",
    ),
    (
        registration::SETTINGS,
        "Match policy, time-out, reinvocation and side effects are as podgate needs them.",
    ),
    (
        rules::RULES,
        "Everything that podgate judges is sent to it.",
    ),
    (
        rules::TOO_WIDE,
        "Nothing that a cluster needs to mend itself is sent to podgate.",
    ),
    (
        exclusions::NAMESPACES,
        "Which namespaces are not judged, and who decides that.",
    ),
    (
        exclusions::OBJECTS,
        "Nobody can leave himself out by a label or an annotation of a Pod.",
    ),
    (
        service::SERVICE,
        "The Service that the webhooks name is there, and has the port.",
    ),
    (service::ENDPOINTS, "Somebody ready is behind it."),
    (
        certificate::CA_BUNDLE,
        "The CA bundle of each webhook is there and in force.",
    ),
    (
        certificate::SERVED,
        "The certificate that replicas present is one that the API server will trust.",
    ),
    (
        reachability::REACHED,
        "The API server gets an answer for a Pod that breaks nothing.",
    ),
    (
        reachability::ENFORCED,
        "A Pod that the policies reject is rejected.",
    ),
    (
        replicas::REPLICAS,
        "There are two replicas or more, ready and up to date.",
    ),
    (
        replicas::SPREAD,
        "Replicas are on different nodes, and a node can be drained without losing all.",
    ),
    (replicas::READINESS, "Each replica says that it is well."),
    (replicas::IMAGES, "All replicas run the same version."),
    (
        policies::POLICIES,
        "The policies of the ConfigMap can be loaded, and enforce something.",
    ),
    (
        policies::POLICY_SET,
        "Each replica judges by these policies.",
    ),
    (
        copies::COPIES,
        "No other registration calls podgate, or a second one.",
    ),
    (
        versions::API_SERVER,
        "The API server has what podgate relies on, and nothing that podgate does not know.",
    ),
    (
        versions::KUBELETS,
        "Kubelets are as new as what policies inject.",
    ),
    (
        nodes::INJECTIONS,
        "Nodes can apply the AppArmor profile, user namespace and runtime class that policies inject.",
    ),
    (
        rights::GATE,
        "podgate's service account has the rights that it needs, and no more.",
    ),
    (rights::OWN, "Whoever looks may look at everything."),
];

/// The checks that canaries are for.
pub const CANARIES: [&str; 2] = [reachability::REACHED, reachability::ENFORCED];
/// The checks that ports are forwarded for.
pub const CERTIFICATES: [&str; 1] = [certificate::SERVED];
/// The checks that replicas are asked for.
pub const HEALTH: [&str; 2] = [replicas::READINESS, policies::POLICY_SET];

/// What the checks are given.
struct Case<'s> {
    snapshot: &'s Snapshot,
    /// The policies, if they could be read and loaded.
    set: Option<&'s PolicySet>,
}

/// All observations. `set` is what the gate is meant to judge by; without it, what its `ConfigMap` says.
#[must_use]
pub fn examine(snapshot: &Snapshot, set: Option<&PolicySet>) -> Vec<Observation> {
    let mut seen = Vec::new();
    let loaded = policies::load(snapshot);
    let case = Case {
        snapshot,
        set: set.or_else(|| loaded.as_ref()?.as_ref().ok()),
    };
    registration::check(&case, &mut seen);
    rules::check(&case, &mut seen);
    exclusions::check(&case, &mut seen);
    service::check(&case, &mut seen);
    certificate::check(&case, &mut seen);
    reachability::check(&case, &mut seen);
    replicas::check(&case, &mut seen);
    policies::check(&case, loaded.as_ref(), &mut seen);
    copies::check(&case, &mut seen);
    versions::check(&case, &mut seen);
    nodes::check(&case, &mut seen);
    rights::check(&case, &mut seen);
    seen
}

/// What is said of something that could not be read.
fn unread(check: &'static str, place: impl Into<String>, why: &Unread) -> Observation {
    let observation = Observation::unknown(check, place, format!("cannot be looked at: {why}"));
    match why {
        Unread::Forbidden(_) => observation.fix(
            "get the rights of manifests/doctor-rbac.yaml, or leave the check out with --skip",
        ),
        _ => observation,
    }
}

/// What is said where a check is about replicas, and there are none: that is said elsewhere to be bad.
fn no_replica(case: &Case<'_>, check: &'static str) -> Observation {
    let place = format!("Pods in {}", case.snapshot.names.namespace);
    Observation::note(check, place, "there is none to look at")
}

/// A webhook, as people name it.
fn webhook_place(case: &Case<'_>, sort: Sort, webhook: &MutatingWebhook) -> String {
    let (_, name) = case.snapshot.registered(sort);
    format!("{} {name}, webhook {}", sort.kind(), webhook.name)
}

/// An object with a namespace, as people name it.
fn place(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind} {namespace}/{name}")
}

/// Names for a sentence, all but a few only counted.
fn named(names: &[String]) -> String {
    const MOST: usize = 8;
    let shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Case<'_> {
    /// True if the shipped flag makes the Pod Security labels of namespaces count, or the policies do.
    fn labels_count(&self) -> bool {
        self.set.is_some_and(|it| it.pod_security().is_some())
            || self
                .setting("pod-security-labels")
                .is_some_and(|it| it == "true")
    }

    /// What the Deployment sets podgate's flag of this name to, as an argument or as a variable; "true" if it only names it.
    fn setting(&self, name: &str) -> Option<String> {
        let (flag, variable) = (
            format!("--{name}"),
            format!("PODGATE_{}", name.replace('-', "_").to_uppercase()),
        );
        let deployment = self.snapshot.deployment.as_ref().ok();
        let spec = deployment.and_then(|it| it.as_ref()?.spec.template.spec.as_ref())?;
        spec.containers.iter().find_map(|container| {
            let mut words = container.command.iter().chain(&container.args).flatten();
            while let Some(word) = words.next() {
                if let Some(value) = word.strip_prefix(&flag) {
                    return match value.strip_prefix('=') {
                        Some(value) => Some(value.to_owned()),
                        None if value.is_empty() => {
                            let next = words.next().filter(|it| !it.starts_with('-'));
                            Some(next.map_or_else(|| "true".to_owned(), Clone::clone))
                        }
                        // Another flag that begins in the same way.
                        None => continue,
                    };
                }
            }
            let mut variables = container.env.iter().flatten();
            variables.find(|it| it.name == variable)?.value.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{healthy, observed};
    use super::*;

    #[test]
    fn a_healthy_install_is_healthy_and_every_check_says_so() {
        let seen = examine(&healthy(), None);
        let bad: Vec<_> = seen
            .iter()
            .filter(|it| it.severity <= crate::output::diagnosis::Severity::Unknown)
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let silent: Vec<_> = CHECKS
            .iter()
            .map(|(check, _)| *check)
            .filter(|check| !seen.iter().any(|it| it.check == *check))
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
    }

    #[test]
    fn the_reference_names_every_check() {
        let reference = include_str!("../manifests/doctor.md");
        for (check, asks) in CHECKS {
            assert!(
                reference.contains(&format!("| `{check}` | {asks} |")),
                "{check}"
            );
        }
    }

    #[test]
    fn nothing_readable_is_nothing_fine() {
        let mut blind = healthy();
        let forbidden = || Unread::Forbidden("look".to_owned());
        blind.api_server = Err(forbidden());
        blind.validating = Err(forbidden());
        blind.mutating = Err(forbidden());
        blind.namespaces = Err(forbidden());
        blind.deployment = Err(forbidden());
        blind.budgets = Err(forbidden());
        blind.replicas = Err(forbidden());
        blind.policies = Err(forbidden());
        blind.nodes = Err(forbidden());
        blind.services.clear();
        for canary in &mut blind.canaries {
            canary.answer = Err(forbidden());
        }
        for (_, may) in &mut blind.own_rights {
            *may = Ok(false);
        }
        for (_, _, may) in &mut blind.gate_rights {
            *may = Err(forbidden());
        }
        let seen = observed(&blind);
        assert!(
            seen.iter().all(|line| line.starts_with("unknown ")),
            "{seen:#?}"
        );
    }
}
