//! Events on the workloads whose Pods are rejected. No controller runs here: what one would make is made by hand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::harness::{Cluster, Gate, Namespace, cluster};

/// Nothing that is waited for takes this long, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gate that tells, and a namespace that it has begun to judge after these workloads were there.
fn judged<'c>(cluster: &'c Cluster, workloads: &[Value]) -> (Gate<'c>, Namespace, Vec<String>) {
    let gate = cluster
        .gate("events")
        .policies_from("policies")
        .arguments(&["--events"])
        .start();
    let namespace = cluster.namespace("events");
    let mut uids: Vec<String> = Vec::new();
    for workload in workloads {
        let mut workload = workload.clone();
        // Whose owner comes before it.
        if let Some(owner) = workload["metadata"]["ownerReferences"].get_mut(0) {
            owner["uid"] = json!(uids.last());
        }
        let created = namespace.create_from(&workload.to_string());
        created.expect_success();
        let kind = workload["kind"].as_str().unwrap();
        let stored = namespace.get_json(kind, workload["metadata"]["name"].as_str().unwrap());
        uids.push(stored["metadata"]["uid"].as_str().unwrap().to_owned());
    }
    gate.judge(&namespace);
    (gate, namespace, uids)
}

fn owned_by(kind: &str, api_version: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "app", "image": "registry.example/app:1"}]},
    })
}

fn deployment_and_replica_set() -> [Value; 2] {
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template()});
    [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}),
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": spec,
            "metadata": {"name": "web-1", "ownerReferences": owned_by("Deployment", "apps/v1", "web", "")},
        }),
    ]
}

fn cron_job_and_job() -> [Value; 2] {
    let mut template = template();
    template["spec"]["restartPolicy"] = json!("Never");
    template["metadata"] = json!({});
    let job = json!({"template": template});
    [
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": job}},
        }),
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "spec": job,
            "metadata": {"name": "nightly-1", "ownerReferences": owned_by("CronJob", "batch/v1", "nightly", "")},
        }),
    ]
}

/// A Pod that is rejected.
fn pod(name: &str, field: &str, owner: &Value) -> String {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "ownerReferences": owner},
        "spec": template()["spec"],
    });
    pod["spec"][field] = json!(true);
    pod.to_string()
}

/// The Events of the namespace, when there are so many.
#[track_caller]
fn events(namespace: &Namespace, gate: &Gate<'_>, many: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = namespace
            .kubectl(&["get", "events.events.k8s.io", "--output", "json"])
            .json();
        let items = found["items"].as_array().unwrap().clone();
        if items.len() >= many {
            assert_eq!(items.len(), many, "{items:#?}");
            return items;
        }
        assert!(Instant::now() < deadline, "{items:#?}\n{}", gate.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until that many rejections came to this end.
#[track_caller]
fn counted(gate: &Gate<'_>, result: &str, many: u32) {
    let expected = format!("podgate_rejection_events_total{{result=\"{result}\"}} {many}\n");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, text) = gate.admin("/metrics");
        if text.contains(&expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{expected}is not in\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_deployment_hears_once_of_the_pods_that_its_replica_set_may_not_create() {
    let Some(cluster) = cluster() else { return };
    let (gate, namespace, uids) = judged(cluster, &deployment_and_replica_set());
    let owner = owned_by("ReplicaSet", "apps/v1", "web-1", &uids[1]);

    let output = namespace.create_from(&pod("web-1-a", "hostPID", &owner));
    output.expect_failure();
    let event = &events(&namespace, &gate, 1)[0];
    let note = event["note"].as_str().unwrap();
    assert!(
        !note.is_empty() && output.stderr.contains(note),
        "{note}\n{output}"
    );
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reason"], "PodRejected");
    assert_eq!(event["reportingController"], "podgate");
    assert_eq!(
        event["regarding"],
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": namespace.name, "uid": uids[0],
        })
    );
    let described = namespace.kubectl(&["describe", "deployment", "web"]);
    assert!(described.stdout.contains("PodRejected"), "{described}");

    for at in 0..20 {
        let again = pod(&format!("web-1-{at}"), "hostPID", &owner);
        namespace.create_from(&again).expect_failure();
    }
    counted(&gate, "repeated", 20);
    events(&namespace, &gate, 1);

    // Something else is wrong now.
    namespace
        .create_from(&pod("web-1-b", "hostIPC", &owner))
        .expect_failure();
    events(&namespace, &gate, 2);
    counted(&gate, "told", 2);
}

#[test]
fn the_cron_job_hears_of_the_pods_of_its_jobs_and_any_other_owner_of_its_own() {
    let Some(cluster) = cluster() else { return };
    let (gate, namespace, uids) = judged(cluster, &cron_job_and_job());

    let owner = owned_by("Job", "batch/v1", "nightly-1", &uids[1]);
    namespace
        .create_from(&pod("nightly-1-a", "hostPID", &owner))
        .expect_failure();
    let event = &events(&namespace, &gate, 1)[0];
    assert_eq!(event["regarding"]["kind"], "CronJob");
    assert_eq!(event["regarding"]["uid"], *uids[0]);

    // Nobody has to know what that is.
    let owner = owned_by("Crowd", "example.org/v1", "many", "1-2-3");
    namespace
        .create_from(&pod("many-a", "hostPID", &owner))
        .expect_failure();
    let events = events(&namespace, &gate, 2);
    let is_of_crowd = |it: &&Value| it["regarding"]["kind"] == "Crowd";
    assert_eq!(events.iter().filter(is_of_crowd).count(), 1, "{events:#?}");
}

#[test]
fn an_owner_that_a_stranger_made_up_leads_to_nobody_else() {
    let Some(cluster) = cluster() else { return };
    let (gate, namespace, _) = judged(cluster, &deployment_and_replica_set());

    let owner = owned_by("ReplicaSet", "apps/v1", "web-1", "made-up");
    namespace
        .create_from(&pod("web-1-a", "hostPID", &owner))
        .expect_failure();
    let event = &events(&namespace, &gate, 1)[0];
    assert_eq!(event["regarding"]["kind"], "ReplicaSet");
    assert_eq!(event["regarding"]["uid"], "made-up");
}

#[test]
fn nobody_hears_of_a_dry_run_of_an_admitted_pod_or_of_a_pod_without_a_controller() {
    let Some(cluster) = cluster() else { return };
    let (gate, namespace, uids) = judged(cluster, &deployment_and_replica_set());
    let owner = owned_by("ReplicaSet", "apps/v1", "web-1", &uids[1]);

    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    namespace
        .kubectl_with_input(&dry_run, &pod("dry", "hostPID", &owner))
        .expect_failure();
    namespace
        .create_from(&pod("alone", "hostPID", &json!([])))
        .expect_failure();
    namespace
        .create_from(&pod("good", "enableServiceLinks", &owner))
        .expect_success();
    // The queue keeps the order: had there been something before this one, it would be told by then.
    namespace
        .create_from(&pod("last", "hostIPC", &owner))
        .expect_failure();
    counted(&gate, "told", 1);
    events(&namespace, &gate, 1);
}
