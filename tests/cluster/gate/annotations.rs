//! Annotations from before the fields for seccomp and AppArmor, with the shipped policies.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::{RESTRICTED, pod, restricted_container};

pub(super) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub(super) const SECCOMP_APP: &str = "container.seccomp.security.alpha.kubernetes.io/app";
pub(super) const APP_ARMOR_APP: &str = "container.apparmor.security.beta.kubernetes.io/app";

/// Commented out in `policies/inject-defaults.yaml`, where seccomp's stands.
const INJECT_APP_ARMOR: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: inject-app-armor}
spec: {inject: {appArmorProfile: RuntimeDefault}}
";

fn annotated(name: &str, key: &str, value: &str) -> Value {
    let mut pod = pod(name, json!({}));
    pod["metadata"]["annotations"] = json!({key: value});
    pod
}

#[test]
fn whatever_an_annotation_says_nothing_is_injected_that_the_api_server_refuses() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("annotations")
        .policies_from("policies")
        .policy("inject-app-armor.yaml", INJECT_APP_ARMOR)
        .start();
    let ns = gate.namespace("annotations");
    let default = || json!({"type": "RuntimeDefault"});
    let both = || json!({"seccompProfile": default(), "appArmorProfile": default()});
    let app_armor = || json!({"appArmorProfile": default()});
    let local = |path: &str| json!({"type": "Localhost", "localhostProfile": path});

    // An annotation, and what is stored for the Pod and for its container.
    for (key, value, of_pod, of_container) in [
        // Nothing comes of these any more: the defaults go where they do not contradict them.
        (SECCOMP_POD, "runtime/default", both(), None),
        (SECCOMP_POD, "docker/default", both(), None),
        (SECCOMP_POD, "unconfined", app_armor(), None),
        (SECCOMP_POD, "localhost/a.json", app_armor(), None),
        (SECCOMP_APP, "runtime/default", both(), None),
        (SECCOMP_APP, "unconfined", both(), None),
        // The API server copies these to the container's field, unless the Pod's says the same.
        (APP_ARMOR_APP, "runtime/default", both(), None),
        (
            APP_ARMOR_APP,
            "localhost/podgate-web",
            both(),
            Some(local("podgate-web")),
        ),
        // An empty one stands for nothing, but beside a field on the Pod the API server takes it for a contradiction.
        (
            APP_ARMOR_APP,
            "",
            json!({"seccompProfile": default()}),
            None,
        ),
    ] {
        let output = ns.kubectl_with_input(
            &["create", "--dry-run=server", "--output=json", "-f", "-"],
            &annotated("web", key, value).to_string(),
        );
        assert!(output.succeeded(), "{key}: {value:?}\n{output}");
        let stored = output.json()["spec"].take();
        assert_eq!(stored["securityContext"], of_pod, "{key}: {value:?}");
        let mut expected = json!({"allowPrivilegeEscalation": false});
        if let Some(profile) = of_container {
            expected["appArmorProfile"] = profile;
        }
        assert_eq!(
            stored["containers"][0]["securityContext"], expected,
            "{key}: {value:?}"
        );
    }

    ns.create_from(&annotated("unconfined", APP_ARMOR_APP, "unconfined").to_string())
        .expect_failure()
        .expect_stderr("breaks policy \"baseline\": 2 findings (appArmor)\n")
        .expect_stderr(&format!("  1. metadata.annotations[{APP_ARMOR_APP}] is \"unconfined\"; must be runtime/default or localhost/* or unset\n"))
        .expect_stderr("  2. container \"app\": spec.containers[0].securityContext.appArmorProfile is \"Unconfined\"; must be RuntimeDefault or Localhost/* or unset\n");
}

#[test]
fn a_seccomp_annotation_is_not_the_profile_that_restricted_asks_for() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("seccomp")
        .policy("restricted.yaml", RESTRICTED)
        .start();
    let ns = gate.namespace("seccomp");
    let mut pod = annotated("web", SECCOMP_POD, "runtime/default");
    pod["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    pod["spec"]["containers"][0]["securityContext"] = restricted_container();

    let output = ns.create_from(&pod.to_string());

    output
        .expect_failure()
        .expect_stderr("breaks policy \"restricted\": 1 finding (seccomp)\n")
        .expect_stderr("  1. container \"app\": spec.containers[0].securityContext.seccompProfile is unset; must be RuntimeDefault or Localhost/*\n")
        .expect_stderr("fix: spec.securityContext: {seccompProfile: {type: RuntimeDefault}}\n");
    let ignored = format!(
        "metadata.annotations[{SECCOMP_POD}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
    );
    assert_eq!(output.warnings(), [ignored]);

    // The fix is what the API server itself advises.
    pod["spec"]["securityContext"]["seccompProfile"] = json!({"type": "RuntimeDefault"});
    ns.create_from(&pod.to_string()).expect_success();
}
