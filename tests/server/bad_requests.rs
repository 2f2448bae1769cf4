//! Requests that are no proper call of a webhook, over TLS and before the real engine: status and text of each.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::judged::{ENDPOINTS, Judge, plain_pod, pod_review};
use super::support::{Server, answers, exchange, post, read_to_close};

const MIB: usize = 1024 * 1024;
const METHOD: &str = "podgate: only POST of an AdmissionReview is served here";
const PATH: &str =
    "podgate: there is nothing at this path; podgate serves POST /validate and POST /mutate";
const BROKEN: &str = "podgate: the body could not be read to its end";
const TOO_LARGE: &str =
    "podgate: the body is larger than 7340032 bytes, the most that podgate reads";
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

async fn says(server: &Server, request: impl AsRef<[u8]>, status: u16, said: &str) {
    let request = request.as_ref();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    let found = answers(server, request).await;
    assert_eq!(found, [(status, said.to_owned())], "{shown}");
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
    let long = format!("a={}", "a".repeat(50_000));
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

/// A request whose body comes in chunks.
fn chunked(chunks: &str) -> String {
    format!(
        "POST /validate HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}"
    )
}

#[tokio::test]
async fn a_body_in_chunks_is_one_body_or_broken() {
    let server = Server::judging().await;
    for size in [1, 7, 10_000] {
        let body = good();
        let pieces = body.as_bytes().chunks(size);
        let chunks: String = pieces
            .map(|piece| {
                format!(
                    "{:X};a=b\r\n{}\r\n",
                    piece.len(),
                    String::from_utf8_lossy(piece)
                )
            })
            .collect();
        says(
            &server,
            chunked(&format!("{chunks}0\r\n\r\n")),
            200,
            ALLOWED,
        )
        .await;
        says(
            &server,
            chunked(&format!("{chunks}0\r\nX-Trailer: a\r\n\r\n")),
            200,
            ALLOWED,
        )
        .await;
    }
    for (chunks, said) in [
        (
            "0\r\n\r\n",
            "podgate: the body is empty; expected an AdmissionReview of admission.k8s.io/v1",
        ),
        ("zz\r\n{}\r\n0\r\n\r\n", BROKEN),
        ("-1\r\n{}\r\n0\r\n\r\n", BROKEN),
        ("2\r\n{}}\r\n0\r\n\r\n", BROKEN),
        ("ffffffffffffffffff\r\n{}\r\n0\r\n\r\n", BROKEN),
        (
            &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(20_000)),
            BROKEN,
        ),
        (
            &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X: y\r\n".repeat(20_000)),
            BROKEN,
        ),
    ] {
        says(&server, chunked(chunks), 400, said).await;
    }
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_broken() {
    let server = Server::judging().await;
    for request in [
        "POST /mutate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"kind\":".to_owned(),
        chunked("5\r\n{\"k"),
        chunked("2\r\n{}\r\n"),
    ] {
        let mut stream = server.tls().await.expect("the handshake succeeds");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        stream.shutdown().await.expect("this half closes");
        let answer = read_to_close(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains(BROKEN), "{answer}");
    }
}

#[tokio::test]
async fn a_review_of_seven_mebibytes_is_judged_and_one_byte_more_is_not() {
    let server = Server::judging().await;
    let mut judge = Judge::of(&server).await;
    let review = |size: usize| {
        let skipped = |length| {
            format!(
                r#"{{"spec":{{"containers":[]}},"status":{{"message":"{}"}}}}"#,
                "x".repeat(length)
            )
        };
        let empty = pod_review(&skipped(0)).len();
        pod_review(&skipped(size - empty))
    };
    let (largest, more) = (review(7 * MIB), review(7 * MIB + 1));
    assert_eq!((largest.len(), more.len()), (7_340_032, 7_340_033));
    judge.allows(largest.clone()).await;
    let all = |body: &str| chunked(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    says(&server, all(&largest), 200, ALLOWED).await;
    says(&server, all(&more), 413, TOO_LARGE).await;
    for path in ENDPOINTS {
        let answer = server.connect().await.send(post(path, more.clone())).await;
        let answer = answer.expect("the refusal arrives whole");
        assert_eq!(
            (answer.status.as_u16(), answer.message().as_str()),
            (413, TOO_LARGE)
        );
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(
            answer
                .text
                .contains(r#""reason":"RequestEntityTooLarge","code":413"#),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_client_that_would_continue_is_refused_before_it_does() {
    let server = Server::judging().await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let head = |headers: &str| {
        format!(
            "POST /mutate HTTP/1.1\r\nHost: p\r\nConnection: close\r\nExpect: 100-continue\r\n{headers}\r\n"
        )
    };
    let large = head("Content-Type: application/json\r\nContent-Length: 7340033\r\n");
    let answer = exchange(&mut stream, large.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
        "{answer}"
    );
    assert!(answer.contains(TOO_LARGE), "{answer}");
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let answer = exchange(&mut stream, head("Content-Length: 2\r\n").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 415 Unsupported Media Type\r\n"),
        "{answer}"
    );
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
