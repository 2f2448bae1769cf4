//! Clients that take what others need: connections, places, memory. A good client beside them is answered.

use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;

use super::judged::{Judge, plain_pod, pod_review};
use super::support::{PATIENCE, Server, config, eventually, exchange, tls_over};

const HEAD: &str = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";

fn good() -> String {
    pod_review(&plain_pod().to_string())
}

#[tokio::test]
async fn idle_connections_in_plenty_leave_room_for_a_good_client() {
    let server = Server::judging().await;
    let mut idle = Vec::new();
    let mut silent = Vec::new();
    for _ in 0..100 {
        idle.push(server.tls().await.expect("the handshake succeeds"));
        silent.push(
            TcpStream::connect(server.address)
                .await
                .expect("it connects"),
        );
    }
    let mut judge = Judge::of(&server).await;
    judge.allows(good()).await;
    // They were there all the while.
    let last = format!("{HEAD}Connection: close\r\nContent-Length: 0\r\n\r\n");
    for stream in &mut idle {
        assert!(
            exchange(stream, last.as_bytes())
                .await
                .starts_with("HTTP/1.1 400 ")
        );
    }
    drop(silent);
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_cut() {
    let mut config = config();
    config.timeouts.exchange = Duration::from_secs(1);
    let server = Server::with(config).await;
    let mut good = server.connect().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("it takes little");
    let stream = socket.connect(server.address).await.expect("it connects");
    let stream = tls_over(stream, &server.ca, rustls::ALL_VERSIONS)
        .await
        .expect("the handshake succeeds");
    let (_unread, mut write) = split(stream);
    // Until the kernel holds no more answers, and then until the deadline.
    let request = "GET / HTTP/1.1\r\n\r\n".repeat(1000);
    let flood = async { while write.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("it is cut");
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_a_review_leaves_nothing_behind() {
    let server = Server::start().await;
    for half in [
        format!("{HEAD}Content-Length: 4\r\n\r\nhold"),
        format!("{HEAD}Content-Length: 9\r\n\r\n{{"),
    ] {
        let mut stream = server.tls().await.expect("the handshake succeeds");
        stream
            .write_all(half.as_bytes())
            .await
            .expect("it is taken");
        stream.flush().await.expect("it is taken");
        eventually("it is in flight", async || {
            server.metric("podgate_in_flight").await == 1
        })
        .await;
        // Without the goodbye of TLS.
        drop(stream.into_inner().0);
        eventually("nothing is left", async || {
            server.metric("podgate_in_flight").await == 0
        })
        .await;
    }
}

#[tokio::test]
async fn connections_that_say_nothing_give_way() {
    let mut config = config();
    config.limits.connections = 3;
    config.timeouts.handshake = Duration::from_secs(1);
    let server = Server::with(config).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(
            TcpStream::connect(server.address)
                .await
                .expect("it connects"),
        );
    }
    let mut good = timeout(PATIENCE, server.connect())
        .await
        .expect("its turn comes");
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    drop(silent);
}

/// Connections that have begun a body of this length, have sent this much of it, and will not send the rest.
async fn stuck(
    server: &Server,
    count: usize,
    length: usize,
    sent: usize,
) -> Vec<TlsStream<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = server.tls().await.expect("the handshake succeeds");
        let head = format!("{HEAD}Content-Length: {length}\r\n\r\n");
        stream
            .write_all(head.as_bytes())
            .await
            .expect("it is taken");
        stream
            .write_all(&vec![b' '; sent])
            .await
            .expect("it is taken");
        stream.flush().await.expect("it is taken");
        streams.push(stream);
    }
    let begun = i64::try_from(count).expect("it is not many");
    eventually("all have begun", async || {
        server.metric("podgate_in_flight").await == begun
    })
    .await;
    streams
}

#[tokio::test]
async fn bodies_that_never_come_take_no_place_from_those_that_do() {
    let mut config = config();
    config.limits.in_flight = 1;
    let server = Server::with(config).await;
    let stuck = stuck(&server, 20, 5_000_000, 1).await;
    let mut good = server.connect().await;
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    assert_eq!(server.metric("podgate_shed_total").await, 0);
    drop(stuck);
}

#[tokio::test]
async fn large_bodies_that_never_come_keep_out_no_small_ones_and_large_ones_for_a_while_only() {
    let mut config = config();
    config.timeouts.queue = Duration::from_millis(100);
    let server = Server::with(config).await;
    let stuck = stuck(&server, 16, 5_000_000, 200_000).await;
    let mut good = server.connect().await;
    assert_eq!(
        good.review(vec![b' '; 60_000])
            .await
            .expect("it answers")
            .status,
        200
    );
    let large = vec![b' '; 1_000_000];
    let mut message = String::new();
    eventually("large ones are shed", async || {
        let answer = good.review(large.clone()).await.expect("it answers");
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), "1");
            message = answer.message();
        }
        answer.status == 503
    })
    .await;
    assert_eq!(
        message,
        "podgate: podgate is overloaded: 16 large bodies are being read already; the request was not judged"
    );
    assert_eq!(server.metric("podgate_shed_total").await, 1);
    drop(stuck);
    eventually("there is room again", async || {
        good.review(large.clone()).await.expect("it answers").status == 200
    })
    .await;
}
