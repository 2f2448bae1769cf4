//! podgate's Pods: enough of them, apart from each other, well, and of one version.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};

use super::{Case, named, no_replica, place, unread};
use crate::cluster::snapshot::{Replica, Unread};
use crate::output::diagnosis::Observation;

pub(super) const REPLICAS: &str = "replicas";
pub(super) const SPREAD: &str = "spread";
pub(super) const READINESS: &str = "readiness";
pub(super) const IMAGES: &str = "images";

/// How a failed condition begins in `/readyz?verbose`.
const FAILED: &str = "[-]";
/// How podgate says there that it does not hear of namespaces any more, and stays ready.
const STALE: &str = "may be out of date";
/// Why a container waits that is being started.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let names = &case.snapshot.names;
    seen.push(deployment(case));
    let replicas = match &case.snapshot.replicas {
        Err(why) => {
            for check in [SPREAD, READINESS, IMAGES] {
                seen.push(unread(check, "replicas", why));
            }
            return;
        }
        Ok(replicas) => replicas,
    };
    seen.push(spread(case, replicas));
    seen.push(budget(case, replicas));
    if replicas.is_empty() {
        seen.push(no_replica(case, READINESS));
    }
    for replica in replicas {
        let place = place("Pod", &names.namespace, &replica.pod.name_any());
        readiness(&place, replica, seen);
    }
    seen.push(images(&names.namespace, replicas));
}

/// The value of a metric without labels.
pub(super) fn metric(metrics: &str, name: &str) -> Option<f64> {
    let lines = metrics.lines().filter_map(|it| it.strip_prefix(name));
    let mut values = lines.filter_map(|it| it.strip_prefix(' '));
    values.next()?.split(' ').next()?.parse().ok()
}

fn deployment(case: &Case<'_>) -> Observation {
    let names = &case.snapshot.names;
    let place = place("Deployment", &names.namespace, &names.deployment);
    let deployment = match &case.snapshot.deployment {
        Err(why) => return unread(REPLICAS, place, why),
        Ok(None) => {
            return Observation::warning(REPLICAS, place, "it is not there")
                .why("nothing starts podgate again when its Pods are gone")
                .fix("apply manifests/; if yours has another name, say it with --deployment")
                .command(format!("kubectl get deployments -n {}", names.namespace));
        }
        Ok(Some(deployment)) => deployment,
    };
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let ready = status.ready_replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let rollout = format!(
        "kubectl rollout status deployment {} -n {}",
        names.deployment, names.namespace
    );
    if wanted == 0 || ready == 0 {
        let what = format!("{ready} of {wanted} replicas are ready");
        return Observation::error(REPLICAS, place, what)
            .why("nobody answers: nothing that podgate judges can be created")
            .fix(if wanted == 0 {
                "scale it up"
            } else {
                "see what its Pods and their log say"
            })
            .command(if wanted == 0 {
                format!(
                    "kubectl scale deployment {} -n {} --replicas=2",
                    names.deployment, names.namespace
                )
            } else {
                format!("kubectl describe pods -n {}", names.namespace)
            });
    }
    if wanted < 2 {
        return Observation::warning(REPLICAS, place, "it has one replica")
            .why("while that is restarted or its node is drained, nothing that podgate judges can be created")
            .fix("run two or more")
            .command(format!("kubectl scale deployment {} -n {} --replicas=2", names.deployment, names.namespace));
    }
    if ready < wanted {
        return Observation::warning(
            REPLICAS,
            place,
            format!("{ready} of {wanted} replicas are ready"),
        )
        .why("one more lost may be the last")
        .command(rollout);
    }
    if updated < wanted {
        return Observation::warning(
            REPLICAS,
            place,
            format!("{updated} of {wanted} replicas are up to date"),
        )
        .why("the others answer as the version before")
        .command(rollout);
    }
    Observation::ok(
        REPLICAS,
        place,
        format!("{ready} of {wanted} replicas are ready"),
    )
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn spread(case: &Case<'_>, replicas: &[Replica]) -> Observation {
    let place = format!("Pods in {}", case.snapshot.names.namespace);
    let on: BTreeSet<&str> = replicas.iter().filter_map(|it| node(&it.pod)).collect();
    let many_nodes = case.snapshot.nodes.as_ref().map_or(true, |it| it.len() > 1);
    match on.first() {
        Some(only) if on.len() == 1 && replicas.len() > 1 && many_nodes => {
            Observation::warning(SPREAD, place, format!("all {} replicas are on node {only}", replicas.len()))
                .why("one node lost takes all of them")
                .fix("spread them over kubernetes.io/hostname, as the shipped Deployment does, and restart it")
                .command(format!(
                    "kubectl rollout restart deployment {} -n {}",
                    case.snapshot.names.deployment, case.snapshot.names.namespace
                ))
        }
        Some(only) if on.len() == 1 => {
            Observation::note(SPREAD, place, format!("all run on node {only}")).why("one node lost takes the gate with it")
        }
        None => Observation::note(SPREAD, place, "none is on a node"),
        Some(_) => Observation::ok(SPREAD, place, format!("they are on {} nodes", on.len())),
    }
}

fn budget(case: &Case<'_>, replicas: &[Replica]) -> Observation {
    let place = format!("PodDisruptionBudgets in {}", case.snapshot.names.namespace);
    let budgets = match &case.snapshot.budgets {
        Err(why) => return unread(SPREAD, place, why),
        Ok(budgets) => budgets,
    };
    let covers = |pod: &Pod| {
        budgets.iter().find(|budget| {
            let selector = budget.spec.as_ref().and_then(|it| it.selector.clone());
            let selector = selector.and_then(|it| Selector::try_from(it).ok());
            selector.is_some_and(|it| it.matches(pod.labels()))
        })
    };
    let Some(budget) = replicas.first().and_then(|it| covers(&it.pod)) else {
        if replicas.is_empty() {
            return Observation::note(SPREAD, place, "there is no Pod that one could be for");
        }
        return Observation::warning(SPREAD, place, "there is none for podgate's Pods")
            .why("draining nodes may take all replicas at once")
            .fix("apply the PodDisruptionBudget of manifests/");
    };
    let status = budget.status.clone().unwrap_or_default();
    if status.expected_pods.unwrap_or(0) > 0 && status.disruptions_allowed == Some(0) {
        let name = budget.name_any();
        return Observation::warning(SPREAD, place, format!("{name} allows no disruption now"))
            .why("no node with a replica can be drained")
            .fix("run more replicas than it asks for, or mend those that are not ready")
            .command(format!(
                "kubectl describe poddisruptionbudget {name} -n {}",
                case.snapshot.names.namespace
            ));
    }
    Observation::ok(
        SPREAD,
        place,
        format!("{} lets one replica go at a time", budget.name_any()),
    )
}

fn readiness(place: &str, replica: &Replica, seen: &mut Vec<Observation>) {
    let status = replica.pod.status.clone().unwrap_or_default();
    let down = status.container_statuses.iter().flatten().find_map(down);
    if let Some((what, is_starting)) = down {
        let name = replica.pod.name_any();
        let namespace = replica.pod.namespace().unwrap_or_default();
        let observation = if is_starting {
            Observation::warning(READINESS, place, what)
        } else {
            Observation::error(READINESS, place, what)
        };
        seen.push(
            observation
                .why("it answers nothing")
                .command(format!("kubectl describe pod {name} -n {namespace}")),
        );
        return;
    }
    let text = match &replica.readiness {
        // That a Pod does not run is known, and no mystery.
        Err(Unread::Impossible(why)) => {
            let phase = status.phase.unwrap_or_default();
            seen.push(Observation::warning(
                READINESS,
                place,
                format!("{why} ({phase})"),
            ));
            return;
        }
        Err(why) => {
            seen.push(unread(READINESS, place, why));
            return;
        }
        Ok(text) => text,
    };
    let before = seen.len();
    for line in text.lines().filter(|it| it.starts_with(FAILED)) {
        seen.push(
            Observation::error(READINESS, place, line.trim_start_matches(FAILED))
                .why("until that is mended, the replica gets no reviews"),
        );
    }
    for line in text.lines().filter(|it| it.contains(STALE)) {
        seen.push(
            Observation::warning(READINESS, place, line.trim_start_matches("[+]"))
                .why("policies that select by the labels of namespaces judge by old ones")
                .fix("see that the Pod reaches the API server, and that its service account may watch namespaces"),
        );
    }
    if seen.len() == before {
        seen.push(Observation::ok(READINESS, place, "it says that it is well"));
    }
}

/// Why a container does not run, if so, and whether that may be because it is being started.
fn down(status: &ContainerStatus) -> Option<(String, bool)> {
    let state = status.state.as_ref()?;
    let last = status.last_state.as_ref();
    let ended = state.terminated.as_ref();
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        // The reason of a container that crashed says how long it waits; how it ended says more.
        let what = match last.and_then(|it| it.terminated.as_ref()) {
            Some(ended) => format!("it does not stay up: {reason}, {}", end(ended)),
            None => format!("it has not started: {reason} {message}"),
        };
        // Every Pod goes through these; one that stays there waits for a volume or an image.
        return Some((what.trim_end().to_owned(), STARTING.contains(&reason)));
    }
    ended.map(|it| (format!("it does not stay up: {}", end(it)), false))
}

/// How a container ended, with the errors that it told then.
fn end(ended: &ContainerStateTerminated) -> String {
    let said = ended.message.iter().flat_map(|it| it.lines());
    let errors: Vec<&str> = said.filter(|it| it.starts_with("error")).collect();
    let colon = if errors.is_empty() { "" } else { ": " };
    let reason = ended.reason.as_deref().unwrap_or("ended");
    let code = ended.exit_code;
    format!("{reason}, exit code {code}{colon}{}", errors.join("; "))
}

fn images(namespace: &str, replicas: &[Replica]) -> Observation {
    let place = format!("Pods in {namespace}");
    let mut by_image: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for replica in replicas {
        let containers = replica.pod.spec.iter().flat_map(|it| &it.containers);
        let images: Vec<String> = containers.filter_map(|it| it.image.clone()).collect();
        by_image
            .entry(images.join(", "))
            .or_default()
            .push(replica.pod.name_any());
    }
    let mut images = by_image.keys();
    match (images.next(), by_image.len()) {
        (None, _) => Observation::warning(IMAGES, place, "there are none"),
        (Some(only), 1) => Observation::ok(IMAGES, place, format!("all run {only}")),
        _ => {
            let told: Vec<String> = by_image
                .iter()
                .map(|(image, pods)| format!("{image} ({})", named(pods)))
                .collect();
            Observation::warning(
                IMAGES,
                place,
                format!("they run different versions: {}", told.join("; ")),
            )
            .why("whether a Pod is let in may depend on which replica is asked")
            .fix("wait for the rollout, or see why it does not end")
            .command(format!("kubectl rollout status deployment -n {namespace}"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::super::testing::{Case, cases, from};
    use super::*;
    use crate::cluster::snapshot::Snapshot;

    fn status(wanted: i32, ready: i32, updated: i32) -> impl Fn(&mut Snapshot) {
        move |it| {
            let deployment = it.deployment.as_mut().unwrap().as_mut().unwrap();
            deployment.spec.replicas = Some(wanted);
            let status = deployment.status.as_mut().unwrap();
            status.ready_replicas = Some(ready);
            status.updated_replicas = Some(updated);
        }
    }

    fn wait(replica: &mut Replica, reason: &str) {
        let status = json!([{"name": "podgate", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason}}}]);
        replica.pod.status.as_mut().unwrap().container_statuses = from(&status);
    }

    fn containers(replica: &mut Replica) -> &mut ContainerStatus {
        let status = replica.pod.status.as_mut().unwrap();
        &mut status.container_statuses.as_mut().unwrap()[0]
    }

    fn last_end(replica: &mut Replica, message: &str) {
        let ended = json!({"terminated": {"reason": "Error", "exitCode": 1, "message": message}});
        containers(replica).last_state = from(&ended);
    }

    fn first(change: impl Fn(&mut Replica)) -> impl Fn(&mut Snapshot) {
        move |it| change(&mut it.replicas.as_mut().unwrap()[0])
    }

    #[test]
    fn too_few_too_close_or_unwell_is_named() {
        let at = "Deployment podgate-system/podgate";
        let pod = "Pod podgate-system/podgate-1";
        let pods = "Pods in podgate-system";
        cases(&[
            Case::new(
                |it| it.deployment = Ok(None),
                &format!("warning replicas: {at}: it is not there"),
            ),
            Case::new(
                status(0, 0, 0),
                &format!("error replicas: {at}: 0 of 0 replicas"),
            ),
            Case::new(
                status(2, 0, 0),
                &format!("error replicas: {at}: 0 of 2 replicas"),
            ),
            Case::new(
                status(1, 1, 1),
                &format!("warning replicas: {at}: it has one replica"),
            ),
            Case::new(
                status(3, 2, 3),
                &format!("warning replicas: {at}: 2 of 3 replicas are ready"),
            ),
            Case::new(
                status(2, 2, 1),
                &format!("warning replicas: {at}: 1 of 2 replicas are up to date"),
            ),
            Case::new(
                first(|it| it.pod.spec.as_mut().unwrap().node_name = Some("n2".to_owned())),
                &format!("warning spread: {pods}: all 2 replicas are on node n2"),
            ),
            Case::new(
                |it| it.budgets = Ok(Vec::new()),
                "warning spread: PodDisruptionBudgets in podgate-system: there is none",
            ),
            Case::new(
                |it| {
                    it.budgets.as_mut().unwrap()[0]
                        .status
                        .as_mut()
                        .unwrap()
                        .disruptions_allowed = Some(0);
                },
                "warning spread: PodDisruptionBudgets in podgate-system: podgate allows no disruption now",
            ),
            Case::new(
                first(|it| {
                    it.readiness = Ok(
                        "[+]policies ok\n[-]certificate failed: it expired\nreadyz check failed\n"
                            .to_owned(),
                    );
                }),
                &format!("error readiness: {pod}: certificate failed: it expired"),
            ),
            Case::new(
                first(|it| {
                    it.readiness = Ok("[+]namespaces ok: 3 known, but the watch fails and they may be out of date: x\n".to_owned());
                }),
                &format!("warning readiness: {pod}: namespaces ok: 3 known, but the watch fails"),
            ),
            Case::new(
                first(|it| it.readiness = Err(Unread::Impossible("it does not run".to_owned()))),
                &format!("warning readiness: {pod}: it does not run"),
            ),
            Case::new(
                first(|it| it.readiness = Err(Unread::Failed("address not allowed".to_owned()))),
                &format!("unknown readiness: {pod}: cannot be looked at: address not allowed"),
            ),
            Case::new(
                first(|it| {
                    it.pod.spec.as_mut().unwrap().containers[0].image =
                        Some("podgate:0.0.9".to_owned());
                }),
                &format!(
                    "warning images: {pods}: they run different versions: podgate:0.0.9 (podgate-1); podgate:0.1.0 (podgate-2)"
                ),
            ),
            Case::new(
                |it| it.replicas = Ok(Vec::new()),
                &format!("warning images: {pods}: there are none"),
            ),
        ]);
    }

    #[test]
    fn a_replica_that_does_not_run_is_named_with_what_it_said_last() {
        let pod = "Pod podgate-system/podgate-1";
        cases(&[
            Case::new(
                first(|it| wait(it, "CrashLoopBackOff")),
                &format!("error readiness: {pod}: it has not started: CrashLoopBackOff"),
            ),
            Case::new(
                first(|it| {
                    wait(it, "CrashLoopBackOff");
                    last_end(
                        it,
                        "INFO starting\nerror: no policies in force\n  |\nerror: unknown field\n",
                    );
                }),
                &format!(
                    "error readiness: {pod}: it does not stay up: CrashLoopBackOff, Error, exit code 1: error: no policies in force; error: unknown field"
                ),
            ),
            Case::new(
                first(|it| {
                    wait(it, "");
                    let status = containers(it);
                    status.state =
                        from(&json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}));
                }),
                &format!("error readiness: {pod}: it does not stay up: OOMKilled, exit code 137"),
            ),
            Case::new(
                first(|it| wait(it, "ContainerCreating")),
                &format!("warning readiness: {pod}: it has not started: ContainerCreating"),
            ),
        ]);
    }

    #[test]
    fn no_replica_is_said_wherever_one_would_be_looked_at() {
        for check in ["readiness", "served-certificate", "policy-set"] {
            let expected =
                format!("note {check}: Pods in podgate-system: there is none to look at");
            cases(&[Case::new(|it| it.replicas = Ok(Vec::new()), &expected)]);
        }
    }

    #[test]
    fn a_metric_is_read_by_its_whole_name() {
        let text = "podgate_policies_stale_x 3\npodgate_policies_stale 1\n";
        assert_eq!(metric(text, "podgate_policies_stale"), Some(1.0));
        assert_eq!(metric(text, "podgate_policies"), None);
    }
}
