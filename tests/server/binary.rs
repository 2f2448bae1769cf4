//! The binary itself: what a person or a kubelet that starts it meets.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::support::PATIENCE;

fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--drain-delay",
            "0s",
        ])
        .args(arguments)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    command
}

/// Waits for the end, but not for ever: `None` if it had to be ended.
fn end(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return Some(status);
        }
        if begun.elapsed() > PATIENCE {
            child.kill().expect("the child can be ended");
            child.wait().expect("the child can be waited for");
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn drains_although_nobody_reads_what_it_says() {
    let mut child = serve(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podgate starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("podgate says how to reach it");
    assert!(
        line.starts_with("podgate serves https://127.0.0.1:"),
        "{line}"
    );
    // Both of its outputs are closed from here on.
    drop(child.stderr.take());
    let pid = child.id().to_string();
    let killed = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    assert!(end(&mut child).is_some_and(|it| it.success()));
}

#[test]
fn refuses_to_start_on_bad_policies_and_lists_every_error() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let policy = |name: &str, spec: &str| {
        format!(
            "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let files = [
        (
            "good.yaml",
            policy("good", "{mode: enforce, level: baseline}"),
        ),
        (
            "bad.yaml",
            policy("bad", "{mode: enforce, controls: {privilegd: {}}}"),
        ),
        ("worse.yaml", policy("worse", "{level: restricted}")),
    ];
    for (name, text) in &files {
        fs::write(directory.path().join(name), text).expect("the file can be written");
    }
    let path = directory.path().to_str().expect("the path is text");
    let output = serve(&["--policies", path])
        .output()
        .expect("podgate starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "bad.yaml:4:",
        "unknown control \"privilegd\"",
        "worse.yaml:4:",
        "missing field \"mode\"",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let empty = tempfile::tempdir().expect("a directory can be made");
    let path = empty.path().to_str().expect("the path is text");
    let output = serve(&["--policies", path])
        .output()
        .expect("podgate starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no PodPolicy"));
}
