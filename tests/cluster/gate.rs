//! The gate before a real API server, driven by the real kubectl: what a user sees and what is stored.

mod annotations;
mod availability;
mod check;
mod crowd;
mod debugging;
mod demo;
mod dry_run;
mod fixes;
mod injection;
mod namespaces;
mod odd;
mod rejection;
mod token;
mod updates;
mod windows;
mod workloads;

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::harness::{Gate, cluster};

/// A policy that rejects some things and injects others.
const STRICT: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: strict}
spec:
  mode: enforce
  controls: {privileged: {}, hostNamespaces: {}}
  inject: {allowPrivilegeEscalation: false, runAsNonRoot: true}
";

/// A gate with that policy, which tests share that only ask it; `None` when [`cluster`] is.
fn strict() -> Option<&'static Gate<'static>> {
    static SHARED: OnceLock<Gate<'static>> = OnceLock::new();
    let cluster = cluster()?;
    Some(SHARED.get_or_init(|| cluster.gate("strict").policy("strict.yaml", STRICT).start()))
}

/// The level restricted, enforced.
const RESTRICTED: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: restricted}
spec: {mode: enforce, level: restricted}
";

/// Everything that can be injected, but for a runtime class, which would have to exist.
const INJECT_ALL: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: inject-all}
spec:
  inject:
    seccompProfile: RuntimeDefault
    appArmorProfile: RuntimeDefault
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    supplementalGroups: [10001]
    hostUsers: false
    automountServiceAccountToken: false
";

/// A Pod of one container `app` with this security context.
#[allow(clippy::needless_pass_by_value, reason = "callers write json!(…)")]
fn pod(name: &str, security_context: Value) -> Value {
    let mut container = json!({"name": "app", "image": "registry.example/app:1"});
    if security_context != json!({}) {
        container["securityContext"] = security_context;
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]},
    })
}

/// What the level restricted asks of a container, without what can be said for the Pod.
fn restricted_container() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// A Pod of one container `app` that the level restricted admits.
fn restricted_pod(name: &str) -> Value {
    let mut pod = pod(name, restricted_container());
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod
}

/// A Deployment `web` of such Pods.
fn deployment(pod: &Value) -> Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod["spec"]},
        },
    })
}

/// The entry of a list that has this name.
#[track_caller]
fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array()
        .and_then(|list| list.iter().find(|it| it["name"] == name))
        .unwrap_or_else(|| panic!("no {name:?} in {list:#}"))
}
