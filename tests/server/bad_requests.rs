//! Requests that are no proper call of a webhook, over TLS and before the real engine: status and text of each.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::judged::{ENDPOINTS, Judge, plain_pod, pod_review};
use super::support::{Server, exchange, read_to_close};
use super::wire::{answers, says};

const METHOD: &str = "podgate: only POST of an AdmissionReview is served here";
const PATH: &str =
    "podgate: there is nothing at this path; podgate serves POST /validate and POST /mutate";
const ALLOWED: &str = "allowed: true";

fn good() -> String {
    pod_review(&plain_pod().to_string())
}

/// A request that is the last one on its connection.
fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn only_post_at_the_two_paths_is_a_review() {
    let server = Server::judging().await;
    let json = "Content-Type: application/json\r\n";
    for path in ENDPOINTS {
        for method in [
            "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "post",
        ] {
            let line = format!("{method} {path}");
            says(
                &server,
                request(&line, json, good().as_bytes()),
                405,
                METHOD,
            )
            .await;
        }
        says(
            &server,
            request(&format!("POST {path}"), json, good().as_bytes()),
            200,
            ALLOWED,
        )
        .await;
    }
    for path in [
        "/",
        "/validate/",
        "//validate",
        "/Validate",
        "/validate%20",
        "/%76alidate",
        "/validate/../mutate",
        "/livez",
        "/metrics",
        "*",
        "validate",
    ] {
        says(
            &server,
            request(&format!("POST {path}"), json, b"{}"),
            404,
            PATH,
        )
        .await;
    }
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let answer = exchange(&mut stream, &request("HEAD /validate", json, b"")).await;
    assert!(
        answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("\r\nallow: POST\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_query_never_changes_the_answer() {
    let server = Server::judging().await;
    let long = format!("a={}", "a".repeat(20_000));
    for query in [
        "",
        "timeout=banana",
        "timeout=",
        "timeout=-5s",
        "timeout=0",
        "timeout=10",
        "timeout=99999999999999999999h",
        "timeout=10s&timeout=banana",
        "&&==%ff%",
        "timeout[]=1s",
        long.as_str(),
    ] {
        for path in ENDPOINTS {
            let line = format!("POST {path}?{query}");
            let request = request(
                &line,
                "Content-Type: application/json\r\n",
                good().as_bytes(),
            );
            says(&server, request, 200, ALLOWED).await;
        }
    }
}

#[tokio::test]
async fn content_is_json_and_nothing_around_it() {
    let server = Server::judging().await;
    // `{}` as gzip writes it.
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";
    let not_json =
        |found: &str| format!("podgate: the content type must be application/json, not {found:?}");
    let not_plain =
        |found: &str| format!("podgate: the content encoding must be identity, not {found:?}");
    for (headers, body, status, said) in [
        ("", good().as_bytes(), 415, not_json("")),
        ("Content-Type: \r\n", good().as_bytes(), 415, not_json("")),
        (
            "Content-Type: text/json\r\n",
            good().as_bytes(),
            415,
            not_json("text/json"),
        ),
        (
            "Content-Type: application/yaml\r\n",
            good().as_bytes(),
            415,
            not_json("application/yaml"),
        ),
        (
            "Content-Type: application/json-patch+json\r\n",
            good().as_bytes(),
            415,
            not_json("application/json-patch+json"),
        ),
        (
            "Content-Type: application/vnd.kubernetes.protobuf\r\n",
            b"k8s\0",
            415,
            not_json("application/vnd.kubernetes.protobuf"),
        ),
        (
            "Content-Type: a\"b\r\n",
            good().as_bytes(),
            415,
            not_json("a\"b"),
        ),
        (
            "Content-Type: application/json\r\n",
            good().as_bytes(),
            200,
            ALLOWED.to_owned(),
        ),
        (
            "Content-Type: APPLICATION/JSON ; charset=utf-8\r\n",
            good().as_bytes(),
            200,
            ALLOWED.to_owned(),
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: Identity\r\n",
            good().as_bytes(),
            200,
            ALLOWED.to_owned(),
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            gzip,
            415,
            not_plain("gzip"),
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: identity, gzip\r\n",
            gzip,
            415,
            not_plain("identity, gzip"),
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n",
            gzip,
            415,
            not_plain("br"),
        ),
        (
            "Content-Type: application/json\r\n",
            gzip,
            400,
            "podgate: the body is no AdmissionReview: invalid UTF-8 (line 1, column 2)".to_owned(),
        ),
    ] {
        for path in ENDPOINTS {
            says(
                &server,
                request(&format!("POST {path}"), headers, body),
                status,
                &said,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn other_protocols_are_not_answered_and_harm_nobody() {
    let server = Server::judging().await;
    let mut judge = Judge::of(&server).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(answers(&server, preface).await, []);
    for line in [
        "POST /validate HTTP/3.0",
        "POST /validate HTTP/1.2",
        "POST /validate",
        "EHLO podgate",
        "\0\x01\x02",
    ] {
        let request = format!("{line}\r\nHost: p\r\nContent-Length: 0\r\n\r\n");
        says(&server, request, 400, "").await;
    }
    for plain in [
        &b"POST /validate HTTP/1.1\r\nHost: p\r\n\r\n"[..],
        preface,
        b"SSH-2.0-OpenSSH_9\r\n",
        &[0; 600],
    ] {
        let mut stream = TcpStream::connect(server.address)
            .await
            .expect("it connects");
        stream.write_all(plain).await.expect("it is taken");
        let answer = read_to_close(&mut stream).await;
        // A TLS alert at most.
        assert!(answer.len() <= 7 && !answer.contains("HTTP"), "{answer:?}");
    }
    judge.allows(good()).await;
}
