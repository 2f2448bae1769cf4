//! What `manifests/monitoring` gives to Prometheus and Grafana, held to the real promtool and to the real metrics.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::support::Server;

const RULES: &str = "manifests/monitoring/rules.yaml";
const RULES_TEST: &str = "tests/server/monitoring/rules_test.yaml";

/// promtool; `None`, and says so, where there is none and it cannot be fetched. In CI that is a failure.
fn promtool() -> Option<PathBuf> {
    let installed = PathBuf::from("/usr/bin/promtool");
    if installed.exists() {
        return Some(installed);
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
    let program = directory.join("promtool");
    if program.exists() {
        return Some(program);
    }
    let output = Command::new(root("tests/server/monitoring/promtool.sh"))
        .arg(&directory)
        .output()
        .expect("a shell starts");
    if output.status.success() {
        return Some(program);
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        std::env::var_os("CI").is_none(),
        "there is no promtool: {why}"
    );
    eprintln!("skipped: there is no promtool: {why}");
    None
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).expect("it can be read")
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).expect("it is YAML")
}

fn rules() -> Vec<Value> {
    let rules = yaml(RULES)["groups"][0]["rules"].as_array().cloned();
    rules.expect("there are rules")
}

#[track_caller]
fn expect_success(output: &Output) {
    let told = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&told)
    );
}

/// What an expression asks for: names of series, without functions, labels and keywords.
fn series(expression: &str) -> BTreeSet<String> {
    expression
        .split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'))
        .filter(|it| it.starts_with("podgate_") || it.starts_with("pod_security_"))
        .map(str::to_owned)
        .collect()
}

/// The names under which Prometheus stores what `/metrics` says.
async fn stored() -> BTreeSet<String> {
    let server = Server::judging().await;
    server.health.policies_loaded(1, "1a2b3c");
    let text = server.get("/metrics").await.text;
    let of_line = |line: &str| line.split(['{', ' ']).next().map(str::to_owned);
    text.lines()
        .filter(|it| !it.starts_with('#'))
        .filter_map(of_line)
        .collect()
}

#[test]
fn promtool_accepts_the_rules_and_every_alert_fires_when_it_should() {
    let Some(promtool) = promtool() else { return };
    let run = |arguments: [&str; 3]| {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(root(""))
            .output();
        expect_success(&output.expect("promtool starts"));
    };
    run(["check", "rules", RULES]);
    run(["test", "rules", RULES_TEST]);
}

#[test]
fn every_alert_has_a_case_in_which_it_fires() {
    let cases = read(RULES_TEST);
    for rule in rules() {
        let name = rule["alert"].as_str().expect("it has a name");
        assert!(
            cases.contains(&format!("alertname=\"{name}\",alertstate=\"firing\"")),
            "{name} is not in {RULES_TEST}"
        );
    }
}

#[test]
fn the_prometheus_operator_gets_the_same_rules() {
    let operator = yaml("manifests/components/monitoring/rules.yaml");
    assert_eq!(operator["kind"], "PrometheusRule");
    assert_eq!(operator["spec"], yaml(RULES));
}

#[tokio::test]
async fn rules_ask_for_metrics_that_there_are() {
    let stored = stored().await;
    for rule in rules() {
        let asked = series(rule["expr"].as_str().expect("it is text"));
        assert!(!asked.is_empty(), "{rule}");
        for name in asked {
            assert!(stored.contains(&name), "{name} of {rule}");
        }
    }
}

#[tokio::test]
async fn the_dashboard_asks_for_metrics_that_there_are_and_shows_each_panel_in_its_place() {
    let stored = stored().await;
    let dashboard: Value =
        serde_json::from_str(&read("manifests/monitoring/dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("there are panels");
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut expressions = 0;
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("it has a place");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    x < 24 && taken.insert((x, y)),
                    "{} overlaps",
                    panel["title"]
                );
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let asked = series(target["expr"].as_str().expect("it is text"));
            assert!(!asked.is_empty(), "{target}");
            for name in asked {
                assert!(stored.contains(&name), "{name} of {}", panel["title"]);
            }
            expressions += 1;
        }
    }
    assert!(expressions > 15, "{expressions}");
}

#[test]
fn promtool_can_read_every_expression_of_the_dashboard() {
    let Some(promtool) = promtool() else { return };
    let dashboard: Value =
        serde_json::from_str(&read("manifests/monitoring/dashboard.json")).expect("it is JSON");
    let targets = dashboard["panels"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|it| it["targets"].as_array().into_iter().flatten());
    // As rules: that is what promtool checks.
    let rules: Vec<Value> = targets
        .enumerate()
        .map(|(at, it)| {
            let expression = it["expr"].as_str().expect("it is text");
            let expression = expression.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("expression:{at}"), "expr": expression})
        })
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("rules.yaml");
    std::fs::write(&file, rules.to_string()).expect("it can be written");
    let output = Command::new(promtool)
        .args(["check", "rules"])
        .arg(&file)
        .output();
    expect_success(&output.expect("promtool starts"));
}
