//! The harness itself, with no gate: what the API server does before podgate is asked.

use serde_json::json;

use super::harness::cluster;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  containers: [{name: app, image: registry.example/app:1}]
";

#[test]
fn stores_a_pod_and_adds_nothing_but_defaults_and_the_token_volume() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("stored");

    namespace.create_from(POD).expect_success();

    let pod = namespace.get_json("pod", "plain");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(pod["metadata"].get("annotations"), None, "{pod:#}");
    assert_eq!(pod["spec"]["securityContext"], json!({}), "{pod:#}");
    assert_eq!(container.get("securityContext"), None, "{pod:#}");
    assert_eq!(pod["spec"]["serviceAccountName"], "default", "{pod:#}");

    // What every real Pod carries: one projected volume, mounted into every container.
    let volume = &pod["spec"]["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-"), "{pod:#}");
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}),
        "{pod:#}"
    );
    assert_eq!(
        container["volumeMounts"],
        json!([{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": name, "readOnly": true}]),
        "{pod:#}"
    );
}

#[test]
fn admits_a_privileged_pod_while_no_gate_judges_its_namespace() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace_labelled(
        "ungated",
        &[("pod-security.kubernetes.io/enforce", "restricted")],
    );

    let privileged = POD.replace("app:1}", "app:1, securityContext: {privileged: true}}");
    namespace.apply(&privileged).expect_success();
}

#[test]
fn audit_events_are_there_when_kubectl_returns() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("audited");

    namespace.create_from(POD).expect_success();

    let events = namespace.audit_events();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["objectRef"]["resource"], "pods");
    assert_eq!(events[0]["verb"], "create");
    assert_eq!(events[0]["responseStatus"]["code"], 201);
}

#[test]
fn reports_what_kubectl_said_about_a_refused_object() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("refused");

    let output = namespace.create_from(&POD.replace("name: app", "name: App"));

    output
        .expect_failure()
        .expect_stderr("spec.containers[0].name: Invalid value: \"App\"");
}
