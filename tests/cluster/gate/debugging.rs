//! `kubectl debug`, which adds an ephemeral container to a running Pod.

use serde_json::json;

use super::super::harness::{Namespace, Output, cluster};
use super::{RESTRICTED, named, pod, restricted_pod};

/// Defaults that the level restricted asks for anyway.
const DEFAULTS: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: defaults}
spec:
  inject: {seccompProfile: RuntimeDefault, allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}}
";

/// Adds a container `tools`; nothing will run it, so nobody waits for it.
fn debug(ns: &Namespace, pod: &str, profile: &str) -> Output {
    let profile = format!("--profile={profile}");
    let arguments = [
        "debug",
        pod,
        "--attach=false",
        "--container=tools",
        "--image=registry.example/tools:1",
        &profile,
    ];
    ns.kubectl(&arguments)
}

#[test]
fn a_debug_container_with_more_rights_than_the_pod_may_have_is_rejected_by_its_name() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("debug")
        .policy("restricted.yaml", RESTRICTED)
        .start();
    let ns = gate.namespace("debug");
    ns.create_from(&restricted_pod("web").to_string())
        .expect_success();

    for (profile, field, value) in [
        ("general", "capabilities.add", "[SYS_PTRACE]"),
        ("baseline", "allowPrivilegeEscalation", "unset"),
        ("sysadmin", "privileged", "true"),
        ("netadmin", "capabilities.add", "[NET_ADMIN, NET_RAW]"),
    ] {
        debug(&ns, "web", profile)
            .expect_failure()
            .expect_stderr(&format!("denied the request: Pod {}/web breaks policy \"restricted\": ", ns.name))
            .expect_stderr(&format!(
                "container \"tools\": spec.ephemeralContainers[0].securityContext.{field} is {value}; must be "
            ));
    }
    let stored = ns.get_json("pod", "web");
    assert_eq!(stored["spec"].get("ephemeralContainers"), None);

    // Made for this level by kubectl's authors.
    let output = debug(&ns, "web", "restricted");
    output.expect_success();
    assert_eq!(output.warnings(), Vec::<&str>::new());
    let stored = ns.get_json("pod", "web");
    named(&stored["spec"]["ephemeralContainers"], "tools");
}

#[test]
fn a_debug_container_gets_the_defaults_that_it_cannot_inherit_from_the_pod() {
    let Some(cluster) = cluster() else { return };
    let ungated = cluster.namespace("debug-before");
    for name in ["old", "own"] {
        ungated
            .create_from(&pod(name, json!({})).to_string())
            .expect_success();
    }
    let gate = cluster
        .gate("debug-defaults")
        .policy("defaults.yaml", DEFAULTS)
        .policy("restricted.yaml", RESTRICTED)
        .start();
    let ns = gate.namespace("debug-defaults");
    ns.create_from(&pod("new", json!({})).to_string())
        .expect_success();
    gate.judge(&ungated);

    // This Pod was given its own when it was created.
    debug(&ns, "new", "baseline").expect_success();
    let stored = ns.get_json("pod", "new")["spec"].take();
    assert_eq!(
        stored["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let of_container =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    assert_eq!(
        named(&stored["ephemeralContainers"], "tools")["securityContext"],
        of_container
    );

    // This one has none, and cannot be given any more.
    let output = debug(&ungated, "old", "baseline");
    output.expect_success();
    let stored = ungated.get_json("pod", "old")["spec"].take();
    assert_eq!(stored["securityContext"], json!({}));
    assert_eq!(stored["containers"][0].get("securityContext"), None);
    assert_eq!(
        named(&stored["ephemeralContainers"], "tools")["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
        })
    );

    // What somebody sets stays, and is judged.
    debug(&ungated, "own", "general")
        .expect_failure()
        .expect_stderr("container \"tools\": spec.ephemeralContainers[0].securityContext.capabilities.add is [SYS_PTRACE]");
}
