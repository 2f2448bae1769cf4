//! `podgate demo` over the real binary: what it prints is what the README promises.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

const SHOWN: &str = include_str!("demo.txt");

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
    command
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The port is whichever was free.
fn redacted(text: &str) -> String {
    let Some((before, after)) = text.split_once("https://127.0.0.1:") else {
        return text.to_owned();
    };
    let rest = after.trim_start_matches(|it: char| it.is_ascii_digit());
    format!("{before}https://127.0.0.1:PORT{rest}")
}

#[test]
fn shows_a_rejection_an_injection_a_warning_and_an_admitted_pod() {
    let Output {
        status,
        stdout,
        stderr,
    } = demo(&[]).output().expect("podgate starts");
    assert!(status.success(), "{status}");
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    assert_eq!(redacted(&String::from_utf8_lossy(&stdout)), SHOWN);
}

#[test]
fn the_rejection_in_the_readme_is_the_one_that_the_demo_shows() {
    let readme = include_str!("../../README.md");
    let rejection = readme
        .split("```text\n")
        .nth(1)
        .and_then(|it| it.split_once("```"))
        .expect("the README shows a rejection")
        .0;
    assert!(rejection.starts_with("Error from server (Forbidden): "));
    assert!(SHOWN.contains(rejection), "{rejection}");
}

#[test]
fn keeps_serving_when_told_to_until_a_signal() {
    let mut child = demo(&["--keep"]).spawn().expect("podgate starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let is_last = |line: &String| line == "Ctrl-C ends it.";
    let shown: Vec<String> = lines
        .by_ref()
        .map_while(Result::ok)
        .take_while(|it| !is_last(it))
        .collect();
    assert!(
        shown.iter().any(|it| it == "-----END CERTIFICATE-----"),
        "{shown:?}"
    );
    assert!(
        child.try_wait().expect("it can be asked").is_none(),
        "it still serves"
    );
    let pid = child.id().to_string();
    let killed = Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    assert!(child.wait().expect("it ends").success());
}
