//! The plain install in `manifests/`, as a real API server sees it.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::harness::{SERVICE_ACCOUNT, cluster};

#[test]
fn the_api_server_accepts_the_whole_install_without_a_warning() {
    let Some(cluster) = cluster() else { return };

    let output = cluster
        .kubectl()
        .run(&["apply", "--dry-run=server", "-k", "manifests"]);

    output.expect_success();
    // The namespace and the rights were created for the tests, not applied; kubectl remarks on that.
    let warnings = output.warnings();
    let others: Vec<_> = warnings
        .iter()
        .filter(|it| !it.contains("last-applied-configuration"))
        .collect();
    assert!(others.is_empty(), "{output}");
    for object in [
        "namespace/podgate-system",
        "serviceaccount/podgate",
        "clusterrole.rbac.authorization.k8s.io/podgate",
        "clusterrolebinding.rbac.authorization.k8s.io/podgate",
        "service/podgate",
        "deployment.apps/podgate",
        "poddisruptionbudget.policy/podgate",
        "mutatingwebhookconfiguration.admissionregistration.k8s.io/podgate",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/podgate",
    ] {
        assert!(
            output
                .stdout
                .lines()
                .any(|line| line.starts_with(&format!("{object} "))),
            "no {object}\n{output}"
        );
    }
}

#[test]
fn the_pods_of_the_deployment_are_accepted() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("deployed");
    namespace
        .kubectl(&["create", "serviceaccount", "podgate"])
        .expect_success();

    let template = deployment()["spec"]["template"].clone();
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("podgate");

    namespace.create_from(&pod.to_string()).expect_success();
}

/// What podgate asks of others. Its own namespace is excluded from the webhooks, so nobody else would ask it of podgate.
const RESTRICTED: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: restricted}
spec:
  mode: enforce
  workloads: enforce
  level: restricted
  controls: {readOnlyRootFilesystem: {}, runAsUser: {ranges: [{min: 10000, max: 70000}]}}
";

#[test]
fn the_deployment_keeps_what_podgate_asks_of_others() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("itself")
        .policy("restricted.yaml", RESTRICTED)
        .start();
    let namespace = gate.namespace("itself");
    let mut deployment = deployment();
    deployment["metadata"]["namespace"] = json!(namespace.name);

    let output = namespace.apply(&deployment.to_string());
    output.expect_success();
    assert_eq!(output.warnings(), Vec::<&str>::new());

    // Not because nobody looked.
    deployment["spec"]["template"]["spec"]["hostPID"] = json!(true);
    namespace
        .apply(&deployment.to_string())
        .expect_failure()
        .expect_stderr("  1. spec.template.spec.hostPID is true; must be false or unset");
}

#[test]
fn check_has_nothing_to_say_about_the_deployment_either() {
    let directory = tempfile::tempdir().unwrap();
    let policies = directory.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("restricted.yaml"), RESTRICTED).unwrap();
    let check = |manifest: &Path| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_podgate"));
        check.arg("check").arg(manifest).arg("--output=json");
        let output = check.arg("--policies").arg(&policies).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), found)
    };

    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/deployment.yaml");
    let (status, found) = check(&shipped);
    assert_eq!(status, Some(0), "{found:#}");
    assert_eq!(found["summary"]["judged"], 1, "{found:#}");
    assert_eq!(found["objects"][0]["findings"], json!([]), "{found:#}");

    // Not because nobody looked.
    let worse = directory.path().join("worse.yaml");
    let text = fs::read_to_string(&shipped).unwrap();
    fs::write(&worse, text.replace("drop: [ALL]", "drop: []")).unwrap();
    let (status, found) = check(&worse);
    assert_eq!(status, Some(1), "{found:#}");
    assert_eq!(
        found["objects"][0]["findings"][0]["control"], "capabilities",
        "{found:#}"
    );
}

#[test]
fn the_service_account_may_read_namespaces_and_list_pods_and_nothing_else() {
    let Some(cluster) = cluster() else { return };
    let may = |verb: &str, resource: &str| {
        let answer = cluster.kubectl().run(&[
            "auth",
            "can-i",
            verb,
            resource,
            "--all-namespaces",
            "--as",
            SERVICE_ACCOUNT,
        ]);
        answer.stdout.trim() == "yes"
    };
    for verb in ["get", "list", "watch"] {
        assert!(may(verb, "namespaces"), "{verb} namespaces");
    }
    assert!(may("list", "pods"));
    for (verb, resource) in [
        ("update", "namespaces"),
        ("get", "secrets"),
        ("get", "pods"),
        ("watch", "pods"),
        ("create", "pods"),
        ("patch", "configmaps"),
    ] {
        assert!(!may(verb, resource), "{verb} {resource}");
    }
}

fn deployment() -> Value {
    let source = include_str!("../../manifests/deployment.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(source).unwrap();
    documents
        .into_iter()
        .find(|it| it["kind"] == "Deployment")
        .unwrap()
}
