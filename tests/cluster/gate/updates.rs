//! Objects that are older than the policy: they may be edited, and not be made worse.

use serde_json::{Value, json};

use super::super::harness::{Namespace, Output, cluster};
use super::{STRICT, deployment, pod};

/// Templates are held to what their Pods are.
const STRICT_TEMPLATES: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: strict}
spec:
  mode: enforce
  workloads: enforce
  controls: {privileged: {}, hostNamespaces: {}}
";

fn add_ephemeral(ns: &Namespace, pod: &str, name: &str, security_context: Value) -> Output {
    let mut debugged = ns.get_json("pod", pod);
    let mut added = json!({"name": name, "image": "registry.example/debug:1"});
    added["securityContext"] = security_context;
    debugged["spec"]["ephemeralContainers"] = json!([added]);
    ns.replace_subresource(&format!("pods/{pod}/ephemeralcontainers"), &debugged)
}

#[test]
fn a_pod_that_predates_the_policy_may_be_edited_but_not_made_worse() {
    let Some(cluster) = cluster() else { return };
    let ns = cluster.namespace("predates");
    let mut old = pod("old", json!({"privileged": true}));
    old["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100m"}});
    ns.create_from(&old.to_string()).expect_success();
    let gate = cluster
        .gate("predates")
        .policy("strict.yaml", STRICT)
        .start();
    gate.judge(&ns);

    ns.kubectl(&["label", "pod", "old", "a=b"]).expect_success();
    let output = ns.kubectl(&["set", "image", "pod/old", "app=registry.example/app:2"]);
    output.expect_success();
    assert_eq!(
        output.warnings(),
        [
            "broken before, not rejected: policy \"strict\": container \"app\": spec.containers[0].securityContext.privileged is true; must be false or unset"
        ]
    );
    let more =
        json!({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]}});
    let resize = [
        "patch",
        "pod",
        "old",
        "--subresource=resize",
        "--patch",
        &more.to_string(),
    ];
    ns.kubectl(&resize).expect_success();

    add_ephemeral(&ns, "old", "debug", json!({"privileged": true}))
        .expect_failure()
        .expect_stderr("breaks policy \"strict\": 1 finding (privileged)")
        .expect_stderr("  1. container \"debug\": spec.ephemeralContainers[0].securityContext.privileged is true");
    add_ephemeral(&ns, "old", "debug", json!({})).expect_success();
    ns.kubectl(&["delete", "pod", "old", "--now"])
        .expect_success();
}

#[test]
fn a_template_that_predates_the_policy_may_be_edited_but_not_made_worse() {
    let Some(cluster) = cluster() else { return };
    let ns = cluster.namespace("old-template");
    ns.create_from(&deployment(&pod("", json!({"privileged": true}))).to_string())
        .expect_success();
    let gate = cluster
        .gate("old-template")
        .policy("strict.yaml", STRICT_TEMPLATES)
        .start();
    gate.judge(&ns);
    let patch = |operation: Value| {
        let operations = json!([operation]).to_string();
        let arguments = [
            "patch",
            "deployment",
            "web",
            "--type=json",
            "--patch",
            &operations,
        ];
        ns.kubectl(&arguments)
    };

    ns.kubectl(&["scale", "deployment", "web", "--replicas=3"])
        .expect_success();
    ns.kubectl(&[
        "set",
        "image",
        "deployment/web",
        "app=registry.example/app:2",
    ])
    .expect_success();
    // What was broken is told by name: at its new place it is still the same.
    let sidecar = json!({"name": "sidecar", "image": "registry.example/sidecar:1"});
    let output =
        patch(json!({"op": "add", "path": "/spec/template/spec/containers/0", "value": sidecar}));
    output.expect_success();
    let known = "its Pods will be rejected: policy \"strict\": container \"app\": spec.template.spec.containers[1].securityContext.privileged is true; must be false or unset";
    assert_eq!(output.warnings(), [known]);

    let output = patch(json!({"op": "add", "path": "/spec/template/spec/hostPID", "value": true}));
    output
        .expect_failure()
        .expect_stderr("breaks policy \"strict\": 1 finding (hostNamespaces)")
        .expect_stderr("  1. spec.template.spec.hostPID is true");
    assert_eq!(output.warnings(), [known]);

    // Once mended it is held to the policy.
    let privileged = "/spec/template/spec/containers/1/securityContext/privileged";
    let output = patch(json!({"op": "replace", "path": privileged, "value": false}));
    output.expect_success();
    assert_eq!(output.warnings(), Vec::<&str>::new());
    patch(json!({"op": "replace", "path": privileged, "value": true}))
        .expect_failure()
        .expect_stderr("  1. container \"app\": spec.template.spec.containers[1].securityContext.privileged is true");
}
