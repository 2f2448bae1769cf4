//! What was injected is what runs: the container says so itself, and tries what it may not do.

use std::fs;

use serde_json::json;

use super::{
    image::{PROBE_NAME, PROBE_NUMBER, PROBE_ROOT, PROBE_USER},
    install::LABEL,
    machine::{machine, processes},
    pod::{await_condition, await_ready, await_waiting, container, is_ready, probe, told},
};
use crate::{
    Test,
    cluster::harness::{Namespace, await_until},
};

pub const TESTS: &[Test] = &[
    (
        "applied::every_container_of_a_pod_runs_with_what_was_injected",
        every_container_of_a_pod_runs_with_what_was_injected,
    ),
    (
        "applied::a_debug_container_runs_with_what_was_injected",
        a_debug_container_runs_with_what_was_injected,
    ),
    (
        "applied::the_pods_of_a_deployment_run_with_what_its_template_does_not_say",
        the_pods_of_a_deployment_run_with_what_its_template_does_not_say,
    ),
    (
        "applied::a_pod_that_the_gate_does_not_judge_gets_none_of_it",
        a_pod_that_the_gate_does_not_judge_gets_none_of_it,
    ),
    (
        "applied::what_a_pod_says_itself_is_what_it_gets",
        what_a_pod_says_itself_is_what_it_gets,
    ),
    (
        "applied::the_shipped_policies_keep_no_image_from_starting",
        the_shipped_policies_keep_no_image_from_starting,
    ),
    (
        "applied::run_as_non_root_alone_stops_just_the_images_that_the_reference_says",
        run_as_non_root_alone_stops_just_the_images_that_the_reference_says,
    ),
    (
        "applied::run_as_non_root_beside_a_user_stops_no_image",
        run_as_non_root_beside_a_user_stops_no_image,
    ),
    (
        "applied::an_app_armor_profile_fails_where_the_node_has_none",
        an_app_armor_profile_fails_where_the_node_has_none,
    ),
    (
        "applied::a_user_namespace_is_given_or_the_kubelet_says_that_there_are_none",
        a_user_namespace_is_given_or_the_kubelet_says_that_there_are_none,
    ),
    (
        "applied::podgate_itself_runs_as_it_asks_of_others",
        podgate_itself_runs_as_it_asks_of_others,
    ),
];

/// Each is for the namespaces whose label names it.
pub const POLICY: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: hardened}
spec:
  match: {namespaceSelector: {matchLabels: {test-policy: hardened}}}
  mode: enforce
  workloads: enforce
  level: restricted
  inject:
    seccompProfile: RuntimeDefault
    capabilities: {drop: [ALL]}
    allowPrivilegeEscalation: false
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10002
    readOnlyRootFilesystem: true
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: non-root}
spec:
  match: {namespaceSelector: {matchLabels: {test-policy: non-root}}}
  inject: {runAsNonRoot: true}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: app-armor}
spec:
  match: {namespaceSelector: {matchLabels: {test-policy: app-armor}}}
  inject: {appArmorProfile: RuntimeDefault}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: user-namespace}
spec:
  match: {namespaceSelector: {matchLabels: {test-policy: user-namespace}}}
  inject: {hostUsers: false}
";

/// What a container with all of `hardened` finds.
const HARDENED: &[(&str, &str)] = &[
    ("Uid", "10001 10001 10001 10001"),
    ("Gid", "10002 10002 10002 10002"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
    ("keyctl", "EPERM"),
    ("unshare", "EPERM"),
    ("root file system", "EROFS"),
];

/// What a container finds of which nobody says anything.
const BARE: &[(&str, &str)] = &[
    ("Uid", "0 0 0 0"),
    ("Gid", "0 0 0 0"),
    // What containerd leaves to a container, which is not little.
    ("CapEff", "00000000a80425fb"),
    ("NoNewPrivs", "0"),
    ("Seccomp", "0"),
    ("keyctl", "ok"),
    ("unshare", "ok"),
    ("root file system", "ok"),
];

/// A new namespace that the policy of this name is for.
#[track_caller]
fn namespace(policy: &str) -> Namespace {
    machine().namespace(policy, &[(LABEL, policy)])
}

fn every_container_of_a_pod_runs_with_what_was_injected() {
    let _gate = machine().gate.read();
    let namespace = namespace("hardened");
    let mut pod = probe("all-lists");
    let (mut first, mut sidecar) = (container("first"), container("sidecar"));
    first["command"] = json!(["/probe"]);
    sidecar["restartPolicy"] = json!("Always");
    pod["spec"]["initContainers"] = json!([first, sidecar]);
    pod["spec"]["containers"] = json!([container("one"), container("two")]);

    namespace.create_from(&pod.to_string()).expect_success();

    await_ready(&namespace, "all-lists");
    for name in ["first", "sidecar", "one", "two"] {
        told(&namespace, "all-lists", name).expect(HARDENED);
    }
}

fn a_debug_container_runs_with_what_was_injected() {
    let _gate = machine().gate.read();
    let namespace = namespace("hardened");
    namespace
        .create_from(&probe("debugged").to_string())
        .expect_success();
    await_ready(&namespace, "debugged");

    // As kubectl makes it, and with nothing said at all.
    let image = format!("--image={PROBE_ROOT}");
    let arguments = [
        "debug",
        "debugged",
        &image,
        "--image-pull-policy=Never",
        "--container=by-kubectl",
        "--profile=restricted",
        "--attach=false",
    ];
    namespace.kubectl(&arguments).expect_success();
    let bare = json!({"spec": {"ephemeralContainers": [container("bare")]}}).to_string();
    let arguments = [
        "patch",
        "pod",
        "debugged",
        "--subresource=ephemeralcontainers",
        "--patch",
        &bare,
    ];
    namespace.kubectl(&arguments).expect_success();

    for name in ["by-kubectl", "bare"] {
        told(&namespace, "debugged", name).expect(HARDENED);
    }
}

fn the_pods_of_a_deployment_run_with_what_its_template_does_not_say() {
    let _gate = machine().gate.read();
    let namespace = namespace("hardened");
    let labels = json!({"app": "probe"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [container("probe")]},
        }},
    });

    namespace
        .create_from(&deployment.to_string())
        .expect_success();

    let arguments = ["rollout", "status", "deployment/probe", "--timeout=28s"];
    namespace.kubectl(&arguments).expect_success();
    let pods = namespace.kubectl(&["get", "pods", "--output=json"]).json();
    let pods = pods["items"].as_array().expect("a list");
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().expect("a name");
        told(&namespace, name, "probe").expect(HARDENED);
    }
    let stored = namespace.get_json("deployment", "probe");
    let template = &stored["spec"]["template"]["spec"];
    assert_eq!(template["securityContext"], json!({}));
    assert!(template["containers"][0].get("securityContext").is_none());
}

fn a_pod_that_the_gate_does_not_judge_gets_none_of_it() {
    let machine = machine();
    let _gate = machine.gate.read();
    let system = Namespace::existing(machine.kubectl(), &machine.plane.audit_log, "kube-system");

    system
        .create_from(&probe("bare").to_string())
        .expect_success();

    await_ready(&system, "bare");
    told(&system, "bare", "probe").expect(BARE);
    system
        .kubectl(&["delete", "pod", "bare", "--wait=false"])
        .expect_success();
}

fn what_a_pod_says_itself_is_what_it_gets() {
    let _gate = machine().gate.read();
    // Only the shipped policies, which would inject two of these.
    let namespace = machine().namespace("own", &[]);
    let mut pod = probe("own");
    pod["spec"]["containers"][0]["securityContext"] = json!({
        "seccompProfile": {"type": "Unconfined"}, "allowPrivilegeEscalation": true, "runAsUser": 12345,
    });

    let created = namespace.create_from(&pod.to_string());

    // The policy `baseline` forbids Unconfined, and says so.
    created.expect_failure().expect_stderr("Unconfined");
    pod["spec"]["containers"][0]["securityContext"]["seccompProfile"] =
        json!({"type": "RuntimeDefault"});
    namespace.create_from(&pod.to_string()).expect_success();
    await_ready(&namespace, "own");
    told(&namespace, "own", "probe").expect(&[
        ("Uid", "12345 12345 12345 12345"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "2"),
    ]);
}

fn the_shipped_policies_keep_no_image_from_starting() {
    let _gate = machine().gate.read();
    let namespace = machine().namespace("shipped", &[]);
    for (name, image, uid) in [
        ("root", PROBE_ROOT, 0),
        ("number", PROBE_NUMBER, PROBE_USER),
        ("name", PROBE_NAME, PROBE_USER),
    ] {
        let mut pod = probe(name);
        pod["spec"]["containers"][0]["image"] = json!(image);
        namespace.create_from(&pod.to_string()).expect_success();
        await_ready(&namespace, name);
        told(&namespace, name, "probe").expect(&[
            ("Uid", &format!("{uid} {uid} {uid} {uid}")),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
            ("keyctl", "EPERM"),
        ]);
    }
}

fn run_as_non_root_alone_stops_just_the_images_that_the_reference_says() {
    let _gate = machine().gate.read();
    let namespace = namespace("non-root");
    for (name, image) in [
        ("root", PROBE_ROOT),
        ("number", PROBE_NUMBER),
        ("name", PROBE_NAME),
    ] {
        let mut pod = probe(name);
        pod["spec"]["containers"][0]["image"] = json!(image);
        namespace.create_from(&pod.to_string()).expect_success();
    }
    // One that says to be root is left alone, and the others beside it are not.
    let mut mixed = probe("mixed");
    let (mut root, mut number) = (container("root"), container("number"));
    root["securityContext"] = json!({"runAsUser": 0});
    number["image"] = json!(PROBE_NUMBER);
    mixed["spec"]["containers"] = json!([root, number]);
    namespace.create_from(&mixed.to_string()).expect_success();

    await_ready(&namespace, "number");
    await_ready(&namespace, "mixed");
    let refused = "CreateContainerConfigError";
    let message = await_waiting(&namespace, "root", refused);
    assert!(message.contains("image will run as root"), "{message}");
    let message = await_waiting(&namespace, "name", refused);
    assert!(message.contains("non-numeric user (somebody)"), "{message}");
}

fn run_as_non_root_beside_a_user_stops_no_image() {
    let _gate = machine().gate.read();
    let namespace = namespace("hardened");
    for (name, image) in [("number", PROBE_NUMBER), ("name", PROBE_NAME)] {
        let mut pod = probe(name);
        pod["spec"]["containers"][0]["image"] = json!(image);
        namespace.create_from(&pod.to_string()).expect_success();
        await_ready(&namespace, name);
        told(&namespace, name, "probe").expect(HARDENED);
    }
}

fn an_app_armor_profile_fails_where_the_node_has_none() {
    let _gate = machine().gate.read();
    let namespace = namespace("app-armor");
    namespace
        .create_from(&probe("injected").to_string())
        .expect_success();
    let mut unconfined = probe("unconfined");
    unconfined["spec"]["securityContext"] = json!({"appArmorProfile": {"type": "Unconfined"}});
    let refused = namespace.create_from(&unconfined.to_string());

    await_condition(
        &namespace,
        "injected",
        "--for=jsonpath={.status.reason}=AppArmor",
    );
    let failed = namespace.get_json("pod", "injected");
    assert_eq!(failed["status"]["phase"], "Failed");
    // The shipped `baseline` does not let a Pod take itself out.
    refused.expect_failure().expect_stderr("appArmorProfile");
}

fn a_user_namespace_is_given_or_the_kubelet_says_that_there_are_none() {
    let _gate = machine().gate.read();
    let namespace = namespace("user-namespace");
    namespace
        .create_from(&probe("injected").to_string())
        .expect_success();
    let stored = namespace.get_json("pod", "injected");
    assert_eq!(stored["spec"]["hostUsers"], false);
    // Debian 12's runtime has none to give. What the kubelet then says is told here, so that whoever has a newer one
    // sees the other half of this test at work.
    let mut says_why = false;
    await_until("the Pod starts, or the kubelet says why not", || {
        let event = "--field-selector=involvedObject.name=injected,reason=FailedCreatePodSandBox";
        let events = namespace.kubectl(&["get", "events", event, "--output=json"]);
        says_why = events
            .stdout
            .contains("runtime does not support user namespaces");
        says_why || is_ready(&namespace, "injected")
    });
    if !says_why {
        told(&namespace, "injected", "probe").expect_not(&[("uid_map", "0 0 4294967295")]);
    }
}

fn podgate_itself_runs_as_it_asks_of_others() {
    let _gate = machine().gate.read();
    await_until("two replicas run", || processes().len() == 2);
    for process in processes() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        for expected in [
            "Uid:\t65532\t65532\t65532\t65532",
            "Gid:\t65532\t65532\t65532\t65532",
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
        ] {
            assert!(
                status.lines().any(|it| it == expected),
                "{expected}\n{status}"
            );
        }
    }
}
