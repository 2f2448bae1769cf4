//! podgate installed as `manifests/` says.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{applied, image, machine::Machine};
use crate::cluster::harness::await_until;

/// Namespaces with this label are judged by the policy of that name; all others, by the shipped ones alone.
pub const LABEL: &str = "test-policy";

/// Installs podgate with the shipped policies and those of the tests; returns when the API server asks it.
#[track_caller]
pub fn install(machine: &Machine) {
    let directory = machine.inside.directory.join("install");
    let kubectl = machine.kubectl();
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    copy(&manifests, &directory.join("manifests"));

    // What is the user's own.
    let namespace = manifests.join("namespace.yaml");
    kubectl
        .run(&["apply", "-f", &namespace.to_string_lossy()])
        .expect_success();
    let serving = machine
        .plane
        .authority
        .server(&["podgate.podgate-system.svc"])
        .expect("a certificate");
    for (file, content) in [("tls.crt", &serving.certificate), ("tls.key", &serving.key)] {
        fs::write(directory.join(file), content).expect("a file can be written");
    }
    let from = |file: &str| directory.join(file).to_string_lossy().into_owned();
    let secret = [
        format!("--cert={}", from("tls.crt")),
        format!("--key={}", from("tls.key")),
    ];
    kubectl
        .run(
            &[
                &[
                    "-n",
                    "podgate-system",
                    "create",
                    "secret",
                    "tls",
                    "podgate-tls",
                ][..],
                &secret.each_ref().map(String::as_str),
            ]
            .concat(),
        )
        .expect_success();
    set_policies(machine, &policies());

    // Everything else.
    let (name, tag) = image::PODGATE;
    let bundle = machine.plane.authority.bundle();
    let webhooks = fs::read_to_string(manifests.join("webhooks.yaml")).expect("it is there");
    let webhooks: Vec<Value> = serde_saphyr::from_multiple(&webhooks).expect("it is YAML");
    let patches = webhooks.iter().map(|it| {
        let count = it["webhooks"].as_array().map_or(0, Vec::len);
        let operations = (0..count).map(|at| {
            json!({"op": "add", "path": format!("/webhooks/{at}/clientConfig/caBundle"), "value": bundle})
        });
        let patch = operations.collect::<Value>();
        json!({"target": {"kind": it["kind"]}, "patch": patch.to_string()})
    });
    let overlay = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["manifests"],
        "images": [{"name": "podgate", "newName": name, "newTag": tag}],
        "patches": patches.collect::<Value>(),
    });
    fs::write(directory.join("kustomization.yaml"), overlay.to_string())
        .expect("a file can be written");
    kubectl
        .run(&["apply", "-k", &directory.to_string_lossy()])
        .expect_success();
    await_rollout(machine);
    await_active(machine);
}

/// Puts these policies beside the shipped ones, as a user would.
#[track_caller]
pub fn set_policies(machine: &Machine, policies: &str) {
    let mut data = serde_json::Map::new();
    for file in ["baseline.yaml", "inject-defaults.yaml", "restricted.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("policies")
            .join(file);
        let text = fs::read_to_string(path).expect("a shipped policy");
        data.insert(file.into(), text.into());
    }
    data.insert("tests.yaml".into(), policies.into());
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": "podgate-policies", "namespace": "podgate-system"},
    });
    machine
        .kubectl()
        .run_with_input(&["apply", "-f", "-"], &map.to_string())
        .expect_success();
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
