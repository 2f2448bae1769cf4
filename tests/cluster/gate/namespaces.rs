//! Policies that select namespaces by the labels they have in the cluster.

use serde_json::{Value, json};

use super::super::harness::{LABEL, await_until, cluster, default_service_account};
use super::pod;

const PRODUCTION: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: production}
spec:
  mode: enforce
  match: {namespaceSelector: {matchLabels: {tier: production}}}
  controls: {privileged: {}}
";

fn bad_pod(name: &str) -> Value {
    pod(name, json!({"privileged": true}))
}

#[test]
fn a_policy_concerns_the_namespaces_with_its_label_as_they_are_now() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("labels")
        .policy("production.yaml", PRODUCTION)
        .start();
    let ns = gate.namespace_labelled("labels", &[("tier", "test")]);
    let rejected = || {
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        let output = ns.kubectl_with_input(&arguments, &bad_pod("bad").to_string());
        output.stderr.contains("breaks policy \"production\"")
    };
    let label = |change: &str| {
        cluster
            .kubectl()
            .run(&["label", "namespace", &ns.name, "--overwrite", change])
            .expect_success();
    };

    ns.create_from(&bad_pod("before").to_string())
        .expect_success();

    label("tier=production");
    await_until("the label selects the namespace", rejected);
    ns.create_from(&pod("good", json!({})).to_string())
        .expect_success();

    label("tier-");
    await_until("the namespace is not selected any more", || !rejected());
    ns.create_from(&bad_pod("after").to_string())
        .expect_success();
}

/// The gate learns of namespaces by a watch, which cannot have told of these: each gets its Pod in the same call.
#[test]
fn the_first_pod_of_a_new_namespace_is_judged_by_its_labels() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("new")
        .policy("production.yaml", PRODUCTION)
        .start();
    for round in 0..5 {
        let mut items = Vec::new();
        for tier in ["production", "test"] {
            let name = format!("{}-{tier}-{round}", gate.name());
            let labels = json!({"tier": tier, LABEL: gate.name()});
            let mut pod = bad_pod("first");
            pod["metadata"]["namespace"] = json!(name);
            items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
            items.push(default_service_account(&name));
            items.push(pod);
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});

        let output = cluster
            .kubectl()
            .run_with_input(&["create", "-f", "-"], &list.to_string());

        let rejection = format!(
            "Pod {}-production-{round}/first breaks policy \"production\"",
            gate.name()
        );
        output.expect_failure().expect_stderr(&rejection);
        assert_eq!(
            output.stderr.matches("denied the request").count(),
            1,
            "{output}"
        );
        assert_eq!(
            output.stdout.matches("pod/first created").count(),
            1,
            "{output}"
        );
    }
}
