//! Workloads are warned, their Pods are rejected: by the person's request and by the controller's.

use serde_json::{Value, json};

use super::super::harness::{Namespace, Output};
use super::{deployment, pod, strict};

#[test]
fn a_deployment_is_warned_of_what_its_pods_will_meet() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("warn");
    let mut pod = pod("", json!({"privileged": true}));
    pod["spec"]["hostPID"] = json!(true);

    let output = ns.create_from(&deployment(&pod).to_string());

    output.expect_success();
    assert_eq!(
        output.warnings(),
        [
            "its Pods will be rejected: policy \"strict\": container \"app\": spec.template.spec.containers[0].securityContext.privileged is true; must be false or unset",
            "its Pods will be rejected: policy \"strict\": spec.template.spec.hostPID is true; must be false or unset",
        ]
    );
}

#[test]
fn every_kind_of_workload_is_warned_at_the_path_where_its_template_is() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("kinds");
    let labels = json!({"app": "web"});
    let mut spec = pod("", json!({"privileged": true}))["spec"].take();
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let selected = json!({"selector": {"matchLabels": labels}, "template": template});
    spec["restartPolicy"] = json!("Never");
    let job = json!({"template": {"spec": spec}});

    for (version, kind, field, content, path) in [
        (
            "v1",
            "PodTemplate",
            "template",
            template.clone(),
            "template.spec",
        ),
        (
            "v1",
            "ReplicationController",
            "spec",
            json!({"selector": labels, "template": template}),
            "spec.template.spec",
        ),
        (
            "apps/v1",
            "ReplicaSet",
            "spec",
            selected.clone(),
            "spec.template.spec",
        ),
        (
            "apps/v1",
            "DaemonSet",
            "spec",
            selected.clone(),
            "spec.template.spec",
        ),
        (
            "apps/v1",
            "StatefulSet",
            "spec",
            selected,
            "spec.template.spec",
        ),
        ("batch/v1", "Job", "spec", job.clone(), "spec.template.spec"),
        (
            "batch/v1",
            "CronJob",
            "spec",
            json!({"schedule": "@daily", "jobTemplate": {"spec": job}}),
            "spec.jobTemplate.spec.template.spec",
        ),
    ] {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, field: content});
        let output = ns.create_from(&object.to_string());
        output.expect_success();
        let warning = format!(
            "its Pods will be rejected: policy \"strict\": container \"app\": {path}.containers[0].securityContext.privileged is true; must be false or unset"
        );
        assert_eq!(output.warnings(), [warning], "{kind}");
    }
}

/// Creates the first Pod of the `ReplicaSet` of a Deployment, as the controllers would.
fn create_as_controller(ns: &Namespace, deployment: &Value) -> Output {
    let template = &deployment["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"],
    });
    pod["metadata"]["generateName"] = json!("web-6d4cf56db6-");
    pod["metadata"]["labels"]["pod-template-hash"] = json!("6d4cf56db6");
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6",
        "uid": "5d2b8a66-6a4a-4c0e-8f5b-9b4f6c3f1a11", "controller": true, "blockOwnerDeletion": true,
    }]);
    let arguments = [
        "create",
        "--output=json",
        "--as=system:serviceaccount:kube-system:replicaset-controller",
        "-f",
        "-",
    ];
    ns.kubectl_with_input(&arguments, &pod.to_string())
}

#[test]
fn the_pods_of_a_warned_deployment_are_rejected_in_one_line_that_fits_an_event() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("owned");
    let bad = deployment(&pod("", json!({"privileged": true})));
    ns.create_from(&bad.to_string()).expect_success();

    let output = create_as_controller(&ns, &bad);

    output.expect_failure();
    let text = ns.redact(&output.stderr);
    // The API server has completed the name by the time the Pod is judged.
    let (before, rest) = text.split_once("Pod NAMESPACE/web-6d4cf56db6-").unwrap();
    let (suffix, after) = rest.split_at(5);
    assert!(
        suffix.bytes().all(|it| it.is_ascii_alphanumeric()),
        "{text}"
    );
    assert_eq!(
        (before, after),
        (
            "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"gate.podgate.dev\" denied the request: ",
            " (of ReplicaSet web-6d4cf56db6) breaks policy \"strict\": 1 finding (privileged): container \"app\": spec.containers[0].securityContext.privileged is true; must be false or unset\n"
        )
    );
}

#[test]
fn the_pods_of_a_good_deployment_pass_and_are_injected() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("good");
    let good = deployment(&pod("", json!({})));
    let output = ns.create_from(&good.to_string());
    assert_eq!(output.expect_success().stderr, "");

    let stored = ns.get_json("deployment", "web");
    let template = &stored["spec"]["template"]["spec"];
    assert_eq!(
        template["securityContext"],
        json!({}),
        "templates stay as they are"
    );
    assert_eq!(template["containers"][0].get("securityContext"), None);

    let pod = create_as_controller(&ns, &good).json();
    assert_eq!(
        pod["spec"]["securityContext"],
        json!({"runAsNonRoot": true})
    );
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false})
    );
}
