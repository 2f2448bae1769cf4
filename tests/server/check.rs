//! `podgate check` as a pipeline starts it: each format over manifests of every fate, from files and standard input.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use roxmltree::Document;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Rejected, warned of, clean, of a kind that is not judged, and one that is no Pod at all.
const MANIFESTS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: bad, namespace: shop}
spec:
  hostPID: true
  containers: [{name: a, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
---
apiVersion: v1
kind: Pod
metadata: {name: so-so, namespace: shop}
spec:
  containers: [{name: a, image: i, securityContext: {allowPrivilegeEscalation: true, capabilities: {drop: [ALL]}}}]
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
---
apiVersion: v1
kind: Pod
metadata: {name: good}
spec:
  containers: [{name: a, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: odd, namespace: shop}
spec: {containers: 7}
";

const SENTENCE: &str = "3 judged: 1 would be rejected, 0 would have their Pods rejected; 1 further findings. 1 skipped, 3 could not be judged";

/// What a run said and how it ended.
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn check(directory: &Path, arguments: &[&str], stdin: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .arg("check")
        .args(arguments)
        .current_dir(directory)
        .env_remove("PODGATE_POLICIES")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podgate starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    // Who is given files does not read it.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    Said {
        status: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn manifests() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(path, text).expect("the file can be written");
    };
    write("all of it.yaml", MANIFESTS);
    write("broken.yaml", "kind: [\n");
    directory
}

/// Everything there is, a file that does not exist among it.
fn written(format: &str) -> Said {
    let directory = manifests();
    let said = check(directory.path(), &[".", "missing.yaml", "-o", format], "");
    assert_eq!(said.status, Some(2), "{format}: {}", said.stderr);
    for error in [
        "error: cannot judge this Pod: spec.containers: invalid type: integer `7`, expected a sequence\n  --> ./all of it.yaml:27:1\n",
        "error: invalid YAML: ",
        "error: cannot read missing.yaml: No such file or directory (os error 2)\n",
    ] {
        assert!(said.stderr.contains(error), "{format}: {}", said.stderr);
    }
    said
}

#[test]
fn people_read_excerpts_and_a_summary() {
    let said = written("human");
    let expected = "\
error: hostNamespaces: Pod shop/bad is rejected by policy \"baseline\"
 --> ./all of it.yaml:5:3
  |
5 |   hostPID: true
  |   ^^^^^^^ spec.hostPID is true; must be false or unset
  |
  = help: fix: spec: {hostPID: false}

warning: allowPrivilegeEscalation: Pod shop/so-so is warned of by policy \"restricted\"
";
    assert!(said.stdout.starts_with(expected), "{}", said.stdout);
    assert!(
        said.stdout.ends_with(&format!("{SENTENCE}\n")),
        "{}",
        said.stdout
    );
}

#[test]
fn what_is_beyond_the_limits_of_podgate_is_an_error_and_no_finding() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let privileged = json!({"name": "a", "securityContext": {"privileged": true}});
    for (containers, why) in [
        (
            vec![json!({}); 5000],
            "spec.containers: the lists of this object hold more than the 2 MiB that podgate keeps of one",
        ),
        (
            vec![privileged; 2000],
            "there is more wrong with it than the 2 MiB of findings that podgate keeps of one object",
        ),
    ] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "many"}, "spec": {"containers": containers}});
        let said = check(directory.path(), &["-"], &pod.to_string());
        assert_eq!(said.status, Some(2), "{}", said.stdout);
        let error = format!(
            "error: cannot judge this Pod: {why}; that is a limit of podgate, not of a policy\n"
        );
        assert!(said.stderr.starts_with(&error), "{}", said.stderr);
        assert!(
            said.stdout.ends_with("1 could not be judged\n"),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn json_has_everything_and_where_it_stands() {
    let said = written("json");
    let results: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    assert_eq!(
        results["summary"],
        json!({
            "judged": 3, "rejected": 1, "podsRejected": 0, "warned": 1, "recorded": 0, "clean": 1,
            "skipped": 1, "errors": 3, "findings": 2,
        })
    );
    let fates: Vec<&Value> = (0..3).map(|it| &results["objects"][it]["fate"]).collect();
    assert_eq!(fates, ["rejected", "warned", "clean"]);
    assert_eq!(results["objects"][2]["namespace"], "default");
    let finding = &results["objects"][0]["findings"][0];
    assert_eq!(finding["level"], "baseline");
    assert_eq!(
        finding["place"],
        json!({"file": "./all of it.yaml", "line": 5, "column": 3, "endLine": 5, "endColumn": 10})
    );
    let skipped = &results["skipped"][0];
    assert_eq!(skipped["what"], "ConfigMap shop/settings");
    assert_eq!(skipped["place"]["line"], 23);
    let errors = results["errors"].as_array().expect("there are some");
    let told: Vec<(&str, u64)> = errors
        .iter()
        .map(|it| {
            let line = it["place"]["line"].as_u64().expect("it has a place");
            (it["what"].as_str().expect("it has a name"), line)
        })
        .collect();
    let expected = [
        ("Pod shop/odd", 27),
        ("./broken.yaml", 1),
        ("missing.yaml", 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(results["run"]["complete"], false);
}

#[test]
fn sarif_has_a_result_for_each_finding_and_says_that_the_run_failed() {
    let said = written("sarif");
    let log: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("there are some");
    let told: Vec<(&Value, &Value)> = results
        .iter()
        .map(|it| (&it["ruleId"], &it["level"]))
        .collect();
    let expected = [
        (&json!("hostNamespaces"), &json!("error")),
        (&json!("allowPrivilegeEscalation"), &json!("warning")),
    ];
    assert_eq!(told, expected);
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "all%20of%20it.yaml");
    assert_eq!(place["region"]["startLine"], 5);
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = invocation["toolExecutionNotifications"].as_array();
    assert_eq!(told.map(Vec::len), Some(4));
}

#[test]
fn junit_has_a_test_for_each_object() {
    let said = written("junit");
    let document = Document::parse(&said.stdout).expect("it is XML");
    let root = document.root_element();
    for (name, expected) in [
        ("tests", "7"),
        ("failures", "1"),
        ("errors", "3"),
        ("skipped", "1"),
    ] {
        assert_eq!(root.attribute(name), Some(expected), "{name}");
    }
    let failed = root.descendants().find(|it| it.has_tag_name("failure"));
    let message = failed.and_then(|it| it.attribute("message"));
    assert_eq!(
        message,
        Some("would be rejected: 1 finding (hostNamespaces)")
    );
}

#[test]
fn markdown_says_the_verdict_first() {
    let said = written("markdown");
    let start = format!("### podgate check: not everything could be judged\n\n{SENTENCE}.\n");
    assert!(said.stdout.starts_with(&start), "{}", said.stdout);
    for part in [
        "- `missing.yaml`: `cannot be read: No such file",
        "**`Pod shop/bad`** would be rejected (`./all of it.yaml:1:1`)",
        "- `ConfigMap shop/settings` (`./all of it.yaml:23:1`): `of a kind that is not judged",
    ] {
        assert!(said.stdout.contains(part), "{}", said.stdout);
    }
    assert!(!said.stdout.contains("shop/good"));
}

#[test]
fn csv_has_a_row_for_each() {
    let said = written("csv");
    let mut reader = csv::Reader::from_reader(said.stdout.as_bytes());
    let mut records = Vec::new();
    for record in reader.records() {
        records.push(record.expect("it is CSV")[0].to_owned());
    }
    let expected = [
        "object", "finding", "object", "finding", "object", "skipped", "error", "error", "error",
    ];
    assert_eq!(records, expected);
}

#[test]
fn every_format_ends_alike_and_says_the_same_twice() {
    let directory = manifests();
    let good = MANIFESTS.split("---\n").nth(2).expect("the third is good");
    let bad = MANIFESTS.split("---\n").next().expect("the first is bad");
    for format in ["human", "json", "sarif", "junit", "markdown", "csv"] {
        for (stdin, status) in [(good, 0), (bad, 1), ("kind: [", 2)] {
            let run = || check(directory.path(), &["-", "--output", format], stdin);
            let said = run();
            assert_eq!(said.status, Some(status), "{format}: {}", said.stderr);
            assert_eq!(said.stderr.is_empty(), status < 2, "{}", said.stderr);
            assert!(said.stdout.ends_with('\n'), "{}", said.stdout);
            assert_eq!(said.stdout, run().stdout, "{format}");
        }
    }
}

#[test]
fn a_reader_who_has_read_enough_changes_no_verdict() {
    let bad = MANIFESTS.split("---\n").next().expect("the first is bad");
    let many = vec![bad; 300].join("---\n");
    let directory = manifests();
    std::fs::write(directory.path().join("many.yaml"), many).expect("the file can be written");
    for format in ["human", "json", "sarif", "junit", "markdown", "csv"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_podgate"))
            .args(["check", "many.yaml", "--output", format])
            .current_dir(directory.path())
            .env_remove("PODGATE_POLICIES")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("podgate starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{format}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
}
