//! podgate installed as `manifests/` says.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{applied, image, machine::Machine};
use crate::cluster::harness::await_until;

/// Namespaces with this label are judged by the policy of that name; all others, by the shipped ones alone.
pub const LABEL: &str = "test-policy";

/// Installs podgate with the shipped policies and those of the tests, by a kustomization of one's own as
/// `manifests/README.md` has it; returns when the API server asks it.
#[track_caller]
pub fn install(machine: &Machine) {
    let directory = machine.inside.directory.join("install");
    // Beside a copy, because kustomize takes no resources by an absolute path.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["manifests", "policies"] {
        copy(
            &repository.join(part),
            &directory.join("podgate").join(part),
        );
    }
    let (name, tag) = image::PODGATE;
    // An authority is announced an hour before it signs, and this API server hears of it within two seconds.
    let hurry = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "podgate", "namespace": "podgate-system"},
        "spec": {"template": {"spec": {"containers": [
            {"name": "podgate", "env": [{"name": "PODGATE_CA_OVERLAP", "value": "5s"}]},
        ]}}},
    });
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["../podgate/manifests/base"],
        "images": [{"name": "podgate", "newName": name, "newTag": tag}],
        "configMapGenerator": [{
            "name": "podgate-policies", "namespace": "podgate-system", "behavior": "merge",
            "files": ["tests.yaml"], "options": {"disableNameSuffixHash": true},
        }],
        "patches": [{"patch": hurry.to_string()}],
    });
    let own = directory.join("own");
    fs::create_dir_all(&own).expect("a directory can be made");
    for (file, content) in [
        ("kustomization.yaml", kustomization.to_string()),
        ("tests.yaml", policies()),
    ] {
        fs::write(own.join(file), content).expect("a file can be written");
    }

    machine
        .kubectl()
        .run(&["apply", "-k", &own.to_string_lossy()])
        .expect_success();
    await_rollout(machine);
    await_active(machine);
}

/// Puts these policies in the place of those of the tests.
#[track_caller]
pub fn set_policies(machine: &Machine, policies: &str) {
    let patch = json!({"data": {"tests.yaml": policies}}).to_string();
    let arguments = [
        "patch",
        "configmap/podgate-policies",
        "--namespace=podgate-system",
    ];
    let arguments = [&arguments[..], &["--type=merge", "--patch", &patch]].concat();
    machine.kubectl().run(&arguments).expect_success();
}

/// The policies of all tests.
pub fn policies() -> String {
    [applied::POLICY].join("\n---\n")
}

/// Returns when all replicas are new and ready.
#[track_caller]
pub fn await_rollout(machine: &Machine) {
    let output = machine.kubectl().run(&[
        "-n",
        "podgate-system",
        "rollout",
        "status",
        "deployment/podgate",
        "--timeout=60s",
    ]);
    if !output.succeeded() {
        let pods = machine
            .kubectl()
            .run(&["-n", "podgate-system", "describe", "pods"]);
        let log = machine.kubectl().run(&[
            "-n",
            "podgate-system",
            "logs",
            "-l",
            "app.kubernetes.io/name=podgate",
        ]);
        panic!(
            "podgate does not come up\n{output}\n{pods}\n{log}\n{}",
            machine.log("kubelet")
        );
    }
}

/// Returns when both webhooks are asked: the API server notices a configuration a second or two after it is there.
fn await_active(machine: &Machine) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "canary"},
        "spec": {"containers": [{"name": "canary", "image": "canary"}]},
    });
    let dry_run = |pod: &Value| {
        let arguments = ["create", "--dry-run=server", "--output=json", "-f", "-"];
        machine
            .kubectl()
            .run_with_input(&arguments, &pod.to_string())
    };
    await_until("a Pod is injected into", || {
        dry_run(&pod).stdout.contains("RuntimeDefault")
    });
    let mut refused = pod;
    refused["spec"]["hostPID"] = true.into();
    await_until("a Pod is refused", || {
        dry_run(&refused).stderr.contains("denied the request")
    });
}

/// A copy of a directory: kustomize takes no resources from an absolute path.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("it is below another")).expect("a directory can be made");
    let done = Command::new("cp")
        .arg("-r")
        .arg("--")
        .arg(from)
        .arg(to)
        .status();
    assert!(
        done.is_ok_and(|it| it.success()),
        "cannot copy {}",
        from.display()
    );
}
