//! What is answered, with status and text, by the engine or instead of it.

use std::time::Duration;

use axum::body::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use podgate::server::{Limits, Timeouts};

use super::support::{Server, config, eventually, exchange, post};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn both_endpoints_answer_with_what_the_engine_says() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (uri, text) in [
        ("/validate?timeout=10s", "validate 4"),
        ("/mutate?timeout=10s", "mutate 4"),
        ("/mutate", "mutate 4"),
    ] {
        let answer = client.send(post(uri, "deny")).await.expect("it answers");
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::OK, text)
        );
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(
        server
            .metric("podgate_reviews_total{endpoint=\"mutate\",outcome=\"denied\"}")
            .await,
        2
    );
    assert_eq!(
        server
            .metric("podgate_reviews_total{endpoint=\"validate\",outcome=\"denied\"}")
            .await,
        1
    );
}

#[tokio::test]
async fn what_is_no_review_is_refused_with_status_and_reason() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = |method: &str, uri: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "podgate");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Full::new(Bytes::from_static(b"{}")))
            .expect("it is a request")
    };
    let json = ("content-type", "application/json");
    for (method, uri, headers, status, message) in [
        (
            "GET",
            "/validate",
            vec![],
            405,
            "podgate: only POST of an AdmissionReview is served here",
        ),
        (
            "PUT",
            "/mutate",
            vec![json],
            405,
            "podgate: only POST of an AdmissionReview is served here",
        ),
        (
            "POST",
            "/",
            vec![json],
            404,
            "podgate: there is nothing at this path; podgate serves POST /validate and POST /mutate",
        ),
        (
            "POST",
            "/validate",
            vec![],
            415,
            "podgate: the content type must be application/json, not \"\"",
        ),
        (
            "POST",
            "/validate",
            vec![("content-type", "text/plain")],
            415,
            "podgate: the content type must be application/json, not \"text/plain\"",
        ),
        (
            "POST",
            "/validate",
            vec![json, ("content-encoding", "gzip")],
            415,
            "podgate: the content encoding must be identity, not \"gzip\"",
        ),
    ] {
        let answer = client
            .send(request(method, uri, &headers))
            .await
            .expect("it answers");
        assert_eq!(
            (answer.status.as_u16(), answer.message().as_str()),
            (status, message)
        );
        assert_eq!(
            answer.header("allow"),
            if status == 405 { "POST" } else { "" }
        );
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let answer = client
        .send(request("POST", "/validate", &charset))
        .await
        .expect("it answers");
    assert_eq!(answer.status, 200);
    assert_eq!(
        server.stub.entered(),
        1,
        "the engine saw only what it should"
    );
}

#[tokio::test]
async fn a_body_of_seven_mebibytes_is_read_and_one_byte_more_is_not() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for size in [0, 69 * MIB / 10, 7 * MIB] {
        let answer = client.review(vec![b' '; size]).await.expect("it answers");
        assert_eq!(
            (answer.status, answer.text),
            (StatusCode::OK, format!("validate {size}"))
        );
    }
    let answer = client
        .review(vec![b' '; 7 * MIB + 1])
        .await
        .expect("the refusal arrives whole");
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.message(),
        "podgate: the body is larger than 7340032 bytes, the most that podgate reads"
    );
}

#[tokio::test]
async fn the_rest_of_a_refused_body_is_swallowed_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let head = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";
    let mut requests = format!("{head}Content-Length: {}\r\n\r\n", 7 * MIB + 1).into_bytes();
    requests.resize(requests.len() + 7 * MIB + 1, b' ');
    requests.extend(format!("{head}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}").bytes());
    let answers = exchange(&mut stream, &requests).await;
    assert!(answers.starts_with("HTTP/1.1 413 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 OK"), "{answers}");
}

#[tokio::test]
async fn a_body_that_did_not_announce_its_size_is_refused_when_it_is_too_large() {
    let mut config = config();
    config.limits.body = 10;
    let server = Server::with(config).await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let request = b"POST /validate HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Type: application/json\r\n\
                    Transfer-Encoding: chunked\r\n\r\n6\r\n{     \r\n5\r\n    }\r\n0\r\n\r\n";
    let answer = exchange(&mut stream, request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("podgate: the body is larger than 10 bytes"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_panic_is_told_as_a_bug_of_podgate_and_harms_nobody_else() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let answer = client.review("panic").await.expect("it answers");
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .message()
            .starts_with("podgate: this is podgate's own fault, a bug: ")
    );
    let answer = client
        .review("{}")
        .await
        .expect("the same connection goes on");
    assert_eq!(answer.status, 200);
    assert_eq!(
        server
            .metric("podgate_reviews_total{endpoint=\"validate\",outcome=\"error\"}")
            .await,
        1
    );
    assert_eq!(server.metric("podgate_in_flight").await, 0);
}

#[tokio::test]
async fn the_timeout_of_the_api_server_is_kept_with_a_margin() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let answer = client
        .send(post("/validate?timeout=100ms", "hold"))
        .await
        .expect("it answers");
    assert_eq!(answer.status, 504);
    assert!(
        answer
            .message()
            .starts_with("podgate: podgate did not finish within 50ms, the deadline ")
    );
    let answer = client
        .review("{}")
        .await
        .expect("the same connection goes on");
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn too_many_reviews_at_a_time_are_shed_and_may_come_again() {
    let mut config = config();
    config.limits = Limits {
        in_flight: 1,
        ..Limits::default()
    };
    config.timeouts = Timeouts {
        queue: Duration::from_millis(20),
        ..config.timeouts
    };
    let server = Server::with(config).await;
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    let held = tokio::spawn(async move { one.review("hold").await });
    eventually("the first review is held", async || {
        server.stub.entered() == 1
    })
    .await;

    let answer = other.review("{}").await.expect("it answers");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(
        answer
            .message()
            .starts_with("podgate: podgate is overloaded: 1 reviews are being answered already")
    );
    assert_eq!(server.metric("podgate_shed_total").await, 1);

    server.stub.release(1);
    assert_eq!(
        held.await.expect("no panic").expect("it answers").status,
        200
    );
    assert_eq!(other.review("{}").await.expect("it answers").status, 200);
}

#[tokio::test]
async fn a_short_burst_waits_for_its_turn() {
    let mut config = config();
    config.limits = Limits {
        in_flight: 1,
        ..Limits::default()
    };
    let server = Server::with(config).await;
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    let held = tokio::spawn(async move { one.review("hold").await });
    eventually("the first review is held", async || {
        server.stub.entered() == 1
    })
    .await;
    let waiting = tokio::spawn(async move { other.review("{}").await });
    eventually("the second one has come", async || {
        server.metric("podgate_in_flight").await == 2
    })
    .await;
    server.stub.release(1);
    assert_eq!(
        held.await.expect("no panic").expect("it answers").status,
        200
    );
    assert_eq!(
        waiting.await.expect("no panic").expect("it answers").status,
        200
    );
}
