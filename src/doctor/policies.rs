//! The policies: they load, enforce something, and are those by which every replica judges.

use std::collections::BTreeMap;

use kube::ResourceExt as _;

use super::replicas::metric;
use super::{Case, named, no_replica, place, unread};
use crate::cluster::snapshot::{Replica, Snapshot, Unread};
use crate::output::diagnosis::Observation;
use crate::policy::{LoadError, Mode, PolicySet};
use crate::server::directory::is_policy;

pub(super) const POLICIES: &str = "policies";
pub(super) const POLICY_SET: &str = "policy-set";

/// The metric whose label is the hash of the set in force.
const HASH: &str = "podgate_policy_set_info{hash=\"";
/// What a readiness text says where the newest policies could not be used.
const REFUSED: &str = "the newest was refused";

/// The policies of the `ConfigMap`, if it could be read: its entries are what a replica finds in its directory.
pub(super) fn load(snapshot: &Snapshot) -> Option<Result<PolicySet, LoadError>> {
    let map = snapshot.policies.as_ref().ok()?.as_ref()?;
    let entries = map.data.iter().flatten();
    let files: Vec<(String, String)> = entries
        .filter(|(name, _)| is_policy(name))
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    Some(PolicySet::load(&at(snapshot), &files))
}

pub(super) fn check(
    case: &Case<'_>,
    loaded: Option<&Result<PolicySet, LoadError>>,
    seen: &mut Vec<Observation>,
) {
    seen.push(policies(case, loaded));
    let replicas = match &case.snapshot.replicas {
        Err(why) => {
            seen.push(unread(POLICY_SET, "replicas", why));
            return;
        }
        Ok(replicas) => replicas,
    };
    let mut by_hash: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    if replicas.is_empty() {
        seen.push(no_replica(case, POLICY_SET));
    }
    for replica in replicas {
        let place = place(
            "Pod",
            &case.snapshot.names.namespace,
            &replica.pod.name_any(),
        );
        match &replica.metrics {
            Err(Unread::Impossible(why)) => seen.push(Observation::note(POLICY_SET, place, why)),
            Err(why) => seen.push(unread(POLICY_SET, place, why)),
            Ok(metrics) => {
                let hash = hash(metrics);
                if let Some(hash) = hash {
                    by_hash
                        .entry(hash)
                        .or_default()
                        .push(replica.pod.name_any());
                }
                seen.push(one(case, place, replica, metrics, hash));
            }
        }
    }
    if by_hash.len() > 1 {
        let told: Vec<String> = by_hash
            .iter()
            .map(|(hash, pods)| format!("{hash} ({})", named(pods)))
            .collect();
        let what = format!("they judge by different policies: {}", told.join("; "));
        seen.push(
            Observation::warning(POLICY_SET, format!("Pods in {}", case.snapshot.names.namespace), what)
                .why("whether a Pod is let in depends on which replica is asked")
                .fix("within two minutes of a change that passes by itself; else see the log of the one that is behind"),
        );
    }
}

fn at(snapshot: &Snapshot) -> String {
    place(
        "ConfigMap",
        &snapshot.names.namespace,
        &snapshot.names.policies,
    )
}

fn policies(case: &Case<'_>, loaded: Option<&Result<PolicySet, LoadError>>) -> Observation {
    let at = at(case.snapshot);
    let create = format!(
        "kubectl -n {} create configmap {} --from-file=policies/",
        case.snapshot.names.namespace, case.snapshot.names.policies
    );
    match (&case.snapshot.policies, loaded) {
        (Err(why), _) => unread(POLICIES, at, why),
        (Ok(_), None) => Observation::error(POLICIES, at, "it is not there")
            .why("the Deployment mounts it: no new replica can start")
            .fix("create it; if yours has another name, say it with --config-map")
            .command(create),
        (_, Some(Err(error))) => Observation::error(POLICIES, at, format!("its policies cannot be loaded: {error}"))
            .why("replicas go on with the last good ones, and one that is restarted does not become ready")
            .fix("mend what is said, and try before applying")
            .command("podgate check --policies policies/ FILE"),
        (_, Some(Ok(set))) => {
            let enforces = set.policies().iter().any(|policy| policy.checks.iter().any(|(_, mode)| *mode == Mode::Enforce));
            if !enforces && !case.labels_count() {
                return Observation::note(POLICIES, at, "no policy is in mode enforce")
                    .why("nothing is rejected: podgate only warns and records");
            }
            Observation::ok(POLICIES, at, format!("{} load, set {}", set.policies().len(), set.hash()))
        }
    }
}

fn hash(metrics: &str) -> Option<&str> {
    // A set that is no longer in force has the value 0, or is gone.
    let mut lines = metrics.lines().filter_map(|it| it.strip_prefix(HASH));
    lines.find_map(|it| it.strip_suffix("\"} 1"))
}

/// What is said of the policies of one replica.
fn one(
    case: &Case<'_>,
    place: String,
    replica: &Replica,
    metrics: &str,
    hash: Option<&str>,
) -> Observation {
    if metric(metrics, "podgate_policies_stale").is_some_and(|it| it > 0.0) {
        let text = replica.readiness.as_deref().unwrap_or_default();
        let why = text.lines().find(|it| it.contains(REFUSED));
        let what = format!(
            "the newest policies were refused, older ones are in force{}",
            why.map(|it| format!(": {it}")).unwrap_or_default()
        );
        return Observation::warning(POLICY_SET, place, what)
            .why("what was changed does not hold, and a replica that is restarted does not become ready")
            .fix("mend the policies")
            .command(format!(
                "kubectl -n {} edit configmap {}",
                case.snapshot.names.namespace, case.snapshot.names.policies
            ));
    }
    match (hash, case.set) {
        (None, _) => {
            let why = Unread::Failed("its metrics name no policy set".to_owned());
            unread(POLICY_SET, place, &why)
        }
        (Some(hash), Some(set)) if hash != set.hash() => {
            let what = format!(
                "it judges by set {hash}, and the policies are set {}",
                set.hash()
            );
            Observation::warning(POLICY_SET, place, what)
                .why("it does not have the last change, or judges by something else")
                .fix("within two minutes of a change that passes by itself; a subPath mount is never updated; else see its log")
        }
        (Some(hash), _) => Observation::ok(POLICY_SET, place, format!("it judges by set {hash}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};
    use super::*;

    fn first(change: impl Fn(&mut Replica)) -> impl Fn(&mut Snapshot) {
        move |it| change(&mut it.replicas.as_mut().unwrap()[0])
    }

    fn policy(text: &'static str) -> impl Fn(&mut Snapshot) {
        move |it| {
            let data = BTreeMap::from([("a.yaml".to_owned(), text.to_owned())]);
            it.policies.as_mut().unwrap().as_mut().unwrap().data = Some(data);
        }
    }

    #[test]
    fn policies_that_do_not_hold_are_named() {
        let map = "ConfigMap podgate-system/podgate-policies";
        let pod = "Pod podgate-system/podgate-1";
        cases(&[
            Case::new(
                |it| it.policies = Ok(None),
                &format!("error policies: {map}: it is not there"),
            ),
            Case::new(
                policy("kind: 7"),
                &format!("error policies: {map}: its policies cannot be loaded: "),
            ),
            Case::new(
                |it| {
                    policy(
                        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: a}\nspec: {mode: audit, level: baseline}\n",
                    )(it);
                    it.deployment = Ok(None);
                },
                &format!("note policies: {map}: no policy is in mode enforce"),
            ),
            Case::new(
                first(|it| it.metrics = Ok("podgate_policy_set_info{hash=\"00\"} 1\n".to_owned())),
                &format!(
                    "warning policy-set: {pod}: it judges by set 00, and the policies are set "
                ),
            ),
            Case::new(
                first(|it| it.metrics = Ok("podgate_policy_set_info{hash=\"00\"} 1\n".to_owned())),
                "warning policy-set: Pods in podgate-system: they judge by different policies: 00 (podgate-1); ",
            ),
            Case::new(
                first(|it| {
                    it.metrics = Ok("podgate_policies_stale 1\n".to_owned());
                    it.readiness = Ok(
                        "[+]policies ok: 1 in force; the newest was refused: a.yaml:1:1".to_owned(),
                    );
                }),
                &format!(
                    "warning policy-set: {pod}: the newest policies were refused, older ones are in force: [+]policies ok"
                ),
            ),
            Case::new(
                first(|it| it.metrics = Ok(String::new())),
                &format!(
                    "unknown policy-set: {pod}: cannot be looked at: its metrics name no policy set"
                ),
            ),
        ]);
    }
}
