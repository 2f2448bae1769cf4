//! Clients that mean harm: what they send is refused or cut, and a good client beside them never notices.

use std::sync::Arc;
use std::time::Duration;

use podgate::server::{CertificateSource, install_crypto_provider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};

use super::judged::{Judge, plain_pod, pod_review};
use super::support::{PATIENCE, Server, config, eventually};
use super::wire::answers;

const HEAD: &str = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";
/// A second request, hidden in the body of a first one.
const HIDDEN: &str = "POST /mutate HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n";

fn good() -> String {
    pod_review(&plain_pod().to_string())
}

#[tokio::test]
async fn a_body_of_doubtful_length_is_the_last_thing_on_its_connection() {
    let server = Server::judging().await;
    let mut judge = Judge::of(&server).await;
    let empty = "podgate: the body is empty; expected an AdmissionReview of admission.k8s.io/v1";
    for (framing, said) in [
        // Both: chunks count, as RFC 9112 §6.3 says, and nothing that follows.
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            empty,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            empty,
        ),
        ("Content-Length: 0\r\nContent-Length: 5\r\n\r\n", ""),
        ("Content-Length: 0, 0\r\n\r\n", ""),
        ("Content-Length: +0\r\n\r\n", ""),
        ("Content-Length: -1\r\n\r\n", ""),
        ("Content-Length: 0x0\r\n\r\n", ""),
        ("Content-Length: 99999999999999999999\r\n\r\n", ""),
        ("Content-Length : 0\r\n\r\n", ""),
        ("Content-Length: 0\r\n Content-Length: 5\r\n\r\n", ""),
        ("Transfer-Encoding: gzip\r\n\r\n", ""),
        ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ""),
        ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", ""),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "",
        ),
        ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", ""),
        ("X: \0\r\n\r\n", ""),
        ("X: a\rb\r\n\r\n", ""),
    ] {
        let found = answers(&server, format!("{HEAD}{framing}{HIDDEN}")).await;
        assert_eq!(found, [(400, said.to_owned())], "{framing:?}");
    }
    judge.allows(good()).await;
}

#[tokio::test]
async fn many_requests_in_one_go_are_answered_one_by_one_and_in_turn() {
    let server = Server::judging().await;
    let mut requests = String::new();
    let mut expected = Vec::new();
    for _ in 0..50 {
        for (body, status, said) in [
            (good(), 200, "allowed: true"),
            (
                pod_review("{\"spec\":{\"hostPID\":true}}"),
                200,
                "allowed: false",
            ),
            (
                "[]".to_owned(),
                400,
                "podgate: the body is no AdmissionReview: invalid type: list, expected an AdmissionReview (line 1, column 1)",
            ),
        ] {
            requests += &format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
            expected.push((status, said.to_owned()));
        }
    }
    requests += "GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";
    let path =
        "podgate: there is nothing at this path; podgate serves POST /validate and POST /mutate";
    expected.push((404, path.to_owned()));
    assert_eq!(answers(&server, requests).await, expected);
}

#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let server = Server::judging().await;
    let mut judge = Judge::of(&server).await;
    let mib = "a".repeat(1024 * 1024);
    for head in [
        format!("{HEAD}X: {mib}\r\n\r\n"),
        format!("{HEAD}{mib}: x\r\n\r\n"),
        format!("{HEAD}{}\r\n", "X: y\r\n".repeat(10_000)),
        format!("{HEAD}{}\r\n", "X: y\r\n".repeat(101)),
        format!("POST /{mib} HTTP/1.1\r\nHost: p\r\n\r\n"),
        format!("POST /validate?timeout={mib} HTTP/1.1\r\nHost: p\r\n\r\n"),
        mib.clone(),
    ] {
        let found = answers(&server, &head).await;
        assert_eq!(found, [(431, String::new())], "{}…", &head[..120]);
    }
    judge.allows(good()).await;
}

/// A first flight of TLS that asks for this name.
fn hello(name: &str) -> Vec<u8> {
    install_crypto_provider();
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("it is a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("it begins");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("it is written");
    hello
}

#[tokio::test]
async fn whatever_name_is_asked_for_the_one_certificate_is_served() {
    let server = Server::judging().await;
    let mut forged = hello("127-0-0-1");
    let at = forged
        .windows(9)
        .position(|bytes| bytes == b"127-0-0-1")
        .expect("the name is sent");
    // An address in the place of a name is against RFC 6066, and sent all the same.
    forged[at..at + 9].copy_from_slice(b"127.0.0.1");
    for hello in [
        hello("podgate.podgate-system.svc"),
        hello("evil.example"),
        hello("127.0.0.1"),
        hello("::1"),
        forged,
    ] {
        let mut stream = TcpStream::connect(server.address)
            .await
            .expect("it connects");
        stream.write_all(&hello).await.expect("it is taken");
        let mut answer = [0; 6];
        timeout(PATIENCE, stream.read_exact(&mut answer))
            .await
            .expect("it answers")
            .expect("it answers");
        // A handshake record with a ServerHello.
        assert_eq!((answer[0], answer[5]), (0x16, 2), "{answer:x?}");
    }
}

#[tokio::test]
async fn a_handshake_that_comes_in_pieces_is_answered() {
    let server = Server::judging().await;
    let mut stream = TcpStream::connect(server.address)
        .await
        .expect("it connects");
    stream.set_nodelay(true).expect("it is a socket");
    for piece in hello("podgate.podgate-system.svc").chunks(400) {
        stream.write_all(piece).await.expect("it is taken");
        // As far as it gets: the answer does not depend on it.
        sleep(Duration::from_millis(5)).await;
    }
    let mut answer = [0; 6];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .expect("it answers")
        .expect("it answers");
    assert_eq!((answer[0], answer[5]), (0x16, 2), "{answer:x?}");
}

#[tokio::test]
async fn a_client_that_expects_another_name_goes_away_and_is_counted() {
    let mut config = config();
    config.certificate = CertificateSource::Generated {
        names: vec!["other.example".to_owned()],
    };
    let server = Server::with(config).await;
    let error = server
        .tls()
        .await
        .expect_err("the name is not in the certificate");
    assert!(
        error.to_string().contains("certificate not valid for name"),
        "{error}"
    );
    eventually("it is counted", async || {
        server.metric("podgate_handshake_errors_total").await >= 1
    })
    .await;
}
