//! What a person sees of a rejection, and what programs find in it.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::{pod, strict};

#[test]
fn a_rejected_pod_is_told_what_where_and_how_to_mend_it() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("reject");

    let output = ns.apply(&pod("web", json!({"privileged": true})).to_string());

    output.expect_failure();
    assert_eq!(
        ns.redact(&output.stderr),
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"gate.podgate.dev\" denied the request: Pod NAMESPACE/web breaks policy \"strict\": 1 finding (privileged)
  1. container \"app\": spec.containers[0].securityContext.privileged is true; must be false or unset
     fix: securityContext: {privileged: false}
try it before applying: podgate check FILE
"
    );
    ns.kubectl(&["get", "pod", "web"]).expect_failure();
}

/// Two policies that enforce, with a control in common; one that warns; one that only records.
const FOUR: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: isolation, annotations: {podgate.dev/docs: https://wiki.example/isolation}}
spec: {mode: enforce, controls: {privileged: {}, hostNamespaces: {}}}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: users}
spec: {mode: enforce, controls: {privileged: {}, runAsNonRoot: {}}}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: files}
spec: {mode: warn, controls: {readOnlyRootFilesystem: {}}}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: tokens}
spec: {mode: audit, controls: {automountServiceAccountToken: {}}}
";

/// Breaks all four.
fn bad_pod(name: &str) -> Value {
    let mut pod = pod(name, json!({}));
    pod["spec"]["hostPID"] = json!(true);
    pod["spec"]["initContainers"] = json!([{
        "name": "prepare", "image": "registry.example/prepare:1",
        "securityContext": {"privileged": true, "readOnlyRootFilesystem": true},
    }]);
    pod
}

#[test]
fn a_pod_that_breaks_several_policies_hears_of_all_findings_at_once() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("several").policy("four.yaml", FOUR).start();
    let ns = gate.namespace("several");

    let output = ns.apply(&bad_pod("web").to_string());

    output.expect_failure();
    assert_eq!(
        ns.redact(&output.stderr),
        "Warning: policy \"files\": container \"app\": spec.containers[0].securityContext.readOnlyRootFilesystem is unset; must be true
Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"gate.podgate.dev\" denied the request: Pod NAMESPACE/web breaks policies \"isolation\", \"users\": 4 findings (privileged, hostNamespaces, runAsNonRoot)
  1. container \"prepare\": spec.initContainers[0].securityContext.privileged is true; must be false or unset [policies \"isolation\", \"users\"]
     fix: securityContext: {privileged: false}
  2. spec.hostPID is true; must be false or unset [policy \"isolation\"]
     fix: spec: {hostPID: false}
  3. containers \"prepare\", \"app\": spec.initContainers[0].securityContext.runAsNonRoot and spec.containers[0].securityContext.runAsNonRoot is unset; must be true [policy \"users\"]
     fix: spec.securityContext: {runAsNonRoot: true}
why: https://wiki.example/isolation
try it before applying: podgate check FILE
"
    );

    // The same for programs.
    let output = ns.kubectl_with_input(&["create", "-v=5", "-f", "-"], &bad_pod("web").to_string());
    let status = output.expect_failure().status_object();
    assert_eq!(status["code"], 403);
    assert_eq!(status["reason"], "Forbidden");
    let cause = |field: &str, message: &str| json!({"reason": "FieldValueForbidden", "field": field, "message": message});
    let causes = [
        cause(
            "spec.initContainers[0].securityContext.privileged",
            "[privileged] container \"prepare\": must be false or unset; found true",
        ),
        cause(
            "spec.hostPID",
            "[hostNamespaces] must be false or unset; found true",
        ),
        cause(
            "spec.initContainers[0].securityContext.runAsNonRoot",
            "[runAsNonRoot] container \"prepare\": must be true; found unset",
        ),
        cause(
            "spec.containers[0].securityContext.runAsNonRoot",
            "[runAsNonRoot] container \"app\": must be true; found unset",
        ),
    ];
    assert_eq!(
        status["details"],
        json!({"name": "web", "kind": "Pod", "causes": causes})
    );

    // And for who reads the audit log: also what only warned, and what only was recorded.
    let events = ns.audit_events();
    let event = events.last().expect("the request was audited");
    let findings = event["annotations"]["gate.podgate.dev/findings"].as_str();
    let findings: Value = serde_json::from_str(findings.expect("an annotation")).unwrap();
    let finding = |control: &str, path: &str, current: &str, mode: &str, policies: &[&str]| json!({"control": control, "path": path, "current": current, "mode": mode, "existed": false, "policies": policies});
    let (init, app) = (
        "spec.initContainers[0].securityContext.runAsNonRoot",
        "spec.containers[0].securityContext.runAsNonRoot",
    );
    assert_eq!(
        findings,
        json!([
            finding(
                "privileged",
                "spec.initContainers[0].securityContext.privileged",
                "true",
                "enforce",
                &["isolation", "users"]
            ),
            finding(
                "hostNamespaces",
                "spec.hostPID",
                "true",
                "enforce",
                &["isolation"]
            ),
            finding("runAsNonRoot", init, "unset", "enforce", &["users"]),
            finding("runAsNonRoot", app, "unset", "enforce", &["users"]),
            finding(
                "readOnlyRootFilesystem",
                "spec.containers[0].securityContext.readOnlyRootFilesystem",
                "unset",
                "warn",
                &["files"]
            ),
            finding(
                "automountServiceAccountToken",
                "spec.automountServiceAccountToken",
                "unset",
                "audit",
                &["tokens"]
            ),
        ])
    );
}
