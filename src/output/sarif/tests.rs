use std::collections::BTreeSet;

use super::super::results::testing::{cluster, hostile, manifests, nothing};
use super::*;

fn written(results: &Results) -> Value {
    let mut out = Vec::new();
    write(results, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("}\n"));
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(bad), "{text}");
    serde_json::from_str(&text).unwrap()
}

fn results_of(log: &Value) -> Vec<Value> {
    log["runs"][0]["results"].as_array().unwrap().clone()
}

fn keys(it: &Value) -> Vec<&str> {
    it.as_object().unwrap().keys().map(String::as_str).collect()
}

/// What the published schema asks of the parts that are written: names, required properties, enums, minima.
fn assert_valid(log: &Value) {
    assert_eq!(keys(log), ["$schema", "runs", "version"]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let known = ["columnKind", "invocations", "properties", "results", "tool"];
    assert_eq!(keys(run), known);
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len());
    for rule in rules {
        assert!(rule["shortDescription"]["text"].is_string());
    }
    for invocation in run["invocations"].as_array().unwrap() {
        assert!(invocation["executionSuccessful"].is_boolean());
        for it in invocation["toolExecutionNotifications"].as_array().unwrap() {
            assert_located(it);
        }
    }
    let mut fingerprints = BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let id = result["ruleId"].as_str().unwrap();
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], id);
        assert_located(result);
        assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        let prints = result["partialFingerprints"].as_object().unwrap();
        assert_eq!(prints.len(), 1);
        assert!(fingerprints.insert(prints[FINGERPRINT].as_str().unwrap()));
        if let Some(state) = result.get("baselineState") {
            let states = ["new", "unchanged", "updated", "absent"];
            assert!(states.contains(&state.as_str().unwrap()));
        }
    }
}

/// A result or a notification: level, message, and where it is.
fn assert_located(it: &Value) {
    let level = it["level"].as_str().unwrap();
    assert!(["none", "note", "warning", "error"].contains(&level));
    let text = it["message"]["text"].as_str().unwrap();
    assert!(!text.is_empty() && !text.replace("\\](", "").contains("]("));
    for location in it["locations"].as_array().into_iter().flatten() {
        if let Some(physical) = location.get("physicalLocation") {
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%:".contains(c);
            assert!(!uri.is_empty() && uri.chars().all(allowed), "{uri}");
            if let Some(region) = physical.get("region") {
                let number = |key: &str| region[key].as_u64().unwrap();
                assert_eq!(keys(region).len(), 4);
                let (start, end) = (
                    (number("startLine"), number("startColumn")),
                    (number("endLine"), number("endColumn")),
                );
                assert!(start.0 >= 1 && start.1 >= 1 && end.1 >= 1 && end >= start);
            }
        }
        for logical in location["logicalLocations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(logical["fullyQualifiedName"].is_string());
        }
    }
}

#[test]
fn what_is_written_keeps_the_rules_of_the_schema() {
    for results in [manifests(), cluster(), hostile(), nothing("check")] {
        assert_valid(&written(&results));
    }
}

#[test]
fn every_control_is_a_rule_with_what_it_asks_for() {
    let log = written(&nothing("check"));
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap();
    assert_eq!(rules.len(), NAMES.len());
    for (rule, name) in rules.iter().zip(NAMES) {
        assert_eq!(rule["id"], *name);
        assert_eq!(
            rule["shortDescription"]["text"],
            control::summary(name).unwrap()
        );
    }
}

#[test]
fn a_finding_has_its_level_its_words_and_its_line() {
    let found = results_of(&written(&manifests()));
    let levels: Vec<_> = found
        .iter()
        .map(|it| it["level"].as_str().unwrap())
        .collect();
    let expected = ["error", "error", "error", "error", "warning", "note"];
    assert_eq!(levels, expected);
    let first = &found[0];
    assert_eq!(
        first["message"]["text"],
        "Pod shop/web is rejected by policy \"baseline\"\n\
         container \"web\": securityContext.privileged is true; must be false or unset\n\
         fix: securityContext: {privileged: false}"
    );
    let physical = &first["locations"][0]["physicalLocation"];
    assert_eq!(
        *physical,
        json!({
            "artifactLocation": {"uri": "deploy/a%20b.yaml"},
            "region": {"startLine": 5, "startColumn": 3, "endLine": 5, "endColumn": 12},
        })
    );
    assert!(first.get("baselineState").is_none());
}

#[test]
fn what_a_cluster_runs_has_no_line_but_a_name_and_says_whether_it_is_new() {
    let found = results_of(&written(&cluster()));
    let location = &found[1]["locations"][0];
    assert_eq!(keys(location), ["logicalLocations"]);
    assert_eq!(
        location["logicalLocations"][0]["fullyQualifiedName"],
        "Deployment shop/web spec.containers[0].securityContext.privileged"
    );
    let state = |it: &Value| it["baselineState"].as_str().unwrap().to_owned();
    let states: Vec<String> = found.iter().map(state).collect();
    assert_eq!(states.iter().filter(|it| *it == "new").count(), 1);
    assert_eq!(states.iter().filter(|it| *it == "unchanged").count(), 4);
}

#[test]
fn a_fingerprint_stays_when_lines_and_positions_move() {
    let prints = |results: &Results| -> Vec<Value> {
        let found = results_of(&written(results));
        found
            .iter()
            .map(|it| it["partialFingerprints"].clone())
            .collect()
    };
    let mut moved = manifests();
    for object in &mut moved.objects {
        for finding in &mut object.findings {
            finding.path = finding.path.replace("[1]", "[7]");
            finding.current = "True".to_owned();
            finding.place.as_mut().unwrap().line += 9;
            finding.place.as_mut().unwrap().end_line += 9;
        }
    }
    assert_eq!(prints(&moved), prints(&manifests()));

    // The same object once more is another result.
    let mut twice = manifests();
    twice.objects.insert(1, twice.objects[0].clone());
    assert_valid(&written(&twice));

    moved.objects[0].name = "other".to_owned();
    assert_ne!(prints(&moved)[0], prints(&manifests())[0]);
}

#[test]
fn what_could_not_be_judged_makes_the_run_a_failure_and_is_told_with_what_was_skipped() {
    let log = written(&manifests());
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = &invocation["toolExecutionNotifications"];
    assert_eq!(
        *told,
        json!([
            {
                "level": "error",
                "message": {"text": "missing.yaml: cannot be read: no such file"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "missing.yaml"}}}],
            },
            {
                "level": "error",
                "message": {"text": "bad.yaml: expected a value"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": "bad.yaml"},
                    "region": {"startLine": 7, "startColumn": 3, "endLine": 7, "endColumn": 12},
                }}],
            },
            {
                "level": "note",
                "message": {"text": "1 skipped: ConfigMap shop/settings: carries no Pod"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": "c.yaml"},
                    "region": {"startLine": 90, "startColumn": 3, "endLine": 90, "endColumn": 12},
                }}],
            },
        ])
    );
    assert_eq!(
        written(&nothing("check"))["runs"][0]["invocations"][0]["executionSuccessful"],
        true
    );
}
