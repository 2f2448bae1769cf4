//! What podgate logs, and what it never does: nothing of an object, at no level.

use std::fs;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::judged::plain_pod;
use super::podgate::Podgate;
use super::support::post;

/// It stands in every place where people keep what nobody else should read.
const SECRET: &str = "hunter2-8d3f";

/// What no review is sent as.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// Pods with the secret: one that is let in, one that is rejected, and some that cannot be read.
fn pods() -> Vec<String> {
    let mut pod = plain_pod();
    pod["metadata"]["annotations"] = json!({ "note": SECRET });
    pod["metadata"]["labels"] = json!({ "note": SECRET });
    let container = &mut pod["spec"]["containers"][0];
    container["env"] = json!([{"name": "PASSWORD", "value": SECRET}]);
    container["args"] = json!([SECRET]);
    container["command"] = json!([SECRET]);
    let changed = |pointer: &str, value: Value| {
        let mut pod = pod.clone();
        *pod.pointer_mut(pointer).expect("it is there") = value;
        pod
    };
    let mut rejected = pod.clone();
    rejected["spec"]["hostPID"] = json!(true);
    rejected["spec"]["volumes"] =
        json!([{"name": "host", "hostPath": {"path": format!("/{SECRET}")}}]);
    let mut wrong = pod.clone();
    wrong["spec"]["hostPID"] = json!(SECRET);
    let whole = pod.to_string();
    vec![
        whole.clone(),
        rejected.to_string(),
        wrong.to_string(),
        changed("/spec/containers/0/image", json!([SECRET])).to_string(),
        changed("/metadata/annotations", json!(SECRET)).to_string(),
        whole[..whole.len() - 2].to_owned(),
    ]
}

#[tokio::test]
async fn nothing_of_an_object_is_ever_logged_and_json_is_an_object_a_line() {
    for format in ["text", "json"] {
        let policies = tempfile::tempdir().expect("a directory");
        fs::copy("policies/baseline.yaml", policies.path().join("a.yaml")).expect("a copy");
        let podgate = Podgate::start_with(policies.path(), |command| {
            command
                .args(["--log-format", format])
                .env("PODGATE_LOG", "trace");
        })
        .await;
        let mut told = Vec::new();
        for pod in pods() {
            told.push(podgate.answered(&pod).await);
        }
        assert!(told[1].contains("hostPID"), "it was judged: {}", told[1]);
        let mut no_review = post("/validate", SECRET);
        *no_review.headers_mut() = HeaderMap::from_iter([(CONTENT_TYPE, TEXT)]);
        assert_eq!(podgate.send(no_review).await.status, 415);
        fs::write(policies.path().join("b.yaml"), "kind: [").expect("it can be written");
        podgate.says("refused").await;

        let log = podgate.log();
        assert!(!log.contains(SECRET), "{format}: {log}");
        for level in ["INFO", "ERROR", "DEBUG"] {
            assert!(log.contains(level), "{format}: {level} is logged: {log}");
        }
        let objects = log.lines().filter(|line| {
            serde_json::from_str::<Value>(line).is_ok_and(|it| {
                it["level"].is_string() && it["message"].is_string() && it["timestamp"].is_string()
            })
        });
        let expected = if format == "json" {
            log.lines().count()
        } else {
            0
        };
        assert_eq!(objects.count(), expected, "{format}: {log}");
    }
}
