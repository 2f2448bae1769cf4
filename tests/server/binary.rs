//! The binary itself: what a person or a kubelet that starts it meets.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::support::PATIENCE;

pub(crate) fn serve(arguments: &[&str]) -> Command {
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
fn with_few_file_descriptors_newcomers_are_let_in_all_the_same() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 140; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_podgate"))
        .args(serve(&[]).get_args())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("podgate starts");
    let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let first = said.next().expect("it says so").expect("it is text");
    let address = first.trim_start_matches("podgate serves https://");
    let address = address.split('/').next().expect("there is an address");
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(TcpStream::connect(address).expect("it connects"));
    }
    // The first one had to go.
    open[0]
        .set_read_timeout(Some(PATIENCE))
        .expect("it is a socket");
    assert_eq!(open[0].read(&mut [0]).expect("it is closed"), 0);
    child.kill().expect("the child can be ended");
    child.wait().expect("the child can be waited for");
}

/// A policy file with this `spec`, in flow style.
pub(crate) fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// What it says when it refuses to start, with `DIR` for the directory.
fn refusal(directory: &Path) -> String {
    let path = directory.to_str().expect("the path is text");
    let output = serve(&["--policies", path])
        .output()
        .expect("podgate starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{text}");
    text.replace(path, "DIR")
}

#[test]
fn refuses_to_start_on_bad_policies_and_lists_every_error() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let files = [
        (
            "good.yaml",
            policy("good", "{mode: enforce, level: baseline}"),
        ),
        (
            "bad.yaml",
            policy("bad", "{mode: enforce, controls: {privilegd: {}}, x: 1}"),
        ),
        ("worse.yaml", policy("worse", "{level: restricted}")),
    ];
    for (name, text) in &files {
        fs::write(directory.path().join(name), text).expect("the file can be written");
    }
    assert_eq!(
        refusal(directory.path()),
        r#"error: no policies in force
error: unknown control "privilegd"
 --> bad.yaml:4:34
  |
4 | spec: {mode: enforce, controls: {privilegd: {}}, x: 1}
  |                                  ^^^^^^^^^
  |
  = help: did you mean "privileged"?

error: unknown field "x"
 --> bad.yaml:4:50
  |
4 | spec: {mode: enforce, controls: {privilegd: {}}, x: 1}
  |                                                  ^
  |
  = help: known fields: mode, workloads, match, level, version, controls, inject, rules

error: missing field "mode"
 --> worse.yaml:4:7
  |
4 | spec: {level: restricted}
  |       ^^^^^^^^^^^^^^^^^^^
  |
  = help: enforce, warn or audit; begin with audit
"#
    );
}

#[test]
fn refuses_to_start_without_any_policy() {
    let parent = tempfile::tempdir().expect("a directory can be made");
    let directory = parent.path().join("policies");
    let missing = "error: cannot read \"DIR\": No such file or directory (os error 2)\n";
    assert_eq!(refusal(&directory), missing);

    let none = "error: no policies in force\n\
                error: no policies: DIR holds no PodPolicy, and podgate does not run without one\n";
    fs::create_dir(&directory).expect("a directory can be made");
    assert_eq!(refusal(&directory), none);
    for (name, text) in [
        ("README.md", "policies"),
        (".hidden.yaml", "hidden"),
        ("empty.yaml", ""),
        ("comment.yaml", "# later\n---\n"),
    ] {
        fs::write(directory.join(name), text).expect("the file can be written");
        assert_eq!(refusal(&directory), none, "{name}");
    }

    fs::remove_dir_all(&directory).expect("it goes");
    fs::write(&directory, policy("p", "{mode: enforce, level: baseline}")).expect("a file");
    let file = "error: cannot read \"DIR\": Not a directory (os error 20)\n";
    assert_eq!(refusal(&directory), file);
}

#[test]
fn check_ends_with_its_verdict_although_nobody_reads_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .args(["check", "manifests/examples"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podgate starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn check_fails_on_a_workload_whose_pods_would_be_rejected() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
                      hostPID: true\n      containers: [{name: a, image: i}]\n---\nkind: ConfigMap\napiVersion: v1\n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podgate starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, deployment.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let title = "error: hostNamespaces: Deployment default/web: its Pods will be rejected by policy \"baseline\"\n";
    assert!(text.contains(title), "{text}");
    let summary = "1 judged: 0 would be rejected, 1 would have their Pods rejected; 2 further findings. 1 skipped, 0 could not be judged\n";
    assert!(text.ends_with(summary), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn says_which_podgate_it_is_and_which_kubernetes_it_knows() {
    let output = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .arg("--version")
        .output()
        .expect("podgate starts");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    let release = env!("CARGO_PKG_VERSION");
    assert!(
        said.starts_with(&format!("podgate {release} (commit "))
            && said.ends_with(", Kubernetes 1.37)\n"),
        "{said}"
    );
}
