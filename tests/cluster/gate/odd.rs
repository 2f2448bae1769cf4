//! Pods that say one thing each beside which the API server refuses something else.

use serde_json::{Value, json};

use super::super::harness::{Namespace, Output, cluster};
use super::annotations::{APP_ARMOR_APP, SECCOMP_APP, SECCOMP_POD};
use super::{INJECT_ALL, pod};

/// Pods that the API server accepts, and that say, beside one of the injected fields, something it might refuse.
pub(super) fn odd_pods() -> Vec<Value> {
    let mut pods = Vec::new();
    let unmasked = json!({"procMount": "Unmasked"});
    let device = json!([{"name": "disk", "devicePath": "/dev/disk"}]);
    for spec in [
        json!({"hostNetwork": true}),
        json!({"hostPID": true}),
        json!({"hostIPC": true}),
        json!({"shareProcessNamespace": true}),
        json!({"securityContext": null}),
        json!({"securityContext": {"runAsUser": 0, "fsGroup": 0, "supplementalGroupsPolicy": "Strict"}}),
        json!({"securityContext": {"windowsOptions": {"runAsUserName": "web"}}}),
        json!({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}}),
        json!({"os": {"name": "linux"}, "automountServiceAccountToken": true}),
        json!({"hostUsers": false, "containers": [{"name": "app", "image": "a", "securityContext": unmasked}]}),
        json!({"hostUsers": true, "serviceAccountName": "default"}),
        json!({
            "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}],
            "containers": [{"name": "app", "image": "a", "volumeDevices": device}],
        }),
        json!({
            "volumes": [{"name": "kube-api-access-own", "emptyDir": {}}],
            "containers": [{"name": "app", "image": "a", "volumeMounts": [
                {"name": "kube-api-access-own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            ]}],
        }),
        json!({"initContainers": [
            {"name": "sidecar", "image": "a", "restartPolicy": "Always", "securityContext": {"privileged": true}},
            {"name": "first", "image": "a", "securityContext": null},
        ]}),
    ] {
        let mut pod = pod("odd", json!({}));
        for (field, value) in spec.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        pods.push(pod);
    }
    for security_context in [
        json!({"privileged": true}),
        json!({"privileged": true, "allowPrivilegeEscalation": true}),
        json!({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
        json!({"capabilities": {"add": ["SYS_ADMIN"]}}),
        json!({"capabilities": {"add": ["ALL"]}}),
        json!({"capabilities": {"add": ["NET_RAW"], "drop": ["ALL"]}}),
        json!({"capabilities": {"add": null, "drop": []}}),
        json!({"runAsUser": 0}),
        json!({"runAsGroup": 0, "runAsNonRoot": false}),
        json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}}),
        json!({"appArmorProfile": {"type": "Unconfined"}, "seccompProfile": {"type": "Unconfined"}}),
        json!({"seLinuxOptions": {"level": "s0:c1"}, "procMount": "Default"}),
        json!({"windowsOptions": {"runAsUserName": "web"}}),
    ] {
        pods.push(pod("odd", security_context));
    }
    for (key, value) in [
        (SECCOMP_POD, "unconfined"),
        (SECCOMP_APP, "unconfined"),
        (APP_ARMOR_APP, "unconfined"),
        (APP_ARMOR_APP, "localhost/web"),
        (APP_ARMOR_APP, ""),
    ] {
        let mut pod = pod("odd", json!({}));
        pod["metadata"]["annotations"] = json!({key: value});
        pods.push(pod);
    }
    for (number, pod) in pods.iter_mut().enumerate() {
        pod["metadata"]["name"] = json!(format!("odd-{number:02}"));
    }
    pods
}

/// All of them in one request of kubectl's, which is not stored.
pub(super) fn try_all(ns: &Namespace, pods: &[Value]) -> Output {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    ns.kubectl_with_input(
        &["create", "--dry-run=server", "-f", "-"],
        &list.to_string(),
    )
}

#[test]
fn what_the_api_server_accepts_it_accepts_with_everything_injected() {
    let Some(cluster) = cluster() else { return };
    let ungated = cluster.namespace("not-injected");
    let gate = cluster
        .gate("odd")
        .policy("inject-all.yaml", INJECT_ALL)
        .start();
    let ns = gate.namespace("odd");
    let pods = odd_pods();

    try_all(&ungated, &pods).expect_success();
    try_all(&ns, &pods).expect_success();

    let asked = ns.audit_events();
    let was_injected = |it: &&Value| {
        it["annotations"]
            .get("inject.podgate.dev/injected")
            .is_some()
    };
    assert_eq!(asked.iter().filter(was_injected).count(), pods.len());
}
