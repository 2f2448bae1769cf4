//! A gate that does not answer, or answers differently from now on.

use std::fs;

use serde_json::json;

use super::super::harness::{await_until, cluster};
use super::{RESTRICTED, STRICT, pod};

#[test]
fn a_gate_that_is_stopped_lets_nothing_in() {
    let Some(cluster) = cluster() else { return };
    let mut gate = cluster
        .gate("stopped")
        .policy("strict.yaml", STRICT)
        .start();
    let ns = gate.namespace("stopped");
    let [first, second] = ["first", "second"].map(|name| pod(name, json!({})).to_string());

    ns.apply(&first).expect_success();
    gate.stop();
    ns.apply(&second)
        .expect_failure()
        .expect_stderr("failed calling webhook");
    gate.start();
    ns.apply(&second).expect_success();
}

#[test]
fn an_edited_policy_takes_effect_and_a_broken_one_changes_nothing() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("reload")
        .policy("policy.yaml", STRICT)
        .arguments(&["--poll", "50ms"])
        .start();
    let ns = gate.namespace("reload");
    let privileged = pod("web", json!({"privileged": true})).to_string();
    let said = || {
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        ns.kubectl_with_input(&arguments, &privileged).stderr
    };
    assert!(said().contains("breaks policy \"strict\""));
    let file = gate.policies().join("policy.yaml");

    fs::write(&file, RESTRICTED).unwrap();
    await_until("the edited policy is in force", || {
        said().contains("breaks policy \"restricted\"")
    });

    fs::write(&file, RESTRICTED.replace("enforce", "enforec")).unwrap();
    await_until("the mistake is reported", || {
        gate.log().contains("policy.yaml:5:")
    });
    assert!(said().contains("breaks policy \"restricted\""));
    // Its log is a file here, as it is collected in a cluster.
    assert!(!gate.log().contains('\u{1b}'), "{}", gate.log());
}
