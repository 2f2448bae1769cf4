//! `podgate doctor` of a gate whose Pods run: its Pods can be asked how they are, and their ports be forwarded. And what
//! it says of a gate that was broken in ways that take a node to break it.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};

use super::{
    drills::SLOW,
    install::{await_rollout, policies, set_policies},
    machine::{Machine, machine},
};
use crate::{Test, cluster::harness::await_until};

pub const TESTS: &[Test] = &[
    (
        "doctor::finds_a_whole_install_healthy_and_leaves_nothing_unseen_but_app_armor",
        finds_a_whole_install_healthy_and_leaves_nothing_unseen_but_app_armor,
    ),
    (
        "doctor::names_a_registration_for_a_port_that_the_service_lacks",
        names_a_registration_for_a_port_that_the_service_lacks,
    ),
    (
        "doctor::names_a_foreign_bundle_and_the_right_that_keeps_podgate_from_mending_it",
        names_a_foreign_bundle_and_the_right_that_keeps_podgate_from_mending_it,
    ),
    (
        "doctor::names_policies_that_do_not_load_before_and_after_a_replica_failed_to_start_with_them",
        names_policies_that_do_not_load_before_and_after_a_replica_failed_to_start_with_them,
    ),
];

/// The policies of the tests inject what these nodes may not have; see `applied`.
const NODES: [&str; 2] = ["--skip", "node-features"];

/// How it begins when the API server gets no answer.
const UNREACHED: &str = "error reachability: dry run of a Pod in namespace default: Internal error occurred: failed \
                         calling webhook \"gate.podgate.dev\": ";

/// How it begins for a replica that goes on with older policies, and for one that could not start.
const STALE: &str = "warning policy-set: Pod podgate-system/podgate-";
const DOWN: &str = "error readiness: Pod podgate-system/podgate-";

/// What the doctor said.
struct Seen {
    status: Option<i32>,
    /// Each observation in a line.
    lines: Vec<String>,
}

// === impl Seen ===

impl Seen {
    /// Runs the doctor as an administrator, from beside the API server.
    #[track_caller]
    fn of(machine: &Machine, arguments: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_podgate"))
            .args(["doctor", "--output=json", "--kubeconfig"])
            .arg(&machine.kubectl().kubeconfig)
            .args(arguments)
            .output()
            .expect("podgate starts");
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let observations = said["observations"].as_array().expect("a list").iter();
        let lines = observations.map(|it| {
            let [severity, check, place, what] = ["severity", "check", "where", "what"]
                .map(|field| it[field].as_str().expect("it is text"));
            format!("{severity} {check}: {place}: {what}")
        });
        Self {
            status: output.status.code(),
            lines: lines.collect(),
        }
    }

    fn starting(&self, start: &str) -> usize {
        let starts = |it: &&String| it.starts_with(start);
        self.lines.iter().filter(starts).count()
    }

    /// Those that are not fine.
    fn bad(&self) -> Vec<&String> {
        let is_bad = |it: &&String| !it.starts_with("ok ") && !it.starts_with("note ");
        self.lines.iter().filter(is_bad).collect()
    }

    #[track_caller]
    fn expect(&self, starts: &[&str]) {
        for start in starts {
            assert!(
                self.starting(start) > 0,
                "{start}\nis not in {:#?}",
                self.lines
            );
        }
    }
}

#[track_caller]
fn kubectl(machine: &Machine, arguments: &[&str]) {
    let in_namespace = [&["--namespace=podgate-system"], arguments].concat();
    machine.kubectl().run(&in_namespace).expect_success();
}

/// What the doctor sees as soon as it sees so many observations that start like this. If that takes too long, what it sees
/// then: whoever broke something mends it first, and complains after that.
#[track_caller]
fn seen_with(machine: &Machine, start: &str, count: usize) -> Seen {
    let deadline = Instant::now() + SLOW;
    loop {
        let seen = Seen::of(machine, &NODES);
        if seen.starting(start) >= count || Instant::now() > deadline {
            return seen;
        }
    }
}

/// Replaces a field of the validating webhook's `clientConfig`.
#[track_caller]
fn edit_webhook(machine: &Machine, field: &str, value: &Value) {
    let field = format!("/webhooks/0/clientConfig/{field}");
    let edit = json!([{"op": "replace", "path": field, "value": value}]).to_string();
    let object = "validatingwebhookconfiguration/podgate";
    kubectl(machine, &["patch", object, "--type=json", "--patch", &edit]);
}

#[track_caller]
fn await_healthy(machine: &Machine) {
    await_rollout(machine);
    await_until("the doctor finds the install healthy", || {
        Seen::of(machine, &NODES).status == Some(0)
    });
}

fn finds_a_whole_install_healthy_and_leaves_nothing_unseen_but_app_armor() {
    let machine = machine();
    let _gate = machine.gate.read();

    let seen = Seen::of(machine, &NODES);

    assert_eq!(seen.bad(), Vec::<&String>::new());
    assert_eq!(seen.status, Some(0));
    for (start, count) in [
        ("ok readiness: Pod podgate-system/podgate-", 2),
        ("ok served-certificate: Pod podgate-system/podgate-", 2),
        ("ok policy-set: Pod podgate-system/podgate-", 2),
        (
            "ok reachability: dry run of a Pod in namespace default: the API server has an answer",
            1,
        ),
        (
            "ok enforcement: dry run of a Pod in namespace default: a Pod with hostPID is rejected",
            1,
        ),
        ("ok own-rights: you: you may look at everything", 1),
        ("note spread: Pods in podgate-system: all run on node n1", 1),
    ] {
        assert_eq!(seen.starting(start), count, "{start}\n{:#?}", seen.lines);
    }

    // No kubelet of today says whether its node has AppArmor, and this runtime has no user namespaces to give.
    let seen = Seen::of(machine, &[]);
    assert!(
        seen.bad().iter().any(|it| it.contains("AppArmor")),
        "{:#?}",
        seen.lines
    );
    for bad in seen.bad() {
        assert!(bad.contains(" node-features: nodes: "), "{bad}");
    }
}

fn names_a_registration_for_a_port_that_the_service_lacks() {
    let machine = machine();
    let _gate = machine.gate.write();
    edit_webhook(machine, "service/port", &json!(444));

    let seen = seen_with(machine, UNREACHED, 1);

    edit_webhook(machine, "service/port", &json!(443));
    assert_eq!(seen.status, Some(1));
    seen.expect(&[
        "error service: Service podgate-system/podgate: the webhooks call port 444, and it has 443",
        UNREACHED,
    ]);
    await_healthy(machine);
}

fn names_a_foreign_bundle_and_the_right_that_keeps_podgate_from_mending_it() {
    let machine = machine();
    let _gate = machine.gate.write();
    kubectl(
        machine,
        &["delete", "clusterrolebinding", "podgate-certificates"],
    );
    let foreign = machine.plane.authority.bundle();
    edit_webhook(machine, "caBundle", &json!(foreign));

    let seen = seen_with(machine, UNREACHED, 1);

    let rights = "manifests/base/gate/rbac-certificates.yaml";
    kubectl(machine, &["apply", "-f", rights]);
    assert_eq!(seen.status, Some(1));
    seen.expect(&[
        "error served-certificate: Pod podgate-system/podgate-",
        "error gate-rights: service account of podgate in podgate-system: it may not patch \
         validatingwebhookconfigurations.admissionregistration.k8s.io podgate, ",
        UNREACHED,
    ]);
    await_healthy(machine);
}

fn names_policies_that_do_not_load_before_and_after_a_replica_failed_to_start_with_them() {
    let machine = machine();
    let _gate = machine.gate.write();
    set_policies(machine, "kind: PodPolicy\nspec: {mood: enforce}\n");

    let stale = seen_with(machine, STALE, 2);
    kubectl(machine, &["rollout", "restart", "deployment/podgate"]);
    let failed = seen_with(machine, DOWN, 1);

    set_policies(machine, &policies());
    await_healthy(machine);
    for seen in [&stale, &failed] {
        // The gate goes on, and everything was looked at.
        seen.expect(&[
            "error policies: ConfigMap podgate-system/podgate-policies: its policies cannot be loaded: tests.yaml:",
            "ok reachability: ",
            "ok enforcement: ",
        ]);
        assert_eq!(seen.starting(STALE), 2, "{:#?}", seen.lines);
        assert_eq!(seen.status, Some(1));
    }
    let why = ", exit code 1: error: no policies in force; error: ";
    let ended = failed
        .lines
        .iter()
        .any(|it| it.starts_with(DOWN) && it.contains(why));
    assert!(ended, "{:#?}", failed.lines);
}
