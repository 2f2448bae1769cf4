//! Bodies that are no review, before the real engine: each kind names its exact answer.

use serde_json::{Value, json};

use super::judged::{Judge, Node, mistyped, nodes, plain_pod, pod_review, review, with};
use super::support::Server;

const EXPECTED: &str = "expected an AdmissionReview of admission.k8s.io/v1";

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_place() {
    let mut judge = Judge::start().await;
    for empty in ["", " ", "\r\n\t "] {
        let message = format!("the body is empty; {EXPECTED}");
        judge.refuses(empty, &message).await;
    }
    for (body, why) in [
        (&b"hello"[..], "expected a value (line 1, column 1)"),
        (b"-- \n", "invalid number (line 1, column 2)"),
        // The start of what gzip writes, and of what an editor may.
        (b"\x1f\x8b\x08\0", "invalid UTF-8 (line 1, column 2)"),
        (b"\xef\xbb\xbf{}", "expected a value (line 1, column 1)"),
        // UTF-16.
        (b"{\0}\0", "expected a string as key (line 1, column 2)"),
        (b"{", "unexpected end of input (line 1, column 2)"),
        (
            b"{\"kind\":\"A\"",
            "unexpected end of input (line 1, column 12)",
        ),
        (
            b"{}{}",
            "unexpected text after the document (line 1, column 3)",
        ),
        (
            b"\n {\"kind\" 1}",
            "expected `:` after the key (line 2, column 10)",
        ),
        (b"{kind:1}", "expected a string as key (line 1, column 2)"),
        (
            b"{\"kind\":\"a\",}",
            "expected a string as key (line 1, column 13)",
        ),
        (
            b"{\"kind\":\"\n\"}",
            "kind: control character in string (line 1, column 10)",
        ),
        (
            b"{\"kind\":\"\\x\"}",
            "kind: invalid escape in string (line 1, column 11)",
        ),
        (
            br#"{"request":{"object":{"a":"\q"}}}"#,
            "request.object: invalid escape in string (line 1, column 29)",
        ),
        (
            b"{\"kind\":\"\\ud800\"}",
            "kind: lone surrogate in string (line 1, column 11)",
        ),
        (
            b"{\"kind\":tru}",
            "kind: expected true, false or null (line 1, column 9)",
        ),
        (
            b"null",
            "invalid type: null, expected an AdmissionReview (line 1, column 1)",
        ),
        (
            b"[1]",
            "invalid type: list, expected an AdmissionReview (line 1, column 1)",
        ),
        (
            b"17",
            "invalid type: integer `17`, expected an AdmissionReview (line 1, column 1)",
        ),
        (
            b"\"a\"",
            "invalid type: string \"a\", expected an AdmissionReview (line 1, column 1)",
        ),
    ] {
        let message = format!("the body is no AdmissionReview: {why}");
        judge.refuses(body, &message).await;
    }
}

#[tokio::test]
async fn json_that_is_no_admission_review_of_v1_is_refused_by_what_it_is() {
    let mut judge = Judge::start().await;
    let long = "x".repeat(81);
    for (kind, version, shown) in [
        (
            json!("AdmissionReview"),
            json!("admission.k8s.io/v1beta1"),
            "AdmissionReview and apiVersion admission.k8s.io/v1beta1",
        ),
        (
            json!("AdmissionReview"),
            json!("admission.k8s.io/v2"),
            "AdmissionReview and apiVersion admission.k8s.io/v2",
        ),
        (
            json!("AdmissionReview"),
            Value::Null,
            "AdmissionReview and apiVersion nothing",
        ),
        (
            json!("admissionreview"),
            json!("admission.k8s.io/v1"),
            "admissionreview and apiVersion admission.k8s.io/v1",
        ),
        (json!("Pod"), json!("v1"), "Pod and apiVersion v1"),
        (Value::Null, Value::Null, "nothing and apiVersion nothing"),
        (
            json!("a\nb"),
            json!("\u{202e}"),
            "a\\u{a}b and apiVersion \\u{202e}",
        ),
        (
            json!(long),
            json!("v1"),
            &format!("{}… and apiVersion v1", "x".repeat(80)),
        ),
    ] {
        let mut body = review("", "pods", &plain_pod());
        body["kind"] = kind;
        body["apiVersion"] = version;
        let message = format!("the body is of kind {shown}; {EXPECTED}");
        judge.refuses(body.to_string(), &message).await;
    }
    judge
        .refuses(
            "{}",
            &format!("the body is of kind nothing and apiVersion nothing; {EXPECTED}"),
        )
        .await;
    for (pointer, missing) in [("/request", "request"), ("/request/uid", "request.uid")] {
        let whole = review("", "pods", &plain_pod());
        for body in [
            with(&whole, pointer, None),
            with(&whole, pointer, Some(Value::Null)),
        ] {
            judge
                .refuses(
                    body.to_string(),
                    &format!("the AdmissionReview has no {missing}"),
                )
                .await;
        }
    }
}

#[tokio::test]
async fn every_field_of_the_envelope_of_a_wrong_type_is_refused_by_its_path() {
    let mut judge = Judge::start().await;
    let mut whole = review("", "pods", &Value::Null);
    whole["request"]["userInfo"]["groups"] = json!(["devs"]);
    for skipped in [
        "resource/version",
        "object",
        "oldObject",
        "dryRun",
        "options",
    ] {
        whole = with(&whole, &format!("/request/{skipped}"), None);
    }
    let fields = nodes(&whole);
    assert_eq!(
        fields.len(),
        15,
        "kind, apiVersion, request and what is read of it"
    );
    for Node {
        path,
        pointer,
        value,
    } in fields
    {
        for (wrong, said) in mistyped(&value) {
            let message = judge
                .refusal(with(&whole, &pointer, Some(wrong)).to_string())
                .await;
            let start = format!(
                "podgate: the body is no AdmissionReview: {path}: invalid type: {said}, expected "
            );
            assert!(
                message.starts_with(&start) && message.contains(" (line 1, column "),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn invalid_utf_8_is_refused_wherever_it_is() {
    let mut judge = Judge::start().await;
    for before in [
        // In a key and a value that are read, in a key and a value that are skipped, and in the object.
        r#"{"kind"#,
        r#"{"kind":"A"#,
        r#"{"kind":"A","extra"#,
        r#"{"kind":"A","extra":{"list":["text"#,
        r#"{"kind":"A","request":{"object":{"spec":{"containers":[{"name":"a"#,
    ] {
        // A stray byte, an overlong slash, a surrogate, and a sequence that is cut short.
        for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82"] {
            let body = [before.as_bytes(), bytes, b"\""].concat();
            let message = format!(
                "the body is no AdmissionReview: invalid UTF-8 (line 1, column {})",
                before.len() + 1
            );
            judge.refuses(body, &message).await;
        }
    }
}

#[tokio::test]
async fn a_key_of_the_envelope_given_twice_is_refused() {
    let mut judge = Judge::start().await;
    let once = pod_review(&plain_pod().to_string());
    for (key, object) in [
        ("kind", ""),
        ("apiVersion", ""),
        ("request", ""),
        ("uid", "request: "),
        ("object", "request: "),
        ("oldObject", "request: "),
        ("operation", "request: "),
        ("namespace", "request: "),
        ("subResource", "request: "),
        ("userInfo", "request: "),
        ("group", "request.resource: "),
        ("resource", "request.resource: "),
        ("username", "request.userInfo: "),
        ("groups", "request.userInfo: "),
    ] {
        // The last one: `resource` is the name of an object and of a field in it.
        let at = once.rfind(&format!("\"{key}\":")).expect("it is there");
        // With another spelling of the same key.
        let spelt = format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..]);
        for first in [key, &spelt] {
            let twice = format!("{}\"{first}\":null,{}", &once[..at], &once[at..]);
            let message = judge.refusal(twice).await;
            let start = format!(
                "podgate: the body is no AdmissionReview: {object}duplicate field `{key}` (line 1, column "
            );
            assert!(message.starts_with(&start), "{message}");
        }
    }
}

#[tokio::test]
async fn what_could_not_be_judged_is_counted_apart_from_what_was_denied() {
    let server = Server::judging().await;
    let mut judge = Judge::of(&server).await;
    for (body, outcome) in [
        ("[]".to_owned(), "error"),
        (pod_review("null"), "error"),
        (pod_review(r#"{"spec":[]}"#), "error"),
        (pod_review(r#"{"spec":{"hostPID":true}}"#), "denied"),
        (pod_review(&plain_pod().to_string()), "allowed"),
    ] {
        let series =
            format!("podgate_reviews_total{{endpoint=\"validate\",outcome=\"{outcome}\"}}");
        let before = server.metric(&series).await;
        judge.send("/validate", body).await;
        assert_eq!(server.metric(&series).await, before + 1, "{outcome}");
    }
}
