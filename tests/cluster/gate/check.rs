//! `podgate check` says beforehand what the gate says: the same of every Pod.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::super::harness::{Gate, Namespace, cluster};
use super::annotations::APP_ARMOR_APP;
use super::odd::{odd_pods, try_all};

/// The findings of each Pod, with its name.
type Findings = Vec<(String, Vec<String>)>;

fn by_name(name: &Value, findings: &Value) -> (String, Vec<String>) {
    let texts = findings.as_array().into_iter().flatten().map(|it| {
        format!(
            "{} {}: {}",
            it["mode"].as_str().unwrap(),
            it["control"].as_str().unwrap(),
            it["path"].as_str().unwrap()
        )
    });
    (name.as_str().unwrap().to_owned(), texts.collect())
}

fn of_check(gate: &Gate, ns: &Namespace, pods: &[Value]) -> Findings {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
    command.args(["check", "--output=json", "--namespace", &ns.name]);
    command.arg("--policies").arg(gate.policies()).arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = command.spawn().unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    serde_json::to_writer(check.stdin.take().unwrap(), &list).unwrap();
    let output = check.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let objects = found["objects"].as_array().unwrap();
    objects
        .iter()
        .map(|it| by_name(&it["name"], &it["findings"]))
        .collect()
}

fn of_gate(ns: &Namespace, pods: &[Value]) -> Findings {
    // Some are rejected, some are not.
    try_all(ns, pods).expect_failure();
    ns.audit_events()
        .iter()
        .map(|event| {
            let findings = event["annotations"]["gate.podgate.dev/findings"].as_str();
            let findings = findings.map_or(json!([]), |it| serde_json::from_str(it).unwrap());
            by_name(&event["objectRef"]["name"], &findings)
        })
        .collect()
}

#[test]
fn check_finds_what_the_gate_finds() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("check").policies_from("policies").start();
    let ns = gate.namespace("check");
    let pods = odd_pods();

    let mut expected = of_check(&gate, &ns, &pods);
    // The API server has copied this one to the container's field before the gate is asked.
    let copied = pods
        .iter()
        .position(|it| it["metadata"]["annotations"][APP_ARMOR_APP] == "unconfined");
    let field = "enforce appArmor: spec.containers[0].securityContext.appArmorProfile";
    expected[copied.unwrap()].1.push(field.to_owned());

    assert_eq!(of_gate(&ns, &pods), expected);
}
