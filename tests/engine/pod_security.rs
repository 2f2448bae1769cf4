//! Pod Security labels of the namespace through reviews: what Pod Security Admission answers, letter by letter.

use std::collections::BTreeMap;

use podgate::decision::Stage;
use podgate::policy::PolicySet;
use podgate::review::Review;
use serde_json::{Value, json};

use crate::support::{create, policies, policy, update};

const PRIVILEGED: &str = "hostPID=true";

fn bad_pod() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"hostPID": true, "containers": [{"name": "a", "image": "i"}]}})
}

/// The answer in a namespace with these labels, with this configuration and no policy.
#[track_caller]
fn judged_by(configuration: &str, labels: &[(&str, &str)], review: &Value) -> Value {
    let text = format!(
        "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n{configuration}"
    );
    judged(&policies(&text), labels, review)
}

#[track_caller]
fn judged(set: &PolicySet, labels: &[(&str, &str)], review: &Value) -> Value {
    let label = |(key, value): &(&str, &str)| {
        (
            format!("pod-security.kubernetes.io/{key}"),
            (*value).to_owned(),
        )
    };
    let labels: BTreeMap<String, String> = labels.iter().map(label).collect();
    let body = serde_json::to_vec(review).unwrap();
    let answer = Review::parse(&body)
        .unwrap()
        .answer(Stage::Validate, set, Some(&labels));
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    answer["response"].clone()
}

#[test]
fn a_pod_that_breaks_the_enforced_level_is_rejected_in_upstreams_words() {
    let response = judged_by(
        "",
        &[
            ("enforce", "baseline"),
            ("audit", "restricted"),
            ("audit-version", "v1.7"),
        ],
        &create("", "pods", &bad_pod()),
    );
    let why = format!("violates PodSecurity \"baseline:latest\": host namespaces ({PRIVILEGED})");
    assert_eq!(
        response,
        json!({
            "uid": "u-1",
            "allowed": false,
            "status": {
                "status": "Failure",
                "code": 403,
                "reason": "Forbidden",
                "message": format!("pods \"web\" is forbidden: {why}"),
                "details": {"name": "web", "kind": "pods", "causes": [{
                    "reason": "FieldValueForbidden",
                    "field": "spec.hostPID",
                    "message": "[hostNamespaces] must be false or unset; found true",
                }]},
            },
            "auditAnnotations": {
                "enforce-policy": "baseline:latest",
                "audit-violations": "would violate PodSecurity \"restricted:v1.7\": host namespaces (hostPID=true), runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)",
            },
        })
    );
}

#[test]
fn a_workload_is_warned_and_recorded_and_never_rejected() {
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"template": bad_pod()}});
    let response = judged_by(
        "",
        &[("enforce", "baseline"), ("audit", "baseline")],
        &create("apps", "deployments", &deployment),
    );
    let would =
        format!("would violate PodSecurity \"baseline:latest\": host namespaces ({PRIVILEGED})");
    assert_eq!(
        response,
        json!({"uid": "u-1", "allowed": true, "warnings": [would], "auditAnnotations": {"audit-violations": would}})
    );
    let response = judged_by(
        "",
        &[("enforce", "baseline"), ("warn", "privileged")],
        &create("apps", "deployments", &deployment),
    );
    assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
}

#[test]
fn a_namespace_without_labels_has_the_defaults() {
    let review = create("", "pods", &bad_pod());
    let none = json!({"uid": "u-1", "allowed": true, "auditAnnotations": {"enforce-policy": "privileged:latest"}});
    assert_eq!(judged_by("", &[], &review), none);
    let response = judged_by(
        "defaults: {enforce: baseline, enforce-version: v1.30}\n",
        &[],
        &review,
    );
    assert_eq!(
        response["auditAnnotations"],
        json!({"enforce-policy": "baseline:v1.30"})
    );
    assert_eq!(response["allowed"], false);
}

#[test]
fn exemptions_come_first_and_are_recorded() {
    let mut review = create("", "pods", &bad_pod());
    review["request"]["object"]["spec"]["runtimeClassName"] = json!("kata");
    for (exemptions, why) in [
        ("{namespaces: [shop]}", "namespace"),
        ("{usernames: [jane]}", "user"),
        ("{runtimeClasses: [kata]}", "runtimeClass"),
        ("{runtimeClasses: [kata], usernames: [jane]}", "user"),
    ] {
        let response = judged_by(
            &format!("exemptions: {exemptions}\n"),
            &[("enforce", "baseline")],
            &review,
        );
        assert_eq!(
            response,
            json!({"uid": "u-1", "allowed": true, "auditAnnotations": {"exempt": why}}),
            "{exemptions}"
        );
    }
    let response = judged_by(
        "exemptions: {namespaces: [shopping], usernames: [Jane]}\n",
        &[("enforce", "baseline")],
        &review,
    );
    assert_eq!(response["allowed"], false);
}

#[test]
fn labels_that_say_nothing_sensible_enforce_the_strictest() {
    let review = create("", "pods", &bad_pod());
    let response = judged_by(
        "",
        &[("enforce", "Baseline"), ("warn-version", "1")],
        &review,
    );
    assert_eq!(
        response["auditAnnotations"],
        json!({
            "enforce-policy": "restricted:latest",
            "error": "Failed to parse policy: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"Baseline\": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"1\": must be \"latest\" or \"v1.x\"]",
        })
    );
    assert_eq!(response["allowed"], false);
}

#[test]
fn an_update_that_changes_nothing_of_matter_is_allowed_without_a_word() {
    let mut labelled = bad_pod();
    labelled["metadata"]["labels"] = json!({"new": "1"});
    let enforce = [("enforce", "baseline")];
    let response = judged_by("", &enforce, &update("", "pods", &bad_pod(), &labelled));
    assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    // Another image is judged as a whole: what was broken before is no excuse here.
    let mut other = bad_pod();
    other["spec"]["containers"][0]["image"] = json!("j");
    assert_eq!(
        judged_by("", &enforce, &update("", "pods", &bad_pod(), &other))["allowed"],
        false
    );
}

#[test]
fn policies_and_labels_are_both_told() {
    let set = policy("{mode: enforce, controls: {hostNamespaces: {}}}").with_pod_security();
    let response = judged(
        &set,
        &[("enforce", "baseline")],
        &create("", "pods", &bad_pod()),
    );
    assert_eq!(
        response["status"]["message"],
        "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)\n\
         Pod shop/web breaks policy \"p\": 1 finding (hostNamespaces)\n  \
         1. spec.hostPID is true; must be false or unset\n     \
         fix: spec: {hostPID: false}\n\
         try it before applying: podgate check FILE"
    );
    assert_eq!(
        response["status"]["details"]["causes"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[test]
fn a_pod_without_a_name_yet_is_named_by_its_resource() {
    let mut review = create("", "pods", &bad_pod());
    review["request"]["name"] = json!("");
    let response = judged_by("", &[("enforce", "baseline")], &review);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("pods is forbidden: violates PodSecurity "),
        "{message}"
    );
}

#[test]
fn subresources_are_judged_as_upstream_does() {
    for (subresource, is_judged) in [
        ("ephemeralcontainers", true),
        ("resize", true),
        ("new", true),
        ("status", false),
        ("exec", false),
    ] {
        let mut review = create("", "pods", &bad_pod());
        review["request"]["subResource"] = json!(subresource);
        assert_eq!(
            judged_by("", &[("enforce", "baseline")], &review)["allowed"],
            !is_judged,
            "{subresource}"
        );
    }
}

fn namespace(labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": labels}})
}

#[test]
fn a_namespace_with_labels_that_cannot_be_read_is_invalid() {
    let bad = namespace(
        &json!({"pod-security.kubernetes.io/enforce": "foo", "pod-security.kubernetes.io/warn-version": "1"}),
    );
    let response = judged_by("", &[], &create("", "namespaces", &bad));
    let level = "Invalid value: \"foo\": must be one of privileged, baseline, restricted";
    let version = "Invalid value: \"1\": must be \"latest\" or \"v1.x\"";
    let (one, two) = (
        "metadata.labels[pod-security.kubernetes.io/enforce]",
        "metadata.labels[pod-security.kubernetes.io/warn-version]",
    );
    assert_eq!(
        response,
        json!({"uid": "u-1", "allowed": false, "status": {
            "status": "Failure", "code": 422, "reason": "Invalid",
            "message": format!("Namespace \"web\" is invalid: [{one}: {level}, {two}: {version}]"),
            "details": {"name": "web", "kind": "Namespace", "causes": [
                {"reason": "FieldValueInvalid", "message": level, "field": one},
                {"reason": "FieldValueInvalid", "message": version, "field": two},
            ]},
        }})
    );
}

#[test]
fn a_namespace_that_was_invalid_before_may_be_changed_otherwise() {
    let allowed = json!({"uid": "u-1", "allowed": true});
    let bad = |value: &str| namespace(&json!({"pod-security.kubernetes.io/enforce": value}));
    let good = namespace(&json!({"pod-security.kubernetes.io/enforce": "baseline", "other": "x"}));
    for (old, new, is_allowed) in [
        (bad("foo"), bad("foo"), true),
        (bad("foo"), bad("bar"), false),
        (good.clone(), bad("foo"), false),
        (bad("foo"), good.clone(), true),
        (good.clone(), namespace(&Value::Null), true),
    ] {
        let response = judged_by("", &[], &update("", "namespaces", &old, &new));
        assert_eq!(
            response == allowed,
            is_allowed,
            "{old} -> {new}: {response}"
        );
    }
    let mut deleted = update("", "namespaces", &good, &Value::Null);
    deleted["request"]["operation"] = json!("DELETE");
    assert_eq!(judged_by("", &[], &deleted), allowed);
    // Without Pod Security labels in force a namespace is none of podgate's business.
    let set = policy("{mode: enforce, controls: {hostNamespaces: {}}}");
    assert_eq!(
        judged(&set, &[], &create("", "namespaces", &bad("foo"))),
        allowed
    );
}

#[test]
fn labels_of_an_exempt_namespace_are_told_to_mean_nothing() {
    let exempt = "exemptions: {namespaces: [shop]}\ndefaults: {audit: restricted}\n";
    let labelled = |enforce: &str, warn: &str| {
        namespace(
            &json!({"pod-security.kubernetes.io/enforce": enforce, "pod-security.kubernetes.io/warn": warn}),
        )
    };
    let warning = |policy: &str| {
        let text = format!(
            "namespace \"web\" is exempt from Pod Security, and the policy ({policy}) will be ignored"
        );
        json!({"uid": "u-1", "allowed": true, "warnings": [text]})
    };
    let allowed = json!({"uid": "u-1", "allowed": true});
    let create = |object: &Value| judged_by(exempt, &[], &create("", "namespaces", object));
    assert_eq!(
        create(&labelled("baseline", "restricted")),
        warning("enforce=baseline:latest, warn=restricted:latest")
    );
    assert_eq!(
        create(&labelled("privileged", "baseline")),
        warning("warn=baseline:latest")
    );
    assert_eq!(create(&namespace(&json!({"team": "a"}))), allowed);

    let update =
        |old: &Value, new: &Value| judged_by(exempt, &[], &update("", "namespaces", old, new));
    let (less, more) = (
        labelled("baseline", "baseline"),
        labelled("restricted", "baseline"),
    );
    assert_eq!(
        update(&less, &more),
        warning("enforce=restricted:latest, warn=baseline:latest")
    );
    assert_eq!(update(&more, &less), allowed, "nothing became stricter");
    assert_eq!(
        update(&less, &labelled("baseline", "restricted")),
        allowed,
        "enforce is what matters"
    );
    let elsewhere = "exemptions: {namespaces: [other]}\n";
    assert_eq!(
        judged_by(
            elsewhere,
            &[],
            &super::support::create("", "namespaces", &more)
        ),
        allowed
    );
}
