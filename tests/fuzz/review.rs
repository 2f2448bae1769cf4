//! A webhook call from its bytes to the answer: no panic, the same answer every time, and one that the API server
//! can read and apply.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use podgate::decision::Stage;
use podgate::policy::{PolicySet, shipped};
use podgate::review::Review;
use serde_json::Value;

/// Injects everything that can be injected.
const INJECT: &str = r#"{"apiVersion": "podgate.dev/v1alpha1", "kind": "PodPolicy", "metadata": {"name": "inject"},
    "spec": {"inject": {"seccompProfile": "RuntimeDefault", "appArmorProfile": "Localhost/a/b",
    "seLinuxOptions": {"level": "s0"}, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    "allowPrivilegeEscalation": false, "runAsNonRoot": true, "readOnlyRootFilesystem": true, "runAsUser": 0,
    "runAsGroup": 1, "fsGroup": 2, "supplementalGroups": [3], "hostUsers": false, "runtimeClassName": "gvisor",
    "automountServiceAccountToken": false}}}"#;

static SETS: LazyLock<[PolicySet; 2]> = LazyLock::new(|| {
    let inject = PolicySet::load("here", &[("inject.yaml".to_owned(), INJECT.to_owned())]);
    [shipped().expect("they load"), inject.expect("it loads")]
});

fuzz_target!(|body: &[u8]| {
    let review = match Review::parse(body) {
        Ok(review) => review,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    for set in &*SETS {
        for stage in [Stage::Mutate, Stage::Validate, Stage::Whole] {
            for labels in [None, Some(&labels)] {
                let answer = review.answer(stage, set, labels);
                assert_eq!(answer.body, review.answer(stage, set, labels).body);
                let answer: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
                let response = &answer["response"];
                assert_eq!(response["uid"], review.uid());
                assert!(response["allowed"].is_boolean());
                if let Some(patch) = response["patch"].as_str() {
                    applies(body, patch, set);
                }
            }
        }
    }
});

/// The patch applies to the object, and the patched object needs none.
fn applies(body: &[u8], patch: &str, set: &PolicySet) {
    // The decoder does not read what podgate has no use for; it may be no JSON.
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let patch = STANDARD.decode(patch).expect("a patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("it is a JSON Patch");
    json_patch::patch(&mut review["request"]["object"], &patch).expect("it applies");
    let body = review.to_string();
    let review = Review::parse(body.as_bytes()).expect("the patched review is one");
    let answer = review.answer(Stage::Mutate, set, None);
    let answer: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"].get("patch"), None);
}
