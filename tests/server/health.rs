//! The second port.

use super::support::{Server, eventually};

#[tokio::test]
async fn readiness_lists_each_condition_with_its_reason() {
    let server = Server::start().await;
    eventually("the listener is proven", async || {
        server.get("/readyz").await.text.contains("[+]listener ok")
    })
    .await;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();

    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let text = lines(&answer.text);
    assert_eq!(text[0], "[-]policies failed: not loaded yet");
    assert!(
        text[1].starts_with("[+]certificate ok: valid until "),
        "{}",
        text[1]
    );
    assert_eq!(
        text[2],
        format!("[+]listener ok: answers on {}", server.address)
    );
    assert_eq!(text[3], "[+]shutdown ok: not draining");
    assert_eq!(text[4..], ["readyz check failed"]);

    server.health.policies_loaded(3, "1a2b3c");
    let answer = server.get("/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (200, "ok\n")
    );

    server
        .health
        .policies_refused("a.yaml:3:5: there is no control \"capabilites\"", "");
    let answer = server.get("/readyz?verbose").await;
    assert_eq!(answer.status, 200);
    let text = lines(&answer.text);
    assert_eq!(
        text[0],
        "[+]policies ok: 3 in force, set 1a2b3c; this is the last good set, the newest was refused: \
         a.yaml:3:5: there is no control \"capabilites\""
    );
    assert_eq!(text[4..], ["readyz check passed"]);
    assert_eq!(server.metric("podgate_policies_stale").await, 1);
}

#[tokio::test]
async fn metrics_are_told_as_open_metrics() {
    let server = Server::start().await;
    server
        .connect()
        .await
        .review("{}")
        .await
        .expect("it answers");
    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    for line in [
        "podgate_reviews_total{endpoint=\"validate\",outcome=\"allowed\"} 1",
        "podgate_review_duration_seconds_count{endpoint=\"validate\"} 1",
        "podgate_in_flight 0",
        "podgate_handshake_errors_total 0",
        "podgate_shed_total 0",
        "podgate_certificate_reload_total{result=\"ok\"} 0",
        "podgate_policy_reload_total{result=\"error\"} 0",
        "podgate_policies_loaded 0",
        "podgate_policies_stale 0",
        "pod_security_evaluations_total{decision=\"allow\",policy_level=\"privileged\",policy_version=\"latest\",mode=\"enforce\",request_operation=\"update\",resource=\"pod\",subresource=\"\"} 0",
        "pod_security_exemptions_total{request_operation=\"create\",resource=\"controller\",subresource=\"\"} 0",
        "# EOF",
    ] {
        assert!(
            answer.text.lines().any(|found| found == line),
            "{line} is not in\n{}",
            answer.text
        );
    }
    assert!(
        answer
            .text
            .contains("podgate_review_duration_seconds_bucket{le=\"0.00005\""),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn it_lives_and_says_what_else_there_is() {
    let server = Server::start().await;
    let answer = server.get("/livez").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (200, "ok\n")
    );
    let answer = server.get("/").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("/readyz"));
}
