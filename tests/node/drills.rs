//! What happens to an installed gate, while Pods are created all the time: nothing may be admitted unchecked, ever, and
//! nothing refused because the gate did not answer, as long as all that happens was planned.
//!
//! Each drill tells what came of it. By default they are short; `PODGATE_DRILLS=full` does everything as often as the
//! figures want it.

use std::{env, fs, process::Command, time::Duration};

use serde_json::Value;

use super::{
    install::{self, await_rollout, set_policies},
    load::{AT_ONCE, Answer, Answers, Load},
    machine::{Machine, machine, processes},
};
use crate::{
    Test,
    cluster::harness::{await_until, await_within, say},
};

pub const TESTS: &[Test] = &[
    (
        "drills::a_rolling_update_loses_nothing",
        a_rolling_update_loses_nothing,
    ),
    (
        "drills::deleting_its_pods_one_by_one_loses_nothing",
        deleting_its_pods_one_by_one_loses_nothing,
    ),
    (
        "drills::changed_policies_are_in_force_and_lose_nothing",
        changed_policies_are_in_force_and_lose_nothing,
    ),
    (
        "drills::replaced_certificates_and_authorities_lose_nothing",
        replaced_certificates_and_authorities_lose_nothing,
    ),
    (
        "drills::a_deleted_secret_loses_nothing",
        a_deleted_secret_loses_nothing,
    ),
    (
        "drills::a_frozen_holder_of_the_lease_opens_nothing",
        a_frozen_holder_of_the_lease_opens_nothing,
    ),
    (
        "drills::a_restarted_api_server_finds_the_gate_again",
        a_restarted_api_server_finds_the_gate_again,
    ),
    (
        "drills::a_killed_replica_opens_nothing",
        a_killed_replica_opens_nothing,
    ),
    (
        "drills::break_glass_opens_the_gate_until_it_is_registered_again",
        break_glass_opens_the_gate_until_it_is_registered_again,
    ),
    (
        "drills::no_replica_at_all_opens_nothing",
        no_replica_at_all_opens_nothing,
    ),
];

/// What a kubelet does that has to be sure first.
pub const SLOW: Duration = Duration::from_mins(1);

/// Runs a drill alone, and returns the answers that were given meanwhile, none of which let anything through.
#[track_caller]
fn drill(what: &str, happens: impl FnOnce(&Machine, &Load)) -> Answers {
    let answers = watched(what, happens);
    assert_eq!(answers.count(Answer::Unchecked), 0, "{answers}");
    answers
}

/// As [`drill`], whatever was let through.
#[track_caller]
fn watched(what: &str, happens: impl FnOnce(&Machine, &Load)) -> Answers {
    let machine = machine();
    // A drill that failed has left the gate in some state, which the next one may find good enough.
    let _gate = machine.gate.write();
    await_rollout(machine);
    await_until("only two replicas run", || processes().len() == 2);
    let load = Load::begin(machine);
    happens(machine, &load);
    // What is on its way out still answers.
    await_until("only two replicas run", || processes().len() == 2);
    let answers = load.end();
    say(&format!("drill, {what}: {answers}"));
    assert_eq!(answers.count(Answer::Wrong), 0, "{answers}");
    answers
}

/// What was planned costs nobody anything.
#[track_caller]
fn expect_none_refused(answers: &Answers) {
    assert_eq!(answers.count(Answer::Refused), 0, "{answers}");
    assert_eq!(answers.count(Answer::NoApiServer), 0, "{answers}");
}

/// How often something is done: a few times, or as often as asked for.
fn times(few: usize, full: usize) -> usize {
    if env::var_os("PODGATE_DRILLS").is_some_and(|it| it == "full") {
        full
    } else {
        few
    }
}

#[track_caller]
fn kubectl(machine: &Machine, arguments: &[&str]) {
    let in_namespace = [&["--namespace=podgate-system"], arguments].concat();
    machine.kubectl().run(&in_namespace).expect_success();
}

/// podgate's Pods that are ready, and not on their way out.
fn ready_pods(machine: &Machine) -> Vec<String> {
    let selector = "--selector=app.kubernetes.io/name=podgate";
    let arguments = [
        "--namespace=podgate-system",
        "get",
        "pods",
        selector,
        "--output=json",
    ];
    let pods = machine.kubectl().run(&arguments).json();
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let is_ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned();
        let ready = |it: &Value| it["type"] == "Ready" && it["status"] == "True";
        pod["metadata"].get("deletionTimestamp").is_none()
            && conditions.is_some_and(|it| it.iter().any(ready))
    };
    pods.iter()
        .filter(|pod| is_ready(pod))
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .collect()
}

fn a_rolling_update_loses_nothing() {
    let count = times(1, 5);
    let answers = drill(&format!("{count} rolling updates"), |machine, _| {
        for _ in 0..count {
            kubectl(machine, &["rollout", "restart", "deployment/podgate"]);
            await_rollout(machine);
        }
    });
    expect_none_refused(&answers);
}

fn deleting_its_pods_one_by_one_loses_nothing() {
    let answers = drill("its Pods deleted one by one", |machine, _| {
        let pods = ready_pods(machine);
        assert_eq!(pods.len(), 2);
        for pod in pods {
            kubectl(machine, &["delete", "pod", &pod, "--wait=false"]);
            // The other one may only go when there is a new one.
            await_until("a new replica is ready", || {
                let ready = ready_pods(machine);
                ready.len() == 2 && !ready.contains(&pod)
            });
        }
    });
    expect_none_refused(&answers);
}

fn changed_policies_are_in_force_and_lose_nothing() {
    let count = times(2, 100);
    let answers = drill(&format!("policies changed {count} times"), |machine, _| {
        let hashes = |machine: &Machine| -> Vec<String> {
            let each = ready_pods(machine).into_iter();
            each.map(|pod| policy_set(machine, &pod)).collect()
        };
        for round in 0..count {
            let before = hashes(machine);
            let more = format!(
                "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: round}}\n\
                 spec: {{mode: audit, match: {{namespaces: [round-{round}]}}, controls: {{privileged: {{}}}}}}\n"
            );
            set_policies(machine, &[install::policies(), more].join("\n---\n"));
            await_until("both replicas have the new policies", || {
                let after = hashes(machine);
                after.len() == 2 && after[0] == after[1] && !before.contains(&after[0])
            });
        }
        set_policies(machine, &install::policies());
    });
    expect_none_refused(&answers);
}

/// The hash of the policies that a replica has in force.
fn policy_set(machine: &Machine, pod: &str) -> String {
    let path = format!("/api/v1/namespaces/podgate-system/pods/{pod}:8444/proxy/metrics");
    let metrics = machine.kubectl().run(&["get", "--raw", &path]).stdout;
    let line = metrics
        .lines()
        .find(|it| it.starts_with("podgate_policy_set_info{"));
    line.unwrap_or_else(|| panic!("no policies in force at {path}\n{metrics}"))
        .to_owned()
}

fn replaced_certificates_and_authorities_lose_nothing() {
    let (serving, authorities) = (times(2, 20), times(1, 5));
    let what = format!("{serving} certificates and {authorities} authorities replaced");
    let answers = drill(&what, |machine, _| {
        let each = [("serving", serving), ("ca", authorities)].into_iter();
        for what in each.flat_map(|(what, count)| std::iter::repeat_n(what, count)) {
            let before = certificates(machine);
            let wish = format!("podgate.dev/rotate={what}");
            kubectl(machine, &["annotate", "secret/podgate-certificates", &wish]);
            await_until("another certificate serves", || {
                let now = certificates(machine);
                now["tls.crt"] != before["tls.crt"]
                    && (what != "ca" || now["ca.crt"] != before["ca.crt"])
            });
            await_until("the authority before is forgotten", || {
                certificates(machine)["previous-ca.crt"].is_null()
            });
        }
    });
    expect_none_refused(&answers);
}

fn a_deleted_secret_loses_nothing() {
    let answers = drill("the Secret deleted", |machine, load| {
        kubectl(machine, &["delete", "secret/podgate-certificates"]);
        await_until("it is back", || {
            certificates(machine)["tls.key"].is_string()
        });
        load.await_more(200);
    });
    expect_none_refused(&answers);
}

/// What is in podgate's own Secret, if it is there.
fn certificates(machine: &Machine) -> Value {
    let secret = "secret/podgate-certificates";
    let arguments = ["--namespace=podgate-system", "get", secret, "--output=json"];
    let output = machine.kubectl().run(&arguments);
    let secret: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    secret["data"].clone()
}

fn a_frozen_holder_of_the_lease_opens_nothing() {
    drill("the holder of the Lease frozen", |machine, load| {
        let holder = || {
            let holder = "--output=jsonpath={.spec.holderIdentity}";
            let arguments = ["--namespace=podgate-system", "get", "lease/podgate", holder];
            machine.kubectl().run(&arguments).stdout
        };
        let frozen = holder();
        let process = processes().into_iter().find(|it| {
            let environment = fs::read(format!("/proc/{it}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment)
                .split('\0')
                .filter_map(|it| it.strip_prefix("PODGATE_POD_NAME="))
                .any(|name| frozen.contains(name))
        });
        let process = process.expect("the holder runs");
        signal(&process, "STOP");
        // The kubelet asks three times before it believes it, and the Lease runs out.
        await_within(SLOW, "the API server has stopped asking it", || {
            !ready_pods(machine)
                .iter()
                .any(|it| frozen.contains(it.as_str()))
        });
        let refused = load.count_of(Answer::Refused);
        load.await_more(200);
        assert!(load.count_of(Answer::Refused) <= refused + AT_ONCE);
        await_within(SLOW, "another holds the Lease", || holder() != frozen);
        // The kubelet ends it in the end, if nobody else does.
        signal(&process, "KILL");
        await_within(SLOW, "both are there again", || {
            ready_pods(machine).len() == 2
        });
    });
}

fn signal(process: &str, name: &str) {
    let sent = Command::new("kill").args(["-s", name, process]).status();
    assert!(sent.is_ok_and(|it| it.success()));
}

fn a_restarted_api_server_finds_the_gate_again() {
    let answers = drill("the API server restarted", |machine, load| {
        let restarted = machine.plane.restart_kube_apiserver();
        restarted.unwrap_or_else(|error| panic!("no API server: {error}"));
        let right = load.count_of(Answer::Right);
        await_until("creates are answered again", || {
            load.count_of(Answer::Right) > right + 50
        });
    });
    assert!(answers.count(Answer::NoApiServer) > 0, "{answers}");
    assert_eq!(answers.count(Answer::Refused), 0, "{answers}");
}

fn a_killed_replica_opens_nothing() {
    drill("one replica killed", |machine, load| {
        let victim = processes().into_iter().next().expect("podgate runs");
        signal(&victim, "KILL");
        await_until("it runs again", || {
            let now = processes();
            now.len() == 2 && !now.contains(&victim) && ready_pods(machine).len() == 2
        });
        load.await_more(100);
    });
}

fn no_replica_at_all_opens_nothing() {
    let answers = drill("scaled to zero and back", |machine, load| {
        kubectl(machine, &["scale", "deployment/podgate", "--replicas=0"]);
        await_until("no replica runs", || processes().is_empty());
        let refused = load.count_of(Answer::Refused);
        load.await_more(100);
        assert!(load.count_of(Answer::Refused) >= refused + 90);
        kubectl(machine, &["scale", "deployment/podgate", "--replicas=2"]);
        await_rollout(machine);
        let refused = load.count_of(Answer::Refused);
        load.await_more(100);
        assert_eq!(load.count_of(Answer::Refused), refused);
    });
    assert!(answers.count(Answer::Refused) > 0, "{answers}");
}

/// The one way to open the gate; here it is seen that an open one would be noticed.
fn break_glass_opens_the_gate_until_it_is_registered_again() {
    watched("the gate opened and closed again", |machine, load| {
        let both = "validatingwebhookconfiguration,mutatingwebhookconfiguration";
        kubectl(machine, &["delete", both, "podgate"]);
        await_until("nobody is asked", || load.count_of(Answer::Unchecked) > 100);
        kubectl(machine, &["apply", "-k", "manifests/base/webhooks"]);
        await_until("all is as it was", || {
            let right = load.count_of(Answer::Right);
            let others = [Answer::Unchecked, Answer::Refused].map(|it| load.count_of(it));
            load.await_more(100);
            load.count_of(Answer::Right) >= right + 100
                && others == [Answer::Unchecked, Answer::Refused].map(|it| load.count_of(it))
        });
    });
}
