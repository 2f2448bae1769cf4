//! Every field of a Pod that podgate reads, of every wrong type, and `null`. Before the real engine.

use podgate::pod::{PodView, json::from_str};
use serde_json::{Value, json};

use super::judged::{ENDPOINTS, Judge, Node, UNREADABLE, mistyped, nodes, pod_review, with};

/// A Pod with every field that the view reads, and no other.
fn full_pod() -> Value {
    let profile = json!({"type": "Localhost", "localhostProfile": "p.json"});
    let se_linux = json!({"user": "u", "role": "r", "type": "t", "level": "l"});
    let windows = json!({"hostProcess": false});
    let handler = json!({"httpGet": {"host": "h"}, "tcpSocket": {"host": "h"}});
    let container = json!({
        "name": "a", "image": "i", "restartPolicy": "Always",
        "ports": [{"hostPort": 1}],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true}],
        "volumeDevices": [{}],
        "livenessProbe": handler, "readinessProbe": handler, "startupProbe": handler,
        "lifecycle": {"postStart": handler, "preStop": handler},
        "securityContext": {
            "privileged": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
            "runAsNonRoot": true, "runAsUser": 1, "runAsGroup": 1, "procMount": "Default",
            "seccompProfile": profile, "appArmorProfile": profile, "seLinuxOptions": se_linux,
            "windowsOptions": windows,
        },
    });
    json!({
        "metadata": {
            "name": "web", "generateName": "web-", "labels": {"app": "web"}, "annotations": {"note": "n"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": true}],
        },
        "spec": {
            "initContainers": [container], "containers": [container], "ephemeralContainers": [container],
            "volumes": [{"name": "v", "hostPath": {"path": "/v"}, "csi": {"driver": "d"}, "flexVolume": {"driver": "d"}}],
            "hostNetwork": false, "hostPID": false, "hostIPC": false, "hostUsers": false,
            "runtimeClassName": "r", "serviceAccountName": "s", "automountServiceAccountToken": false,
            "os": {"name": "linux"},
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1, "runAsGroup": 1, "fsGroup": 1, "supplementalGroups": [1],
                "seccompProfile": profile, "appArmorProfile": profile, "seLinuxOptions": se_linux,
                "sysctls": [{"name": "kernel.x"}], "windowsOptions": windows,
            },
        },
    })
}

#[test]
fn the_full_pod_has_every_field_that_the_view_reads() {
    let text = full_pod().to_string();
    let view = format!(
        "{:?}",
        from_str::<PodView<'_>>(&text).expect("it can be read")
    );
    for missing in ["None", "[]", "{}", "\"\""] {
        assert!(!view.contains(missing), "something is {missing} in {view}");
    }
}

#[tokio::test]
async fn every_field_of_a_pod_of_a_wrong_type_denies_it_by_the_path() {
    let mut judge = Judge::start().await;
    let pod = full_pod();
    let nodes = nodes(&pod);
    assert!(nodes.len() > 200, "{}", nodes.len());
    for Node {
        path,
        pointer,
        value,
    } in nodes
    {
        // Every list has the same containers: one wrong type is enough in the others.
        let most = if is_in_another_list(&path) { 1 } else { 5 };
        // Of several, each endpoint is sent every other one.
        for ((wrong, said), endpoint) in mistyped(&value)
            .into_iter()
            .take(most)
            .zip(ENDPOINTS.iter().cycle())
        {
            let body = pod_review(&with(&pod, &pointer, Some(wrong)).to_string());
            let start = format!("{UNREADABLE}{path}: invalid type: {said}, expected ");
            let message = judge.denial_at(endpoint, body).await;
            assert!(message.starts_with(&start), "{message}\nis not\n{start}");
        }
    }
}

fn is_in_another_list(path: &str) -> bool {
    path.starts_with("spec.initContainers[0].") || path.starts_with("spec.ephemeralContainers[0].")
}

/// Where `null` is refused, as a value that no API server sends: everywhere else it means absent.
fn refuses_null(path: &str) -> bool {
    path == "spec"
        || path.ends_with(']')
        || path.starts_with("metadata.labels.")
        || path.starts_with("metadata.annotations.")
        || [
            "metadata.ownerReferences[0].kind",
            "metadata.ownerReferences[0].name",
        ]
        .contains(&path)
}

#[tokio::test]
async fn null_means_the_same_as_absent_or_denies_by_the_path() {
    let mut judge = Judge::start().await;
    let pod = full_pod();
    for Node { path, pointer, .. } in nodes(&pod) {
        if is_in_another_list(&path) {
            continue;
        }
        let null = pod_review(&with(&pod, &pointer, Some(Value::Null)).to_string());
        if refuses_null(&path) {
            let message = judge.denial(null).await;
            let start = format!("{UNREADABLE}{path}: invalid type: null, expected ");
            assert!(message.starts_with(&start), "{message}\nis not\n{start}");
            continue;
        }
        let absent = pod_review(&with(&pod, &pointer, None).to_string());
        for endpoint in ENDPOINTS {
            let meant = judge.response(endpoint, absent.clone()).await;
            assert_eq!(
                judge.response(endpoint, null.clone()).await,
                meant,
                "{path}"
            );
        }
    }
}
