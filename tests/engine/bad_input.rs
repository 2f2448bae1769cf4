//! Bad input: each kind names its exact answer, and none of them looks like a finding.

use podgate::review::Review;
use serde_json::{Value, json};

use crate::support::{create, policy, validate};

#[track_caller]
fn refused(body: &[u8], expected: &str) {
    assert_eq!(Review::parse(body).unwrap_err().to_string(), expected);
}

#[test]
fn a_body_that_is_no_review_is_refused_with_the_reason() {
    refused(
        b"",
        "the body is empty; expected an AdmissionReview of admission.k8s.io/v1",
    );
    refused(
        b" \n",
        "the body is empty; expected an AdmissionReview of admission.k8s.io/v1",
    );
    refused(
        br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"u"}}"#,
        "the body is of kind AdmissionReview and apiVersion admission.k8s.io/v1beta1; \
         expected an AdmissionReview of admission.k8s.io/v1",
    );
    refused(
        b"{}",
        "the body is of kind nothing and apiVersion nothing; expected an AdmissionReview of admission.k8s.io/v1",
    );
    refused(
        br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#,
        "the AdmissionReview has no request",
    );
    refused(
        br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}"#,
        "the AdmissionReview has no request.uid",
    );
    for body in [
        &b"hello"[..],
        b"[1]",
        b"\xff",
        br#"{"kind":1}"#,
        br#"{"kind":"a","kind":"b"}"#,
    ] {
        let error = Review::parse(body).unwrap_err().to_string();
        assert!(
            error.starts_with("the body is no AdmissionReview: ")
                && error.contains("(line 1, column "),
            "{error}"
        );
    }
}

#[track_caller]
fn denied(object: &Value, expected: &str) {
    let response = validate(
        &policy("{mode: enforce, level: baseline}"),
        &create("", "pods", object),
    );
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 400);
    assert_eq!(response["status"]["reason"], "BadRequest");
    assert_eq!(
        response["status"]["message"],
        format!("podgate cannot judge this Pod, so it is not admitted: {expected}")
    );
}

#[test]
fn an_object_that_cannot_be_read_is_not_admitted_and_the_field_is_named() {
    denied(&Value::Null, "request.object is missing");
    denied(
        &json!({"spec": {"containers": [{"name": "a", "securityContext": {"privileged": "yes"}}]}}),
        "request.object cannot be read: spec.containers[0].securityContext.privileged: \
         invalid type: string \"yes\", expected a boolean",
    );
    denied(
        &json!({"metadata": {}}),
        "request.object cannot be read: missing field `spec`",
    );
}

#[test]
fn an_unknown_subresource_is_judged_and_an_unknown_volume_source_refused() {
    let set = policy("{mode: enforce, level: baseline}");
    let pod = json!({"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "v", "quantumFoam": {}}]}});
    let mut review = create("", "pods", &pod);
    review["request"]["subResource"] = json!("teleport");
    let response = validate(&set, &review);
    assert_eq!(response["allowed"], false);
    assert!(
        response["status"]["message"]
            .as_str()
            .unwrap()
            .contains("quantumFoam"),
        "{response}"
    );
    review["request"]["object"] = json!({"target": {"kind": "Node"}});
    assert_eq!(validate(&set, &review)["status"]["code"], 400);
}

#[test]
fn a_request_that_does_not_say_what_is_done_to_what_is_not_admitted() {
    let set = policy("{mode: enforce, level: baseline}");
    let pod = json!({"spec": {"containers": [{"name": "a"}]}});
    for (path, value, why) in [
        ("operation", Value::Null, "request.operation is missing"),
        (
            "operation",
            json!("create"),
            "request.operation is \"create\"; expected CREATE, UPDATE, DELETE or CONNECT",
        ),
        (
            "resource",
            json!({}),
            "request.resource.resource is missing",
        ),
    ] {
        let mut review = create("", "pods", &pod);
        review["request"][path] = value;
        let response = validate(&set, &review);
        assert_eq!(response["allowed"], false);
        assert_eq!(
            response["status"]["message"],
            format!("podgate cannot judge this request, so it is not admitted: {why}")
        );
    }
}

#[test]
fn an_unknown_subresource_of_a_workload_without_a_template_is_not_admitted() {
    let set = policy("{mode: enforce, level: baseline}");
    let mut review = create("apps", "deployments", &json!({"spec": {"replicas": 3}}));
    assert_eq!(validate(&set, &review)["allowed"], true);
    review["request"]["subResource"] = json!("teleport");
    assert_eq!(
        validate(&set, &review)["status"]["message"],
        "podgate cannot judge this Deployment, so it is not admitted: request.object has no spec.template, \
         and podgate does not know the subresource \"teleport\""
    );
}
