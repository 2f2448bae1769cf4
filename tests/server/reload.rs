//! The policies of a running podgate, changed under it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::binary::policy;
use super::podgate::Podgate;
use super::support::{eventually, kubelet_swap};

/// Denied by the baseline, and by a policy of host ports.
const HOST_PORT: &str = r#"{"spec":{"containers":[{"name":"a","ports":[{"hostPort":80}]}]}}"#;
/// Denied by the baseline alone.
const HOST_PID: &str = r#"{"spec":{"hostPID":true,"containers":[{"name":"a"}]}}"#;

fn ports() -> String {
    policy("one", "{mode: enforce, controls: {hostPorts: {}}}")
}

fn baseline() -> String {
    policy("one", "{mode: enforce, level: baseline}")
}

/// Puts a file in place at once: what is half done is never seen, however slow the test.
fn put(file: &Path, text: impl AsRef<[u8]>) {
    let new = file.with_file_name(".new");
    fs::write(&new, text).expect("a file");
    fs::rename(new, file).expect("it is put in place");
}

/// What the log says of the one refusal, behind its first words and before the next event.
#[track_caller]
fn the_refusal(log: &str) -> &str {
    let errors = log.split("ERROR ").skip(1);
    assert_eq!(errors.count(), 1, "not one error in\n{log}");
    let (_, event) = log
        .split_once("changed policies refused, the last good set stays in force")
        .expect("it is a refusal");
    event.split(" INFO ").next().unwrap_or(event)
}

#[tokio::test]
async fn a_good_edit_comes_into_force() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("one.yaml");
    put(&file, ports());
    let podgate = Podgate::start(directory.path()).await;
    let before = podgate.said().await;
    assert!(
        before.starts_with("[+]policies ok: 1 in force, set "),
        "{before}"
    );
    assert_eq!(podgate.verdict(HOST_PORT).await, Some(403));
    assert_eq!(podgate.verdict(HOST_PID).await, None);

    put(&file, baseline());
    eventually("it is in force", async || {
        podgate.verdict(HOST_PID).await == Some(403)
    })
    .await;
    let after = podgate.said().await;
    assert!(
        after.starts_with("[+]policies ok: 1 in force, set ") && after != before,
        "{after}"
    );
    podgate
        .metrics(&[
            "podgate_policy_reload_total{result=\"ok\"} 2",
            "podgate_policy_reload_total{result=\"error\"} 0",
            "podgate_policies_loaded 1",
            "podgate_policies_stale 0",
        ])
        .await;

    // Back again, and the set is known by the same name.
    put(&file, ports());
    eventually("it is in force", async || {
        podgate.verdict(HOST_PID).await.is_none()
    })
    .await;
    assert_eq!(podgate.said().await, before);
}

#[tokio::test]
async fn a_bad_swap_of_a_config_map_keeps_the_old_set_and_every_surface_says_so() {
    let mount = TempDir::new().expect("a directory");
    let two = policy("two", "{mode: warn, level: restricted}");
    kubelet_swap(
        mount.path(),
        "0",
        &[("one.yaml", &ports()), ("two.yaml", &two)],
    );
    let podgate = Podgate::start(mount.path()).await;
    let before = podgate.said().await;
    assert_eq!(podgate.verdict(HOST_PID).await, None);

    let bad = policy("one", "{mode: enforc, controls: {privilegd: {}}}");
    let worse = policy("two", "{level: restricted, lvl: 1}");
    kubelet_swap(
        mount.path(),
        "1",
        &[("one.yaml", &bad), ("two.yaml", &worse)],
    );
    podgate.says("the newest was refused").await;
    assert_eq!(
        podgate.said().await,
        format!(
            "{before}; this is the last good set, the newest was refused: \
             one.yaml:4:14: unknown mode \"enforc\", expected enforce, warn or audit (did you mean \"enforce\"?); \
             one.yaml:4:33: unknown control \"privilegd\" (did you mean \"privileged\"?); \
             two.yaml:4:7: missing field \"mode\" (enforce, warn or audit; begin with audit); \
             two.yaml:4:27: unknown field \"lvl\" (known fields: mode, workloads, match, level, version, controls, \
             inject, rules)"
        )
    );
    assert_eq!(podgate.verdict(HOST_PORT).await, Some(403));
    assert_eq!(podgate.verdict(HOST_PID).await, None);
    let log = podgate.log();
    // One event has it all: which set stays in force, then every error with its excerpt.
    let event = the_refusal(&log);
    let (_, in_force) = before.split_once("ok: ").expect("it says what is in force");
    assert!(
        event.starts_with(&format!(" ({in_force})\nerror: ")),
        "{event}"
    );
    for (error, place) in [
        (
            "error: unknown mode \"enforc\", expected enforce, warn or audit",
            "one.yaml:4:14",
        ),
        ("error: unknown control \"privilegd\"", "one.yaml:4:33"),
        ("error: missing field \"mode\"", "two.yaml:4:7"),
        ("error: unknown field \"lvl\"", "two.yaml:4:27"),
    ] {
        let told = format!("{error}\n --> {place}\n");
        assert!(event.contains(&told), "{told} is not in\n{event}");
        assert_eq!(log.matches(place).count(), 1, "{place} in\n{log}");
    }
    podgate
        .metrics(&[
            "podgate_policy_reload_total{result=\"ok\"} 1",
            "podgate_policy_reload_total{result=\"error\"} 1",
            "podgate_policies_loaded 2",
            "podgate_policies_stale 1",
        ])
        .await;

    kubelet_swap(
        mount.path(),
        "2",
        &[("one.yaml", &baseline()), ("two.yaml", &two)],
    );
    eventually("it is in force", async || {
        podgate.verdict(HOST_PID).await == Some(403)
    })
    .await;
    let after = podgate.said().await;
    assert!(
        after.starts_with("[+]policies ok: 2 in force, set ") && !after.contains("refused"),
        "{after}"
    );
    podgate
        .metrics(&[
            "podgate_policy_reload_total{result=\"ok\"} 2",
            "podgate_policy_reload_total{result=\"error\"} 1",
            "podgate_policies_stale 0",
        ])
        .await;
}

#[tokio::test]
async fn the_last_good_set_outlives_its_directory() {
    let parent = TempDir::new().expect("a directory");
    let (directory, away) = (parent.path().join("policies"), parent.path().join("away"));
    let file = directory.join("one.yaml");
    fs::create_dir(&directory).expect("a directory");
    put(&file, ports());
    let podgate = Podgate::start(&directory).await;
    let path = directory.display();
    let before = podgate.said().await;
    let kept = async |why: &str| {
        podgate.says(why).await;
        assert_eq!(
            podgate.said().await,
            format!("{before}; this is the last good set, the newest was refused: {why}")
        );
        assert_eq!(podgate.verdict(HOST_PORT).await, Some(403));
        assert_eq!(podgate.verdict(HOST_PID).await, None);
        let log = podgate.log();
        assert_eq!(log.matches(why).count(), 1, "{why} in\n{log}");
    };
    fs::remove_file(&file).expect("it goes");
    kept(&format!(
        "no policies: {path} holds no PodPolicy, and podgate does not run without one"
    ))
    .await;
    put(&file, [0xff, 0xfe]);
    kept(&format!("\"{path}/one.yaml\" is not UTF-8 text")).await;
    std::os::unix::fs::symlink("nowhere", directory.join(".link")).expect("a link");
    fs::rename(directory.join(".link"), &file).expect("it is put in place");
    kept(&format!(
        "cannot read \"{path}/one.yaml\": No such file or directory (os error 2)"
    ))
    .await;
    fs::rename(&directory, &away).expect("it goes");
    kept(&format!(
        "cannot read \"{path}\": No such file or directory (os error 2)"
    ))
    .await;
    podgate
        .metrics(&[
            "podgate_policy_reload_total{result=\"error\"} 4",
            "podgate_policies_stale 1",
        ])
        .await;

    // The same again as at the start is in force already, and the message goes.
    put(&away.join("one.yaml"), ports());
    fs::rename(&away, &directory).expect("it returns");
    eventually("nothing is refused", async || {
        podgate.said().await == before
    })
    .await;
    podgate.metrics(&["podgate_policies_stale 0"]).await;
}
