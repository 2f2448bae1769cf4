//! The API token that the API server mounts into every container before a webhook sees the Pod.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::pod;

const TOKENLESS: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: tokenless}
spec: {inject: {automountServiceAccountToken: false}}
";

const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A Pod with an init container and a volume of its own.
fn pod_with_volume(name: &str) -> Value {
    let mut pod = pod(name, json!({}));
    let mounts = json!([{"name": "data", "mountPath": "/data"}]);
    pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = mounts.clone();
    pod["spec"]["initContainers"] =
        json!([{"name": "prepare", "image": "registry.example/prepare:1", "volumeMounts": mounts}]);
    pod
}

/// The names of all volumes, and the paths where the containers mount something.
fn volumes_and_mounts(pod: &Value) -> (Vec<&str>, Vec<&str>) {
    let spec = &pod["spec"];
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|it| spec[it].as_array().into_iter().flatten());
    let mounts = containers.flat_map(|it| it["volumeMounts"].as_array().into_iter().flatten());
    (
        volumes.filter_map(|it| it["name"].as_str()).collect(),
        mounts.filter_map(|it| it["mountPath"].as_str()).collect(),
    )
}

#[test]
fn an_injected_refusal_of_the_token_takes_its_volume_and_mounts_away() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("token")
        .policy("tokenless.yaml", TOKENLESS)
        .start();
    let ns = gate.namespace("token");

    ns.create_from(&pod_with_volume("silent").to_string())
        .expect_success();
    let stored = ns.get_json("pod", "silent");
    assert_eq!(stored["spec"]["automountServiceAccountToken"], false);
    assert_eq!(
        volumes_and_mounts(&stored),
        (vec!["data"], vec!["/data", "/data"])
    );

    // Without a volume or mount of its own, nothing empty stays behind either.
    ns.create_from(&pod("bare", json!({})).to_string())
        .expect_success();
    let stored = ns.get_json("pod", "bare");
    assert_eq!(volumes_and_mounts(&stored), (vec![], vec![]));
    assert_eq!(stored["spec"].get("volumes"), None);
}

#[test]
fn a_copy_of_an_older_pod_loses_the_token_that_it_was_copied_with() {
    let Some(cluster) = cluster() else { return };
    let ns = cluster.namespace("copied");
    ns.create_from(&pod_with_volume("old").to_string())
        .expect_success();
    let gate = cluster
        .gate("copied")
        .policy("tokenless.yaml", TOKENLESS)
        .start();
    gate.judge(&ns);

    let copy = [
        "debug",
        "old",
        "--copy-to=copy",
        "--attach=false",
        "--container=tools",
        "--image=registry.example/tools:1",
    ];
    ns.kubectl(&copy).expect_success();

    assert_eq!(volumes_and_mounts(&ns.get_json("pod", "old")).0.len(), 2);
    let copy = ns.get_json("pod", "copy");
    assert_eq!(copy["spec"]["automountServiceAccountToken"], false);
    assert_eq!(
        volumes_and_mounts(&copy),
        (vec!["data"], vec!["/data", "/data"])
    );
}

#[test]
fn a_pod_that_asks_for_the_token_keeps_it() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("token-asked")
        .policy("tokenless.yaml", TOKENLESS)
        .start();
    let ns = gate.namespace("token-asked");
    let mut asks = pod_with_volume("asks");
    asks["spec"]["automountServiceAccountToken"] = json!(true);

    ns.create_from(&asks.to_string()).expect_success();

    let stored = ns.get_json("pod", "asks");
    assert_eq!(stored["spec"]["automountServiceAccountToken"], true);
    let (volumes, mounts) = volumes_and_mounts(&stored);
    assert_eq!(volumes.len(), 2, "{volumes:?}");
    assert!(volumes[1].starts_with("kube-api-access-"), "{volumes:?}");
    assert_eq!(mounts, ["/data", MOUNT_PATH, "/data", MOUNT_PATH]);
}
