//! `--dry-run=server`: the same verdict and the same Pod, and nothing is stored.

use serde_json::json;

use super::super::harness::cluster;
use super::{pod, strict};

#[test]
fn a_dry_run_is_judged_and_injected_like_the_real_thing() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("dry-run");

    let bad = pod("bad", json!({"privileged": true})).to_string();
    let dry = ns.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], &bad);
    let real = ns.create_from(&bad);
    real.expect_failure()
        .expect_stderr("container \"app\": spec.containers[0].securityContext.privileged is true");
    assert_eq!(dry.stderr, real.stderr);

    let arguments = ["create", "--dry-run=server", "--output=json", "-f", "-"];
    let shown = ns
        .kubectl_with_input(&arguments, &pod("good", json!({})).to_string())
        .json();
    assert_eq!(
        shown["spec"]["securityContext"],
        json!({"runAsNonRoot": true})
    );
    assert_eq!(
        shown["spec"]["containers"][0]["securityContext"],
        json!({"allowPrivilegeEscalation": false})
    );

    let stored = ns.kubectl(&["get", "pods", "--output=json"]).json();
    assert_eq!(stored["items"], json!([]));
}

#[test]
fn every_webhook_promises_that_a_dry_run_changes_nothing() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("promise").register();
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";

    let all = cluster
        .kubectl()
        .run(&["get", kinds, "--output=json"])
        .json();

    let mut promises = Vec::new();
    for configuration in all["items"].as_array().unwrap() {
        for webhook in configuration["webhooks"].as_array().unwrap() {
            let scope = webhook["namespaceSelector"].to_string();
            if scope.contains(gate.name()) {
                promises.push((webhook["name"].clone(), webhook["sideEffects"].clone()));
            }
        }
    }
    promises.sort_by_key(|(name, _)| name.to_string());
    assert_eq!(
        promises,
        [
            (json!("gate.podgate.dev"), json!("None")),
            (json!("inject.podgate.dev"), json!("None")),
            (json!("namespaces.podgate.dev"), json!("None")),
        ]
    );
}
