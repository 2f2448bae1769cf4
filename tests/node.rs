//! podgate installed in a cluster whose Pods really run: a kubelet and a container runtime beside the real API server.
//!
//! The tests run inside namespaces of their own (`node/namespaces.rs`), so this binary runs itself again in there, with
//! the same arguments. What needs no node is tested in there as well, or out here on a machine that cannot have one.
//!
//! `PODGATE_DRILLS=full` does as often as is asked of a release what is done a few times otherwise; `PODGATE_NODE_LOGS`
//! names a directory that the logs of all programs are copied to in the end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "cluster"]
mod cluster {
    #[allow(
        dead_code,
        unused_imports,
        reason = "shared with the cluster tests, which use more of it"
    )]
    pub mod harness;
}

mod node {
    pub mod applied;
    pub mod doctor;
    pub mod drills;
    pub mod image;
    pub mod install;
    pub mod load;
    pub mod machine;
    pub mod namespaces;
    pub mod pod;
}

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use cluster::harness::{in_ci, say};
use node::{
    applied, doctor, drills, image,
    namespaces::{self, Refusal},
};

/// A test by its name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    namespaces::stay();
    let arguments = Arguments::from_args();
    let on_a_node = [
        namespaces::TESTS,
        applied::TESTS,
        doctor::TESTS,
        drills::TESTS,
    ];
    let on_a_node = on_a_node.iter().copied().flatten();
    let anywhere = image::TESTS.iter().copied().map(plain);

    let wants_node = !arguments.list
        && on_a_node
            .clone()
            .any(|&test| !arguments.is_filtered_out(&plain(test)));
    if !wants_node || namespaces::is_inside() {
        let trials = on_a_node.copied().map(plain).chain(anywhere);
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    match namespaces::run_inside() {
        Ok(code) => code,
        Err(refusal) => {
            say(&format!("tests on a node are skipped: {refusal}"));
            let without = on_a_node.map(|&(name, _)| skipped(name, &refusal));
            libtest_mimic::run(&arguments, without.chain(anywhere).collect()).exit_code()
        }
    }
}

fn plain((name, test): Test) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test that this machine cannot run: where nothing is to be skipped, that is a failure.
fn skipped(name: &str, refusal: &Refusal) -> Trial {
    let reason = refusal.to_string();
    let is_failure = in_ci() || !refusal.is_excuse();
    Trial::ignorable_test(name, move || {
        if is_failure {
            Err(Failed::from(reason))
        } else {
            Ok(Completion::ignored_with(reason))
        }
    })
}
