//! Bodies in chunks, cut short, or too large, over TLS and before the real engine.

use tokio::io::AsyncWriteExt as _;

use super::judged::{ENDPOINTS, Judge, plain_pod, pod_review};
use super::support::{Server, exchange, post, read_to_close};
use super::wire::says;

const MIB: usize = 1024 * 1024;
const BROKEN: &str = "podgate: the body could not be read to its end";
const TOO_LARGE: &str =
    "podgate: the body is larger than 7340032 bytes, the most that podgate reads";
const ALLOWED: &str = "allowed: true";

fn good() -> String {
    pod_review(&plain_pod().to_string())
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
        let mut chunks = String::new();
        for piece in body.as_bytes().chunks(size) {
            let text = String::from_utf8_lossy(piece);
            chunks += &format!("{:X};a=b\r\n{text}\r\n", piece.len());
        }
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
