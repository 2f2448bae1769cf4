//! Reviews of objects that cannot be read, before the real engine: never let in, never an HTTP error, and never told
//! like a finding. Both endpoints say the same.

use podgate::pod::Kind;
use serde_json::{Value, json};

use super::judged::{Judge, UNREADABLE, plain_pod, pod_review, review, with};

#[tokio::test]
async fn an_object_that_is_missing_or_no_object_is_denied() {
    let mut judge = Judge::start().await;
    let missing = "podgate cannot judge this Pod, so it is not admitted: request.object is missing";
    judge.denies(pod_review("null"), missing).await;
    let absent = with(&review("", "pods", &Value::Null), "/request/object", None);
    judge.denies(absent.to_string(), missing).await;
    for (object, said) in [
        ("1", "integer `1`"),
        ("\"x\"", "string \"x\""),
        ("[{}]", "list"),
        ("true", "boolean `true`"),
    ] {
        let start = format!("{UNREADABLE}invalid type: {said}, expected ");
        let message = judge.denial(pod_review(object)).await;
        assert!(message.starts_with(&start), "{message}");
    }
    for object in ["{}", "{\"metadata\":{}}", "{\"Spec\":{}}"] {
        judge
            .denies(
                pod_review(object),
                &format!("{UNREADABLE}missing field `spec`"),
            )
            .await;
    }
    let mut update = review("", "pods", &plain_pod());
    update["request"]["operation"] = json!("UPDATE");
    update["request"]["oldObject"] = json!({"spec": {"containers": {}}});
    judge
        .denies(
            update.to_string(),
            "podgate cannot judge this Pod, so it is not admitted: request.oldObject cannot be read: \
             spec.containers: invalid type: object, expected a sequence",
        )
        .await;
}

#[tokio::test]
async fn a_wrong_type_in_any_kind_is_told_by_the_path_in_that_kind() {
    let mut judge = Judge::start().await;
    for (group, resource) in [
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("", "podtemplates"),
        ("apps", "replicasets"),
        ("apps", "deployments"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
    ] {
        let kind = Kind::from_resource(group, resource).expect("podgate judges it");
        let mut object = json!({"spec": {"hostPID": "no"}});
        let mut path = "spec.hostPID".to_owned();
        for step in kind.template().iter().rev() {
            object = json!({*step: object});
            path = format!("{step}.{path}");
        }
        judge
            .denies(
                review(group, resource, &object).to_string(),
                &format!(
                    "podgate cannot judge this {}, so it is not admitted: request.object cannot be read: {path}: \
                     invalid type: string \"no\", expected a boolean",
                    kind.name()
                ),
            )
            .await;
        if let Some(outermost) = kind.template().first() {
            let start = format!(
                "podgate cannot judge this {}, so it is not admitted: request.object cannot be read: {outermost}: \
                 invalid type: list, expected ",
                kind.name(),
            );
            let body = review(group, resource, &json!({*outermost: []})).to_string();
            let message = judge.denial(body).await;
            assert!(message.starts_with(&start), "{message}");
        }
    }
}

#[tokio::test]
async fn numbers_and_strings_that_fit_no_field_deny_by_the_path() {
    let mut judge = Judge::start().await;
    for (field, value, why) in [
        (
            "runAsUser",
            "9223372036854775808",
            "invalid value: integer `9223372036854775808`, expected i64",
        ),
        (
            "runAsUser",
            "1.0",
            "invalid type: floating point `1.0`, expected i64",
        ),
        (
            "runAsUser",
            "1e3",
            "invalid type: floating point `1000.0`, expected i64",
        ),
        (
            "runAsUser",
            "-0",
            "invalid type: floating point `-0.0`, expected i64",
        ),
        ("runAsUser", "1e999", "number out of range"),
        ("runAsUser", "01", "invalid number"),
        ("runAsUser", "+1", "expected a value"),
        ("runAsUser", "NaN", "expected a value"),
        ("procMount", r#""\ud800""#, "lone surrogate in string"),
        ("privileged", "True", "expected a value"),
        (
            "privileged",
            r#""a\nb\u202e""#,
            "invalid type: string \"a\\nb\\u{202e}\", expected a boolean",
        ),
    ] {
        let object =
            format!(r#"{{"spec":{{"containers":[{{"securityContext":{{"{field}":{value}}}}}]}}}}"#);
        let path = format!("spec.containers[0].securityContext.{field}");
        judge
            .denies(pod_review(&object), &format!("{UNREADABLE}{path}: {why}"))
            .await;
    }
    // A key may be anything, and must not break the line or make up another one.
    judge
        .denies(
            pod_review(r#"{"metadata":{"labels":{"a\npodgate: allowed":1}},"spec":{}}"#),
            &format!("{UNREADABLE}metadata.labels.a\\u{{a}}podgate: allowed: invalid type: integer `1`, expected a string"),
        )
        .await;
    let long = format!(
        r#"{{"metadata":{{"labels":{{"{}":1}}}},"spec":{{}}}}"#,
        "k".repeat(100_000)
    );
    assert!(judge.denial(pod_review(&long)).await.len() < 1200);
}

#[tokio::test]
async fn nesting_is_limited_in_what_is_read_and_in_what_is_skipped() {
    let mut judge = Judge::start().await;
    let nested =
        |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    let skipped =
        |value: &str| pod_review(&format!(r#"{{"spec":{{"containers":[]}},"new":{value}}}"#));
    // The review, its request and the object are three of 127.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        judge.allows(skipped(&nested(open, close, 124))).await;
        for depth in [125, 10_000, 1_000_000] {
            let body = skipped(&nested(open, close, depth));
            let column = body.find(&open.repeat(2)).expect("it is there") + 124 * open.len() + 1;
            judge
                .refuses(
                    body,
                    &format!("the body is no AdmissionReview: request.object: nesting deeper than 127 (line 1, column {column})"),
                )
                .await;
        }
        // Brackets that never close.
        let body = skipped(&open.repeat(1_000_000));
        let message = judge.refusal(body).await;
        assert!(
            message.contains(": request.object: nesting deeper than 127 (line 1, column "),
            "{message}"
        );
    }
    let known = pod_review(&format!(
        r#"{{"spec":{{"volumes":{}}}}}"#,
        nested("[", "]", 100)
    ));
    judge
        .denies(
            known,
            &format!("{UNREADABLE}spec.volumes[0]: invalid type: list, expected a volume"),
        )
        .await;
}

#[tokio::test]
async fn a_key_given_twice_denies_where_it_is_read_and_is_nothing_where_it_is_skipped() {
    let mut judge = Judge::start().await;
    for (object, why) in [
        (r#"{"spec":{},"spec":{}}"#, "duplicate field `spec`"),
        (
            r#"{"metadata":{},"spec":{},"metadata":null}"#,
            "duplicate field `metadata`",
        ),
        (
            r#"{"spec":{"containers":[],"containers":[]}}"#,
            "spec: duplicate field `containers`",
        ),
        (
            r#"{"spec":{"hostPID":false,"hostPID":false}}"#,
            "spec: duplicate field `hostPID`",
        ),
        (
            r#"{"spec":{"hostPID":true,"host\u0050ID":false}}"#,
            "spec: duplicate field `hostPID`",
        ),
        (
            r#"{"spec":{"containers":[{"securityContext":{"privileged":true,"privileged":null}}]}}"#,
            "spec.containers[0].securityContext: duplicate field `privileged`",
        ),
        (
            r#"{"spec":{"volumes":[{"secret":{},"secret":{}}]}}"#,
            "spec.volumes[0]: duplicate field `secret`",
        ),
        (
            r#"{"spec":{"volumes":[{"newSource":{},"newSource":{}}]}}"#,
            "spec.volumes[0]: duplicate field `newSource`",
        ),
        (
            r#"{"spec":{"volumes":[{"hostPath":{"path":"/a","path":"/b"}}]}}"#,
            "spec.volumes[0].hostPath: duplicate field `path`",
        ),
    ] {
        judge
            .denies(pod_review(object), &format!("{UNREADABLE}{why}"))
            .await;
    }
    // Nothing reads these; and of a label the last one counts, as it does to the API server.
    for object in [
        r#"{"spec":{"containers":[],"nodeName":"a","nodeName":"b"}}"#,
        r#"{"spec":{"containers":[]},"status":{},"status":{"phase":1,"phase":2}}"#,
        r#"{"metadata":{"labels":{"a":"1","a":"2"}},"spec":{"containers":[]}}"#,
    ] {
        judge.allows(pod_review(object)).await;
    }
}

#[tokio::test]
async fn a_request_that_does_not_say_what_is_done_to_what_is_denied() {
    let mut judge = Judge::start().await;
    let start = "podgate cannot judge this request, so it is not admitted: ";
    let whole = review("", "pods", &plain_pod());
    for (pointer, value, why) in [
        ("/request/operation", None, "request.operation is missing"),
        (
            "/request/operation",
            Some(json!("")),
            "request.operation is missing",
        ),
        (
            "/request/operation",
            Some(json!("create")),
            "request.operation is \"create\"; expected CREATE, UPDATE, DELETE or CONNECT",
        ),
        (
            "/request/operation",
            Some(json!("a\nb")),
            "request.operation is \"a\\u{a}b\"; expected CREATE, UPDATE, DELETE or CONNECT",
        ),
        (
            "/request/resource",
            None,
            "request.resource.resource is missing",
        ),
        (
            "/request/resource/resource",
            Some(Value::Null),
            "request.resource.resource is missing",
        ),
    ] {
        judge
            .denies(
                with(&whole, pointer, value).to_string(),
                &format!("{start}{why}"),
            )
            .await;
    }
    for operation in ["DELETE", "CONNECT"] {
        judge
            .allows(with(&whole, "/request/operation", Some(json!(operation))).to_string())
            .await;
    }
    judge
        .allows(review("", "services", &json!([])).to_string())
        .await;
}
