//! What is stored of an admitted Pod.

use serde_json::{Value, json};

use super::super::harness::{Namespace, cluster};
use super::{pod, strict};

#[test]
fn an_admitted_pod_is_stored_with_what_was_injected_and_nothing_else_changed() {
    let (Some(cluster), Some(gate)) = (cluster(), strict()) else {
        return;
    };
    // Without a gate the API server stores this.
    let ungated = cluster.namespace("ungated");
    let ns = gate.namespace("inject");
    let plain = pod("plain", json!({})).to_string();
    for namespace in [&ungated, &ns] {
        namespace.create_from(&plain).expect_success();
    }
    // Names of token volumes are random.
    let spec = |namespace: &Namespace| {
        let mut spec = namespace.get_json("pod", "plain")["spec"].take();
        spec["volumes"][0]["name"] = json!("token");
        spec["containers"][0]["volumeMounts"][0]["name"] = json!("token");
        spec
    };

    let mut expected = spec(&ungated);
    expected["securityContext"] = json!({"runAsNonRoot": true});
    expected["containers"][0]["securityContext"] = json!({"allowPrivilegeEscalation": false});
    assert_eq!(spec(&ns), expected);

    let events = ns.audit_events();
    let annotations = &events.last().expect("the request was audited")["annotations"];
    let injected = annotations["inject.podgate.dev/injected"].as_str();
    let injected: Value = serde_json::from_str(injected.expect("an annotation")).unwrap();
    let path = "spec.containers[0].securityContext.allowPrivilegeEscalation";
    assert_eq!(
        injected,
        json!({"strict": {path: false, "spec.securityContext.runAsNonRoot": true}})
    );
}

#[test]
fn what_somebody_has_set_stays() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("own");
    let own = json!({"runAsNonRoot": false, "allowPrivilegeEscalation": true});

    ns.create_from(&pod("own", own.clone()).to_string())
        .expect_success();

    let stored = ns.get_json("pod", "own");
    assert_eq!(stored["spec"]["containers"][0]["securityContext"], own);
}

#[test]
fn a_manifest_that_was_injected_can_be_applied_again() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("again");
    for (flag, name) in [
        ("--server-side=false", "client"),
        ("--server-side", "server"),
    ] {
        let manifest = pod(name, json!({"capabilities": {"add": ["CHOWN"]}})).to_string();
        let apply = || ns.kubectl_with_input(&["apply", flag, "-f", "-"], &manifest);

        apply().expect_success();
        let before = ns.get_json("pod", name);
        assert_eq!(before["spec"]["securityContext"]["runAsNonRoot"], true);

        apply().expect_success();
        let after = ns.get_json("pod", name);
        assert_eq!(
            after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
            "{flag}"
        );
    }
}

#[test]
fn an_injected_runtime_class_brings_what_the_class_says() {
    let Some(cluster) = cluster() else { return };
    let class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandbox"}, "handler": "sandbox",
        "overhead": {"podFixed": {"memory": "64Mi"}}, "scheduling": {"nodeSelector": {"sandbox": "yes"}},
    });
    cluster
        .kubectl()
        .run_with_input(&["create", "-f", "-"], &class.to_string())
        .expect_success();
    let policy = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: sandbox}
spec: {inject: {runtimeClassName: sandbox}}
";
    let gate = cluster
        .gate("sandbox")
        .policy("sandbox.yaml", policy)
        .start();
    let ns = gate.namespace("sandbox");

    ns.create_from(&pod("web", json!({})).to_string())
        .expect_success();

    let stored = ns.get_json("pod", "web")["spec"].take();
    assert_eq!(stored["runtimeClassName"], "sandbox");
    assert_eq!(stored["overhead"], json!({"memory": "64Mi"}));
    assert_eq!(stored["nodeSelector"], json!({"sandbox": "yes"}));
}
