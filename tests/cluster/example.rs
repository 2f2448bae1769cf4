//! `cargo run --example cluster`: a real API server with podgate in front of it, to try things with `kubectl`.
//!
//! It is what the tests use, with the gate registered as `manifests/` would and the policies of `policies/` in force
//! (or of a directory given as argument; `--no-gate` starts the control plane alone). It stays until Ctrl-C and leaves
//! nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "shares the tests' harness, which fails by panicking"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests, which use more of it"
)]
mod harness;

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{ExitCode, Stdio},
    thread,
};

use harness::{
    Cluster, ClusterError, Kubectl, Supervised, chain, default_service_account, say,
    supervised_from,
};

const USAGE: &str = "\
A real API server with podgate in front of it, to try things with kubectl.

Usage: cargo run --example cluster [-- DIR | --no-gate]

  DIR        policies to enforce instead of policies/
  --no-gate  the API server alone";

/// What to type next, and what comes of it with the shipped policies.
const TRY: [(&str, &str); 7] = [
    (
        "kubectl run web --image=registry.example/web:1",
        "admitted, with warnings",
    ),
    (
        "kubectl get pod web --output yaml",
        "what was injected: seccompProfile, allowPrivilegeEscalation",
    ),
    (
        "kubectl run root --image=registry.example/root:1 --privileged",
        "rejected, with the fix",
    ),
    (
        "kubectl debug web --image=registry.example/tools:1 --profile=sysadmin",
        "rejected",
    ),
    (
        "kubectl debug web --image=registry.example/tools:1 --profile=restricted --attach=false",
        "admitted",
    ),
    (
        "kubectl create deployment api --image=registry.example/api:1",
        "its template is warned of, and stays as it is",
    ),
    (
        "kubectl create namespace shop && kubectl apply -f manifests/examples",
        "the four of `podgate demo`",
    ),
];

fn main() -> ExitCode {
    // Cargo builds no binaries for an example, so this one is also the `podgate serve` that it starts.
    let argument = env::args().nth(1);
    let result = match argument.as_deref() {
        Some("serve") => return podgate::cli::main(None),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some("--no-gate") => run(None),
        // From the top of the repository, wherever this is started.
        None => run(Some(Path::new("policies"))),
        Some(directory) => match Path::new(directory).canonicalize() {
            Ok(path) => run(Some(&path)),
            Err(error) => {
                say(&format!("{directory}: {error}\n\n{USAGE}"));
                return ExitCode::FAILURE;
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(policies: Option<&Path>) -> Result<(), ClusterError> {
    say("Starting etcd and kube-apiserver.");
    let cluster = Cluster::start()?;
    let _service_accounts = keep_service_accounts(cluster.kubectl())?;
    let gate = policies.map(|directory| {
        say("Registering podgate.");
        let gate = cluster.gate("example").judging_everything();
        // A change counts at the second look.
        gate.policies_from(&directory.to_string_lossy())
            .arguments(&["--poll", "500ms"])
            .start()
    });
    print_introduction(cluster.kubectl());
    if let Some(gate) = &gate {
        println!(
            "Policies, a second after you edit them: {}",
            gate.policies().display()
        );
        println!(
            "What podgate logs:                      {}",
            gate.log_file().display()
        );
    }
    println!("\nCtrl-C ends it and removes everything.");
    wait_for_interrupt()?;
    say("Ending.");
    Ok(())
}

fn print_introduction(kubectl: &Kubectl) {
    let directory = kubectl
        .program
        .parent()
        .expect("a program is in a directory");
    println!(
        "
An API server is ready. In another terminal:

  export KUBECONFIG={}
  export PATH={}:$PATH   # the kubectl of this API server

Then try:
",
        kubectl.kubeconfig.display(),
        directory.display()
    );
    for (command, outcome) in TRY {
        println!("  # {outcome}\n  {command}");
    }
    println!(
        "
There is no scheduler, no kubelet and no controller: what is judged is stored, and Pods stay Pending.
"
    );
}

/// Gives every namespace the service account that a controller gives it in a real cluster, until dropped.
fn keep_service_accounts(kubectl: &Kubectl) -> io::Result<Supervised> {
    let mut watch = supervised_from(&kubectl.command());
    // A watch is one request that lasts.
    watch.args(["--request-timeout=0", "get", "namespaces", "--watch"]);
    watch.args(["--output", "jsonpath={.metadata.name}{\"\\n\"}"]);
    let mut watch = Supervised::spawn(watch.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let names = watch.take_stdout().expect("asked for a pipe");
    let kubectl = kubectl.clone();
    thread::spawn(move || {
        for name in BufReader::new(names).lines().map_while(Result::ok) {
            // Most have one already; a namespace being deleted gets none.
            let _ = kubectl.run_with_input(
                &["create", "-f", "-"],
                &default_service_account(&name).to_string(),
            );
        }
    });
    Ok(watch)
}

fn wait_for_interrupt() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (mut interrupt, mut terminate) = (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            );
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        })
}
