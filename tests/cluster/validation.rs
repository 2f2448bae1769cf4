//! What API validation refuses, or accepts against expectation: injection relies on every line of it.
//!
//! A value that podgate writes beside one of these would turn an admitted Pod into a failed request whose message blames
//! the user for a field he never wrote.

mod annotations;

use serde_json::{Value, json};

use super::harness::{Namespace, cluster};

/// A case: what it is, the Pod's annotations, fields of its spec, fields of its container, and what the API server
/// says about it: part of its refusal, or nothing.
type Case = (&'static str, Value, Value, Value, Option<&'static str>);

#[track_caller]
fn check(namespace: &Namespace, cases: Vec<Case>) {
    for (what, annotations, spec, security, refusal) in cases {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "case", "annotations": annotations},
            "spec": spec,
        });
        let container =
            json!({"name": "app", "image": "registry.example/app:1", "securityContext": security});
        pod["spec"]["containers"] = json!([container]);

        let arguments = ["create", "--dry-run=server", "-f", "-"];
        let output = namespace.kubectl_with_input(&arguments, &pod.to_string());
        match refusal {
            None => assert!(output.succeeded(), "{what}: should be accepted\n{output}"),
            Some(text) => assert!(
                output.stderr.contains(text),
                "{what}: no {text:?}\n{output}"
            ),
        }
    }
}

#[test]
fn privilege_escalation_root_and_proc_mount() {
    let Some(cluster) = cluster() else { return };
    let adds =
        |name: &str| json!({"allowPrivilegeEscalation": false, "capabilities": {"add": [name]}});
    let none = || json!({});
    let privileged = json!({"allowPrivilegeEscalation": false, "privileged": true});
    let unmasked = || json!({"procMount": "Unmasked"});

    check(
        &cluster.namespace("escalation"),
        vec![
            (
                "privileged",
                none(),
                none(),
                privileged,
                Some("to false and `privileged` to true"),
            ),
            (
                "CAP_SYS_ADMIN",
                none(),
                none(),
                adds("CAP_SYS_ADMIN"),
                Some("`capabilities.Add` CAP_SYS_ADMIN"),
            ),
            // The check knows only the name with its prefix, which the runtimes do not.
            ("SYS_ADMIN", none(), none(), adds("SYS_ADMIN"), None),
            ("ALL", none(), none(), adds("ALL"), None),
            (
                "root",
                none(),
                none(),
                json!({"runAsNonRoot": true, "runAsUser": 0}),
                None,
            ),
            (
                "unmasked",
                none(),
                none(),
                unmasked(),
                Some("`hostUsers` must be false to use `Unmasked`"),
            ),
            (
                "unmasked, own users",
                none(),
                json!({"hostUsers": false}),
                unmasked(),
                None,
            ),
        ],
    );
}

#[test]
fn host_users_beside_the_hosts_namespaces() {
    let Some(cluster) = cluster() else { return };
    let with = |field: &str| json!({"hostUsers": false, field: true});
    let none = || json!({});

    check(
        &cluster.namespace("host-users"),
        vec![
            ("alone", none(), json!({"hostUsers": false}), none(), None),
            (
                "privileged",
                none(),
                json!({"hostUsers": false}),
                json!({"privileged": true}),
                None,
            ),
            (
                "network",
                none(),
                with("hostNetwork"),
                none(),
                Some("spec.hostNetwork: Forbidden"),
            ),
            (
                "pid",
                none(),
                with("hostPID"),
                none(),
                Some("spec.HostPID: Forbidden"),
            ),
            (
                "ipc",
                none(),
                with("hostIPC"),
                none(),
                Some("spec.HostIPC: Forbidden"),
            ),
        ],
    );
}

#[test]
fn linux_fields_of_a_windows_pod() {
    let Some(cluster) = cluster() else { return };
    let windows = || json!({"os": {"name": "windows"}});
    let pod = |field: &str, value: Value| json!({"os": {"name": "windows"}, "securityContext": {field: value}});
    let runtime_default = || json!({"type": "RuntimeDefault"});
    let refused = Some("cannot be set for a windows pod");
    let mut cases = vec![
        ("plain", json!({}), windows(), json!({}), None),
        (
            "runAsNonRoot",
            json!({}),
            pod("runAsNonRoot", json!(true)),
            json!({"runAsNonRoot": true}),
            None,
        ),
        (
            "hostUsers",
            json!({}),
            json!({"os": {"name": "windows"}, "hostUsers": false}),
            json!({}),
            refused,
        ),
    ];
    for (field, value) in [
        ("seccompProfile", runtime_default()),
        ("appArmorProfile", runtime_default()),
        ("seLinuxOptions", json!({"level": "s0"})),
        ("runAsUser", json!(1000)),
        ("runAsGroup", json!(1000)),
        ("fsGroup", json!(1000)),
        ("supplementalGroups", json!([1000])),
    ] {
        cases.push((field, json!({}), pod(field, value), json!({}), refused));
    }
    for (field, value) in [
        ("seccompProfile", runtime_default()),
        ("appArmorProfile", runtime_default()),
        ("capabilities", json!({"drop": ["ALL"]})),
        ("allowPrivilegeEscalation", json!(false)),
        ("readOnlyRootFilesystem", json!(true)),
        ("runAsUser", json!(1000)),
    ] {
        cases.push((field, json!({}), windows(), json!({field: value}), refused));
    }
    check(&cluster.namespace("windows"), cases);
}

#[test]
fn a_runtime_class_that_does_not_exist_is_refused_by_admission() {
    let Some(cluster) = cluster() else { return };
    let spec = json!({"runtimeClassName": "none"});
    let refusal = Some("is forbidden: pod rejected: RuntimeClass \"none\" not found");
    let cases = vec![("runtime class", json!({}), spec, json!({}), refusal)];
    check(&cluster.namespace("runtime-class"), cases);
}
