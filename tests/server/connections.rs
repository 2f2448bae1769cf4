//! Connections that are slow, half-open, idle or too many.

use std::time::Duration;

use podgate::server::Timeouts;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, interval, sleep, timeout},
};
use tokio_rustls::rustls::{self, ProtocolVersion, version::TLS12};

use super::support::{
    Client, PATIENCE, Server, config, eventually, exchange, read_to_close, tls, tls_with,
};

const SHORT: Duration = Duration::from_millis(150);

async fn server(change: impl FnOnce(&mut Timeouts)) -> Server {
    let mut config = config();
    change(&mut config.timeouts);
    Server::with(config).await
}

/// Another client's reviews are answered all the while.
async fn others_are_unharmed<T>(server: &Server, meanwhile: impl Future<Output = T>) -> T {
    let mut client = server.connect().await;
    let mut meanwhile = std::pin::pin!(meanwhile);
    let mut pause = interval(SHORT / 10);
    loop {
        tokio::select! {
            done = &mut meanwhile => return done,
            _ = pause.tick() => assert_eq!(client.review("{}").await.expect("it answers").status, 200),
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let server = server(|timeouts| timeouts.head = SHORT).await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let cut = exchange(&mut stream, b"POST /validate HTTP/1.1\r\nHost: ");
    assert_eq!(others_are_unharmed(&server, cut).await, "");
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_at_the_same_time() {
    let server = server(|timeouts| timeouts.head = SHORT).await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let mut pause = interval(SHORT / 20);
    let trickling = async {
        while stream.write_all(b"P").await.is_ok() && stream.flush().await.is_ok() {
            pause.tick().await;
        }
    };
    timeout(PATIENCE, others_are_unharmed(&server, trickling))
        .await
        .expect("it is cut");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_and_counted() {
    let server = server(|timeouts| timeouts.handshake = SHORT).await;
    let mut silent = TcpStream::connect(server.address)
        .await
        .expect("it connects");
    let mut half = TcpStream::connect(server.address)
        .await
        .expect("it connects");
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        .await
        .expect("the start of a ClientHello is taken");
    let cut = async {
        (
            read_to_close(&mut silent).await,
            read_to_close(&mut half).await,
        )
    };
    others_are_unharmed(&server, cut).await;
    eventually("both are counted", async || {
        server.metric("podgate_handshake_errors_total").await == 2
    })
    .await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_with_a_reason() {
    let server = server(|timeouts| timeouts.body = SHORT).await;
    for framing in [
        "Content-Length: 1000\r\n\r\n{\"kind\":",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let mut stream = server.tls().await.expect("the handshake succeeds");
        let request = format!(
            "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n{framing}"
        );
        let answer = others_are_unharmed(&server, exchange(&mut stream, request.as_bytes())).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.contains("podgate: the body did not arrive completely within 150ms"),
            "{answer}"
        );
    }
    eventually("nothing is left behind", async || {
        server.metric("podgate_in_flight").await == 0
    })
    .await;
}

#[tokio::test]
async fn an_exchange_that_takes_too_long_is_cut() {
    let server = server(|timeouts| timeouts.exchange = SHORT).await;
    let mut client = server.connect().await;
    let held = tokio::spawn(async move { client.review("hold").await });
    assert!(
        held.await.expect("no panic").is_err(),
        "the connection is cut"
    );
}

#[tokio::test]
async fn an_idle_connection_outlives_the_head_timeout_but_not_its_own() {
    let server = server(|timeouts| {
        timeouts.head = SHORT / 3;
        timeouts.idle = SHORT * 2;
    })
    .await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        // Longer than a head may take, on a fresh connection and on a used one.
        sleep(SHORT).await;
        assert_eq!(
            client
                .review("{}")
                .await
                .expect("the connection is still there")
                .status,
            200
        );
    }
    let idle_since = Instant::now();
    eventually("it is cut in the end", async || !client.is_open().await).await;
    assert!(idle_since.elapsed() > SHORT);
}

#[tokio::test]
async fn the_late_rest_of_a_refused_body_is_not_taken_for_a_head() {
    let mut config = config();
    config.limits.body = 10;
    config.timeouts.head = SHORT / 3;
    let server = Server::with(config).await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let head = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";
    stream
        .write_all(format!("{head}Content-Length: 11\r\n\r\n").as_bytes())
        .await
        .expect("it is taken");
    let mut answer = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .expect("it answers")
        .expect("it answers");
    assert_eq!(&answer[..], b"HTTP/1.1 413");
    for rest in ["{     ", "    }"] {
        stream
            .write_all(rest.as_bytes())
            .await
            .expect("it is taken");
        // Longer than a head may take.
        sleep(SHORT).await;
    }
    let next = format!("{head}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}");
    assert!(
        exchange(&mut stream, next.as_bytes())
            .await
            .contains("HTTP/1.1 200 OK")
    );
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_turn() {
    let server = Server::start().await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let request = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
    let answer = exchange(
        &mut stream,
        format!("{request}\r\n{{}}{request}Connection: close\r\n\r\n[]").as_bytes(),
    )
    .await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_waits_while_all_others_are_answered() {
    let mut config = config();
    config.limits.connections = 1;
    let server = Server::with(config).await;
    eventually("the listener's own probe is through", async || {
        server.get("/readyz").await.text.contains("[+]listener")
    })
    .await;
    let mut first = server.connect().await;
    let held = tokio::spawn(async move { (first.review("hold").await, first) });
    eventually("it is held", async || server.stub.entered() == 1).await;
    let (address, ca) = (server.address, server.ca.clone());
    let mut second = tokio::spawn(async move {
        Client::over(tls(address, &ca).await.expect("its turn comes")).await
    });
    assert!(timeout(SHORT, &mut second).await.is_err(), "it waits");
    server.stub.release(1);
    let (answer, mut first) = held.await.expect("no panic");
    assert_eq!(answer.expect("it is answered").status, 200);
    let mut second = second.await.expect("no panic");
    assert_eq!(second.review("{}").await.expect("it answers").status, 200);
    assert!(!first.is_open().await, "it made room");
}

#[tokio::test]
async fn what_is_not_tls_gets_no_http() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address)
        .await
        .expect("it connects");
    stream
        .write_all(b"POST /validate HTTP/1.1\r\nHost: p\r\n\r\n")
        .await
        .expect("it is taken");
    assert!(!read_to_close(&mut stream).await.contains("HTTP/"));
}

#[tokio::test]
async fn http_1_1_is_agreed_on_even_when_h2_is_offered() {
    let server = Server::start().await;
    let stream = server.tls().await.expect("the handshake succeeds");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn tls_1_3_is_spoken_and_1_2_to_those_who_know_no_better() {
    let server = Server::start().await;
    for (versions, expected) in [
        (rustls::ALL_VERSIONS, ProtocolVersion::TLSv1_3),
        (&[&TLS12], ProtocolVersion::TLSv1_2),
    ] {
        let stream = tls_with(server.address, &server.ca, versions)
            .await
            .expect("the handshake succeeds");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(
            Client::over(stream)
                .await
                .review("{}")
                .await
                .expect("it answers")
                .status,
            200
        );
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to() {
    let server = Server::start().await;
    let mut stream = server.tls().await.expect("the handshake succeeds");
    let head = "POST /validate HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream
        .write_all(head.as_bytes())
        .await
        .expect("it is taken");
    let mut told = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut told))
        .await
        .expect("it answers")
        .expect("it answers");
    assert_eq!(&told[..], b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(
        exchange(&mut stream, b"{}")
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
}
