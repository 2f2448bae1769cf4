//! The gate before a real API server, driven by the real kubectl: what a user sees and what is stored.

use super::harness::cluster;

const POLICY: &str = "apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: strict}
spec:
  mode: enforce
  controls: {privileged: {}, hostNamespaces: {}}
  inject: {allowPrivilegeEscalation: false, runAsNonRoot: true}
";

fn pod(name: &str, security_context: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n  - name: app\n    image: registry.example/app:1\n    securityContext: {security_context}\n"
    )
}

#[test]
fn a_rejected_pod_is_told_what_where_and_how_to_mend_it() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("reject").policy("strict.yaml", POLICY).start();
    let ns = gate.namespace("reject");
    let output = ns.apply(&pod("web", "{privileged: true}"));
    output.expect_failure();
    let text = ns.redact(&output.stderr);
    let expected = "denied the request: Pod NAMESPACE/web breaks policy \"strict\": 1 finding (privileged)\n  \
                    1. container \"app\": spec.containers[0].securityContext.privileged is true; must be false or unset\n     \
                    fix: securityContext: {privileged: false}\n";
    assert!(
        text.starts_with("Error from server (Forbidden): ") && text.contains(expected),
        "{text}"
    );
    ns.kubectl(&["get", "pod", "web"]).expect_failure();
}

#[test]
fn an_admitted_pod_is_stored_with_what_was_injected_and_nothing_else_changed() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("inject").policy("strict.yaml", POLICY).start();
    let ns = gate.namespace("inject");
    ns.apply(&pod("plain", "{}")).expect_success();
    let stored = ns.get_json("pod", "plain");
    assert_eq!(stored["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        stored["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"],
        false
    );
    ns.apply(&pod(
        "own",
        "{runAsNonRoot: false, allowPrivilegeEscalation: true}",
    ))
    .expect_success();
    let stored = ns.get_json("pod", "own");
    assert_eq!(
        stored["spec"]["containers"][0]["securityContext"]["runAsNonRoot"],
        false
    );
    assert_eq!(
        stored["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"],
        true
    );
}

#[test]
fn a_deployment_is_warned_of_what_its_pods_will_meet() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("warn").policy("strict.yaml", POLICY).start();
    let ns = gate.namespace("warn");
    let output = ns
        .apply(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      hostPID: true\n      containers: [{name: app, image: registry.example/app:1}]\n",
        );
    output.expect_success();
    let warning = "Warning: its Pods will be rejected: policy \"strict\": spec.template.spec.hostPID is true; must be false or unset";
    assert!(output.stderr.contains(warning), "{output}");
}

#[test]
fn a_pod_that_predates_the_policy_may_be_labelled_but_not_made_worse() {
    let Some(cluster) = cluster() else { return };
    let old = cluster.namespace("predates");
    old.apply(&pod("old", "{privileged: true}"))
        .expect_success();
    let gate = cluster
        .gate("predates")
        .policy("strict.yaml", POLICY)
        .start();
    gate.judge(&old);
    old.kubectl(&["label", "pod", "old", "a=b"])
        .expect_success();
    let mut debugged = old.get_json("pod", "old");
    debugged["spec"]["ephemeralContainers"] = serde_json::json!([{"name": "debug", "image": "registry.example/debug:1", "securityContext": {"privileged": true}}]);
    old.replace_subresource("pods/old/ephemeralcontainers", &debugged)
        .expect_failure()
        .expect_stderr(
            "container \"debug\": spec.ephemeralContainers[0].securityContext.privileged is true",
        );
}

#[test]
fn a_gate_that_is_stopped_lets_nothing_in() {
    let Some(cluster) = cluster() else { return };
    let mut gate = cluster
        .gate("stopped")
        .policy("strict.yaml", POLICY)
        .start();
    let ns = gate.namespace("stopped");
    ns.apply(&pod("first", "{}")).expect_success();
    gate.stop();
    ns.apply(&pod("second", "{}"))
        .expect_failure()
        .expect_stderr("failed calling webhook");
    gate.start();
    ns.apply(&pod("second", "{}")).expect_success();
}
