//! Fields beside the legacy annotations that say the same thing.

use serde_json::json;

use super::{super::harness::cluster, check};

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/app";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/app";

#[test]
fn app_armor_annotation_beside_a_field() {
    let Some(cluster) = cluster() else { return };
    let pod = |profile: &str| json!({"securityContext": {"appArmorProfile": {"type": profile}}});
    let container = |profile: &str| json!({"appArmorProfile": {"type": profile}});
    let annotated = |value: &str| json!({APP_ARMOR: value});
    let mismatch = Some("apparmor type in annotation and field must match");

    check(
        &cluster.namespace("app-armor"),
        vec![
            (
                "pod, unconfined",
                annotated("unconfined"),
                pod("RuntimeDefault"),
                json!({}),
                None,
            ),
            (
                "pod, same",
                annotated("runtime/default"),
                pod("RuntimeDefault"),
                json!({}),
                None,
            ),
            (
                "pod, localhost",
                annotated("localhost/x"),
                pod("RuntimeDefault"),
                json!({}),
                None,
            ),
            (
                "pod, empty name",
                annotated("localhost/"),
                pod("RuntimeDefault"),
                json!({}),
                mismatch,
            ),
            (
                "pod, empty",
                annotated(""),
                pod("RuntimeDefault"),
                json!({}),
                mismatch,
            ),
            ("no field, empty", annotated(""), json!({}), json!({}), None),
            (
                "no field, nonsense",
                annotated("x"),
                json!({}),
                json!({}),
                Some("invalid AppArmor profile name"),
            ),
            (
                "container, same",
                annotated("runtime/default"),
                json!({}),
                container("RuntimeDefault"),
                None,
            ),
            (
                "container, unconfined",
                annotated("unconfined"),
                json!({}),
                container("RuntimeDefault"),
                mismatch,
            ),
            (
                "container, localhost",
                annotated("localhost/x"),
                json!({}),
                container("RuntimeDefault"),
                mismatch,
            ),
        ],
    );
}

#[test]
fn seccomp_annotation_beside_a_field() {
    let Some(cluster) = cluster() else { return };
    let field = || json!({"seccompProfile": {"type": "RuntimeDefault"}});
    let pod = || json!({"securityContext": field()});
    let on_pod = |value: &str| json!({SECCOMP_POD: value});
    let on_container = |value: &str| json!({SECCOMP_CONTAINER: value});
    let mismatch = Some("seccomp type in annotation and field must match");

    check(
        &cluster.namespace("seccomp"),
        vec![
            (
                "pod beside pod, other",
                on_pod("unconfined"),
                pod(),
                json!({}),
                mismatch,
            ),
            (
                "pod beside pod, same",
                on_pod("runtime/default"),
                pod(),
                json!({}),
                None,
            ),
            (
                "pod beside container, other",
                on_container("unconfined"),
                pod(),
                json!({}),
                None,
            ),
            (
                "container beside pod, other",
                on_pod("unconfined"),
                json!({}),
                field(),
                None,
            ),
            (
                "container beside container, other",
                on_container("unconfined"),
                json!({}),
                field(),
                mismatch,
            ),
            ("no field", on_pod("unconfined"), json!({}), json!({}), None),
            (
                "nonsense",
                on_pod("x"),
                json!({}),
                json!({}),
                Some("must be a valid seccomp profile"),
            ),
        ],
    );
}

/// An update that only changes annotations does not reach podgate: see `pod-spec-changed` in `manifests/base/webhooks`.
#[test]
fn app_armor_annotations_of_an_existing_pod_stay_as_they_are_and_seccomp_ones_do_nothing() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("annotated");
    for (name, annotations) in [
        ("plain", json!({})),
        ("annotated", json!({APP_ARMOR: "runtime/default"})),
    ] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
        });
        namespace.create_from(&pod.to_string()).expect_success();
    }
    let annotate = |pod: &str, change: &str| {
        namespace.kubectl(&["annotate", "--overwrite", "pod", pod, change])
    };

    for (pod, change, refusal) in [
        (
            "plain",
            format!("{APP_ARMOR}=unconfined"),
            "may not add AppArmor annotations",
        ),
        (
            "annotated",
            format!("{APP_ARMOR}=unconfined"),
            "may not remove or update AppArmor annotations",
        ),
        (
            "annotated",
            format!("{APP_ARMOR}-"),
            "may not remove or update AppArmor annotations",
        ),
    ] {
        annotate(pod, &change)
            .expect_failure()
            .expect_stderr(refusal);
    }

    let before = namespace.get_json("pod", "plain");
    for key in [SECCOMP_POD, SECCOMP_CONTAINER] {
        annotate("plain", &format!("{key}=unconfined")).expect_success();
    }
    assert_eq!(namespace.get_json("pod", "plain")["spec"], before["spec"]);
}
