//! `podgate audit` without a cluster: what it says when there is none, and that it ends when it is told to.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn audit(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
    command
        .arg("audit")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = audit(arguments).output().expect("it runs");
    (
        status.code(),
        String::from_utf8(stderr).expect("it is text"),
    )
}

/// A kubeconfig for this API server.
fn kubeconfig(directory: &Path, server: &str) -> String {
    let path = directory.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
         clusters: [{{name: it, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: it, user: {{}}}}]\n\
         contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
    );
    fs::write(&path, text).expect("it can be written");
    format!("--kubeconfig={}", path.display())
}

#[test]
fn what_is_wrong_with_the_call_is_said_before_any_cluster_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let saved = directory.path().join("saved.json");
    fs::write(&saved, "{\"apiVersion\": \"other/v1\"}").expect("it can be written");
    let since = format!("--since={}", saved.display());
    for (arguments, said) in [
        (vec!["--fail-on=new"], "--fail-on new needs --since"),
        (vec!["--since=no-such.json"], "cannot read no-such.json"),
        (vec![&*since], "saved.json"),
        (vec!["--policies=no-such"], "no-such"),
        (vec!["--level=strict"], "a level is baseline or restricted"),
        (
            vec!["--level=baseline", "--policies=."],
            "cannot be used with",
        ),
        (vec!["-A", "-n=shop"], "cannot be used with"),
        (
            vec!["--kubeconfig=no-such"],
            "cannot use the kubeconfig \"no-such\"",
        ),
        (vec!["-o=table"], "no other is named with --kubeconfig"),
    ] {
        let (code, stderr) = output(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_api_server_that_nobody_can_reach_is_named_with_the_cause_and_given_up() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound");
    drop(taken);
    let directory = tempfile::tempdir().expect("a directory");
    let kubeconfig = kubeconfig(directory.path(), &format!("http://{address}"));
    let output = audit(&[&kubeconfig]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let stdout = String::from_utf8(output.stdout).expect("it is text");
    assert!(stdout.contains("NOT COMPLETE"), "{stdout}");
    assert!(stdout.contains("onnection refused"), "{stdout}");
    assert!(
        stdout.contains("the API server cannot be reached"),
        "{stdout}"
    );
    // Patience is had once, not again for each list.
    assert!(!stdout.contains("list of"), "{stdout}");
}

#[test]
fn ctrl_c_ends_it_with_what_is_known_so_far_and_says_that_it_is_not_all() {
    // It listens, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("it is bound");
    let directory = tempfile::tempdir().expect("a directory");
    let kubeconfig = kubeconfig(directory.path(), &format!("http://{address}"));
    let child = audit(&[&kubeconfig, "--output=json"])
        .spawn()
        .expect("it starts");
    let asked = silent.accept().expect("it asks");
    let signalled = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(signalled.success());
    let output = child.wait_with_output().expect("it ends");
    drop(asked);
    assert_eq!(output.status.code(), Some(2));
    let results: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(results["run"]["complete"], false);
    let errors = results["errors"].as_array().expect("there are some");
    assert!(
        errors
            .iter()
            .any(|it| it["what"] == "list of pods" && it["why"] == "interrupted"),
        "{results:#}"
    );
    let stderr = String::from_utf8(output.stderr).expect("it is text");
    assert!(
        stderr.contains("error: list of pods: interrupted"),
        "{stderr}"
    );
    assert!(
        !stderr.contains('\r') && !stderr.contains('\x1b'),
        "no progress where nobody looks: {stderr:?}"
    );
}
