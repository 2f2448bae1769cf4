//! Pods for Windows, on which the API server refuses every field of Linux.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::{INJECT_ALL, RESTRICTED, pod};

fn windows_pod(name: &str, security_context: Value) -> Value {
    let mut pod = pod(name, security_context);
    pod["spec"]["os"] = json!({"name": "windows"});
    pod
}

#[test]
fn a_windows_pod_is_admitted_with_nothing_of_linux_injected() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("windows")
        .policy("restricted.yaml", RESTRICTED)
        .policy("inject.yaml", INJECT_ALL)
        .start();
    let ns = gate.namespace("windows");

    let output = ns.create_from(&windows_pod("web", json!({})).to_string());

    output.expect_success();
    assert_eq!(output.warnings(), Vec::<&str>::new());
    let stored = ns.get_json("pod", "web")["spec"].take();
    // The two that Windows knows.
    assert_eq!(stored["securityContext"], json!({"runAsNonRoot": true}));
    assert_eq!(stored["automountServiceAccountToken"], false);
    assert_eq!(stored.get("hostUsers"), None);
    assert_eq!(stored["containers"][0].get("securityContext"), None);

    // The same Pod for Linux gets all of it, and the API server takes it.
    ns.create_from(&pod("linux", json!({})).to_string())
        .expect_success();
    let stored = ns.get_json("pod", "linux")["spec"].take();
    assert_eq!(
        stored["securityContext"],
        json!({
            "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "supplementalGroups": [10001],
            "seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(stored["hostUsers"], false);
    assert_eq!(
        stored["containers"][0]["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true})
    );
}

#[test]
fn a_windows_pod_that_runs_as_a_process_of_its_host_is_rejected() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("host-process")
        .policies_from("policies")
        .start();
    let ns = gate.namespace("host-process");
    let mut pod = windows_pod("agent", json!({}));
    // The API server demands both of these of such a Pod.
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["securityContext"] =
        json!({"windowsOptions": {"hostProcess": true, "runAsUserName": "NT AUTHORITY\\SYSTEM"}});

    ns.create_from(&pod.to_string())
        .expect_failure()
        .expect_stderr(
            "breaks policy \"baseline\": 2 findings (hostNamespaces, windowsHostProcess)",
        )
        .expect_stderr(
            "spec.securityContext.windowsOptions.hostProcess is true; must be false or unset",
        );
}
