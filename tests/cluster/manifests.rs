//! The plain install in `manifests/`, as a real API server sees it.

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

#[test]
fn the_service_account_may_read_namespaces_and_nothing_else() {
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
    for (verb, resource) in [
        ("update", "namespaces"),
        ("get", "secrets"),
        ("list", "pods"),
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
