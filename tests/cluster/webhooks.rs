//! What the API server asks podgate about, by the configurations of `manifests/base/webhooks`.
//!
//! The gate of these tests is registered and not running. Whatever is asked about it fails, because both configurations
//! fail closed; whatever gets through was not asked about.

use serde_json::{Value, json};

use super::harness::{Gate, LABEL, Namespace, cluster};

const NOBODY_ANSWERS: &str = "connect: connection refused";

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m"}}}]},
    })
}

/// A namespace that is judged from now on, with a Pod `old` in it that was there before.
#[track_caller]
fn namespace_with_an_old_pod(gate: &Gate, namespace: Namespace) -> Namespace {
    namespace
        .create_from(&pod("old").to_string())
        .expect_success();
    gate.judge(&namespace);
    namespace
}

#[test]
fn pods_and_everything_with_a_pod_template_are_refused_while_no_gate_answers() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("down").register();
    let namespace = gate.namespace("down");

    let labels = json!({"app": "app"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod("")["spec"]});
    let selected = json!({"selector": {"matchLabels": labels}, "template": template});
    let mut job = template.clone();
    job["spec"]["restartPolicy"] = json!("Never");
    let objects = [
        ("v1", "Pod", "spec", pod("")["spec"].clone()),
        ("v1", "PodTemplate", "template", template.clone()),
        (
            "v1",
            "ReplicationController",
            "spec",
            json!({"selector": labels, "template": template}),
        ),
        ("apps/v1", "Deployment", "spec", selected.clone()),
        ("apps/v1", "ReplicaSet", "spec", selected.clone()),
        ("apps/v1", "DaemonSet", "spec", selected.clone()),
        ("apps/v1", "StatefulSet", "spec", selected),
        ("batch/v1", "Job", "spec", json!({"template": job})),
        (
            "batch/v1",
            "CronJob",
            "spec",
            json!({"schedule": "@daily", "jobTemplate": {"spec": {"template": job}}}),
        ),
    ];
    for (version, kind, field, content) in objects {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "new"}, field: content});
        let webhook = if kind == "Pod" {
            "inject.podgate.dev"
        } else {
            "gate.podgate.dev"
        };
        namespace
            .create_from(&object.to_string())
            .expect_failure()
            .expect_stderr(&format!("failed calling webhook \"{webhook}\""))
            .expect_stderr(NOBODY_ANSWERS);
    }
}

#[test]
fn an_update_of_a_pod_that_leaves_its_spec_alone_needs_no_answer() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("updates").register();
    let namespace = namespace_with_an_old_pod(&gate, cluster.namespace("updates"));

    namespace
        .kubectl(&["label", "pod", "old", "team=a"])
        .expect_success();
    namespace
        .kubectl(&["annotate", "pod", "old", "note=x"])
        .expect_success();

    let image = ["set", "image", "pod/old", "app=registry.example/app:2"];
    namespace
        .kubectl(&image)
        .expect_failure()
        .expect_stderr("\"gate.podgate.dev\"")
        .expect_stderr(NOBODY_ANSWERS);
}

#[test]
fn debug_containers_and_resizing_need_an_answer() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("subresources").register();
    let namespace = namespace_with_an_old_pod(&gate, cluster.namespace("subresources"));

    let debug = [
        "debug",
        "old",
        "--image=registry.example/tools:1",
        "--profile=general",
    ];
    namespace
        .kubectl(&debug)
        .expect_failure()
        .expect_stderr(NOBODY_ANSWERS);

    let resources =
        json!({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]}});
    let resize = [
        "patch",
        "pod",
        "old",
        "--subresource=resize",
        "--patch",
        &resources.to_string(),
    ];
    namespace
        .kubectl(&resize)
        .expect_failure()
        .expect_stderr("\"gate.podgate.dev\"")
        .expect_stderr(NOBODY_ANSWERS);
}

#[test]
fn what_cannot_change_what_a_pod_may_do_needs_no_answer() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("elsewhere").register();
    let namespace = namespace_with_an_old_pod(&gate, cluster.namespace("elsewhere"));

    namespace
        .kubectl(&["create", "configmap", "settings"])
        .expect_success();
    let status = r#"{"status": {"message": "seen"}}"#;
    namespace
        .kubectl(&[
            "patch",
            "pod",
            "old",
            "--subresource=status",
            "--patch",
            status,
        ])
        .expect_success();
    namespace
        .kubectl(&["delete", "pod", "old", "--now"])
        .expect_success();
}

#[test]
fn what_repairs_the_cluster_needs_no_answer() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("repair").register();
    let excluded = ["kube-system", "podgate-system"];
    for namespace in excluded {
        // This gate would judge them, were they not excluded by name.
        let label = format!("{LABEL}={}", gate.name());
        cluster
            .kubectl()
            .run(&["label", "namespace", namespace, &label, "--overwrite"])
            .expect_success();
        cluster
            .kubectl()
            .run(&[
                "create",
                "serviceaccount",
                "repair",
                "--namespace",
                namespace,
            ])
            .expect_success();
    }
    // The API server hears of labels in their order: when it has heard of this one, it has heard of those.
    gate.judge(&cluster.namespace("repaired"));

    let mut pod = pod("repair");
    pod["spec"]["serviceAccountName"] = json!("repair");
    for namespace in excluded {
        let create = ["create", "--namespace", namespace, "-f", "-"];
        cluster
            .kubectl()
            .run_with_input(&create, &pod.to_string())
            .expect_success();
    }
}

/// A cluster whose nodes are all new: what is made and changed before podgate's own Pods run, and while they start.
#[test]
fn a_cluster_that_was_wholly_down_comes_up_while_no_gate_answers() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("rebirth").register();
    let namespace = namespace_with_an_old_pod(&gate, cluster.namespace("rebirth"));
    let create = |object: Value| {
        namespace.create_from(&object.to_string()).expect_success();
    };
    let labels = json!({LABEL: gate.name()});

    // A node joins and says that it lives.
    create(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": labels},
    }));
    create(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "node-1"},
        "spec": {"holderIdentity": "node-1", "leaseDurationSeconds": 40},
    }));
    // Namespaces are made and labelled, those that say nothing of Pod security.
    create(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-new", namespace.name), "labels": labels},
    }));
    // What was there goes on: it is bound, reports, is finished off, is deleted with its node.
    create(json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "late"},
    }));
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "old"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"},
    });
    let url = format!("/api/v1/namespaces/{}/pods/old/binding", namespace.name);
    namespace
        .kubectl_with_input(&["create", "--raw", &url, "-f", "-"], &binding.to_string())
        .expect_success();
    for arguments in [
        &["label", "pod", "old", "seen=yes"][..],
        &["delete", "pod", "old", "--now", "--wait=false"],
    ] {
        namespace.kubectl(arguments).expect_success();
    }

    // Not because nothing is asked about.
    namespace
        .create_from(&pod("new").to_string())
        .expect_failure()
        .expect_stderr(NOBODY_ANSWERS);
}

#[test]
fn only_the_mirror_pod_of_a_node_about_itself_needs_no_answer() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("mirror").register();
    let namespace = gate.namespace("mirror");

    let mirror = |name: &str| {
        let mut pod = pod(name);
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "hash"});
        pod["spec"]["nodeName"] = json!("node-1");
        pod.to_string()
    };
    // A group that RBAC lets do everything, so that only admission is left to refuse.
    let create_as = |user: &str, group: &str, pod: &str| {
        let arguments = [
            "create",
            "-f",
            "-",
            "--as",
            user,
            "--as-group",
            group,
            "--as-group",
            "system:masters",
        ];
        namespace.kubectl_with_input(&arguments, pod)
    };

    create_as("system:node:node-1", "system:nodes", &mirror("own")).expect_success();

    for (user, group, pod) in [
        (
            "system:node:node-2",
            "system:nodes",
            mirror("of-another-node"),
        ),
        (
            "system:node:node-1",
            "system:authenticated",
            mirror("not-a-node"),
        ),
        ("jane", "system:nodes", mirror("not-the-node-user")),
        (
            "system:node:node-1",
            "system:nodes",
            pod("no-mirror").to_string(),
        ),
    ] {
        create_as(user, group, &pod)
            .expect_failure()
            .expect_stderr(NOBODY_ANSWERS);
    }
}
