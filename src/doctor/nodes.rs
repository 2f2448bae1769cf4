//! Whether nodes can apply what policies inject. Where one cannot, the Pod fails there for the gate's sake.
//!
//! Kubelets before v1.31 said `AppArmor enabled` in the message of their condition `Ready`. Newer ones say nothing; that
//! one refused a Pod for want of it is then all that can be seen from outside.

use k8s_openapi::api::core::v1::Node;

use super::versions::{injected, minor};
use super::{Case, named, unread};
use crate::control::AnyInjection;
use crate::output::diagnosis::Observation;
use crate::policy::PolicySet;

pub(super) const INJECTIONS: &str = "node-features";

/// The first minor version that no longer says so.
const SILENT_SINCE: usize = 31;
const ENABLED: &str = "AppArmor enabled";

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let before = seen.len();
    let injected = injected(case);
    let needs = |name: &str| injected.contains(&name);
    let by_node = needs("appArmorProfile") || needs("hostUsers");
    match &case.snapshot.nodes {
        Err(why) if by_node || case.set.is_none() => seen.push(unread(INJECTIONS, "nodes", why)),
        Err(_) => {}
        Ok(nodes) => {
            let nodes: Vec<&Node> = nodes.iter().filter(|it| is_linux(it)).collect();
            if needs("appArmorProfile") {
                app_armor(case, &nodes, seen);
            }
            if needs("hostUsers") {
                user_namespaces(&nodes, seen);
            }
        }
    }
    runtime_classes(case, seen);
    if case.set.is_none() && seen.len() == before {
        seen.push(Observation::unknown(
            INJECTIONS,
            "nodes",
            "what policies inject is not known",
        ));
    }
    if seen.len() == before {
        let what = "policies inject nothing that a node may lack";
        seen.push(Observation::ok(INJECTIONS, "nodes", what));
    }
}

fn is_linux(node: &Node) -> bool {
    let info = node.status.as_ref().and_then(|it| it.node_info.as_ref());
    info.is_none_or(|it| it.operating_system != "windows")
}

fn name(node: &Node) -> String {
    node.metadata.name.clone().unwrap_or_default()
}

fn app_armor(case: &Case<'_>, nodes: &[&Node], seen: &mut Vec<Observation>) {
    let place = "nodes";
    let lost =
        "a Pod with an AppArmor profile fails there (reason AppArmor), although the gate let it in";
    let fix = "enable AppArmor on these nodes, or inject the profile only where they are not: match namespaces that are bound to other nodes";
    let (mut without, mut silent) = (Vec::new(), Vec::new());
    for node in nodes {
        let status = node.status.as_ref();
        let info = status.and_then(|it| it.node_info.as_ref());
        let version = info.and_then(|it| minor(&it.kubelet_version));
        let mut conditions = status.iter().flat_map(|it| it.conditions.iter().flatten());
        let says =
            conditions.any(|it| it.message.as_deref().is_some_and(|it| it.contains(ENABLED)));
        if !says && version.is_some_and(|it| it < SILENT_SINCE) {
            without.push(name(node));
        } else if !says {
            silent.push(name(node));
        }
    }
    let refusals = match &case.snapshot.app_armor_refusals {
        Err(why) => {
            seen.push(unread(
                INJECTIONS,
                "Pods that failed for want of AppArmor",
                why,
            ));
            None
        }
        Ok(refusals) => Some(refusals),
    };
    for (node, count) in refusals.into_iter().flatten() {
        silent.retain(|it| it != node);
        let what = format!(
            "{node} has refused {count} of the Pods that are still there, for want of AppArmor"
        );
        seen.push(
            Observation::error(INJECTIONS, place, what)
                .why(lost)
                .fix(fix)
                .command("kubectl get pods -A --field-selector status.phase=Failed"),
        );
    }
    if !without.is_empty() {
        let what = format!(
            "policies inject an AppArmor profile, and these have no AppArmor: {}",
            named(&without)
        );
        seen.push(
            Observation::error(INJECTIONS, place, what)
                .why(lost)
                .fix(fix),
        );
    }
    if !silent.is_empty() {
        let what = format!(
            "policies inject an AppArmor profile, and whether these have AppArmor cannot be seen from outside: {}",
            named(&silent)
        );
        seen.push(
            Observation::unknown(INJECTIONS, place, what)
                .why(lost)
                .fix(format!(
                    "look on the nodes; once that is done, --skip {INJECTIONS}"
                ))
                .command("cat /sys/module/apparmor/parameters/enabled # on the node: Y"),
        );
    }
}

fn user_namespaces(nodes: &[&Node], seen: &mut Vec<Observation>) {
    let without: Vec<String> = nodes
        .iter()
        .filter(|node| {
            let status = node.status.as_ref();
            let mut handlers = status
                .iter()
                .flat_map(|it| it.runtime_handlers.iter().flatten());
            let default = handlers.find(|it| it.name.as_deref().unwrap_or_default().is_empty());
            let features = default.and_then(|it| it.features.as_ref());
            features.and_then(|it| it.user_namespaces) != Some(true)
        })
        .map(|it| name(it))
        .collect();
    if !without.is_empty() {
        let what = format!(
            "policies inject hostUsers: false, and the runtime of these does not say that it can: {}",
            named(&without)
        );
        seen.push(
            Observation::error(INJECTIONS, "nodes", what)
                .why("the Pod does not start there, although the gate let it in")
                .fix("update the container runtime and the kernel there, or take the injection out")
                .command("kubectl get nodes -o custom-columns='NAME:.metadata.name,HANDLERS:.status.runtimeHandlers'"),
        );
    }
}

fn runtime_classes(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let policies = case.set.into_iter().flat_map(PolicySet::policies);
    let wanted = policies.flat_map(|policy| {
        policy.injections.iter().filter_map(|(_, it)| match it {
            AnyInjection::InjectRuntimeClass(it) => Some((policy.name.as_str(), it.0.as_str())),
            _ => None,
        })
    });
    for (policy, class) in wanted {
        let place = format!("RuntimeClass {class}");
        match &case.snapshot.runtime_classes {
            Err(why) => seen.push(unread(INJECTIONS, place, why)),
            Ok(all) if all.iter().any(|it| it == class) => {}
            Ok(_) => seen.push(
                Observation::error(
                    INJECTIONS,
                    place,
                    format!("policy {policy} injects it, and it is not there"),
                )
                .why("every Pod that it is injected into is refused")
                .fix("create it, or take the injection out"),
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::testing::{Case, cases, from, inject, kubelet};
    use crate::cluster::snapshot::{Snapshot, Unread};

    fn ready(snapshot: &mut Snapshot, at: usize, message: &str) {
        let status = snapshot.nodes.as_mut().unwrap()[at]
            .status
            .as_mut()
            .unwrap();
        status.conditions = from(&json!([{"type": "Ready", "status": "True", "message": message}]));
    }

    fn profile(snapshot: &mut Snapshot) {
        inject(snapshot, "appArmorProfile: RuntimeDefault");
    }

    #[test]
    fn nodes_that_cannot_are_named() {
        cases(&[
            Case::new(
                |it| {
                    profile(it);
                    kubelet(it, 0, "v1.30.1");
                    ready(it, 1, "kubelet is posting ready status. AppArmor enabled");
                },
                "error node-features: nodes: policies inject an AppArmor profile, and these have no AppArmor: n1",
            ),
            Case::new(
                profile,
                "unknown node-features: nodes: policies inject an AppArmor profile, and whether these have AppArmor cannot be seen from outside: n1, n2",
            ),
            Case::new(
                |it| {
                    profile(it);
                    it.app_armor_refusals = Ok(BTreeMap::from([("n2".to_owned(), 3)]));
                },
                "error node-features: nodes: n2 has refused 3 of the Pods",
            ),
            Case::new(
                |it| {
                    profile(it);
                    it.app_armor_refusals = Err(Unread::Forbidden("list pods".to_owned()));
                },
                "unknown node-features: Pods that failed for want of AppArmor: cannot be looked at: you may not list pods",
            ),
            Case::new(
                |it| {
                    profile(it);
                    for node in it.nodes.as_mut().unwrap() {
                        let info = node.status.as_mut().unwrap().node_info.as_mut().unwrap();
                        info.operating_system = "windows".to_owned();
                    }
                },
                "ok node-features: nodes: ",
            ),
            Case::new(
                |it| {
                    inject(it, "hostUsers: false");
                    let status = it.nodes.as_mut().unwrap()[0].status.as_mut().unwrap();
                    status.runtime_handlers =
                        from(&json!([{"name": "", "features": {"userNamespaces": true}}]));
                },
                "error node-features: nodes: policies inject hostUsers: false, and the runtime of these does not say that it can: n2",
            ),
            Case::new(
                |it| inject(it, "runtimeClassName: gvisor"),
                "error node-features: RuntimeClass gvisor: policy injects injects it, and it is not there",
            ),
            Case::new(
                |it| it.nodes = Err(Unread::Forbidden("list nodes".to_owned())),
                "unknown kubelets: kubelets: cannot be looked at: you may not list nodes",
            ),
        ]);
    }
}
