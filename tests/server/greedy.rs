//! Clients that take what others need: connections, places, memory. A good client beside them is answered.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use podgate::server::Config;
use tokio::io::{AsyncWriteExt as _, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;

use super::judged::{Judge, plain_pod, pod_review};
use super::support::{
    Client, PATIENCE, Server, config, eventually, exchange, read_to_close, tls_from, tls_over,
};

const HEAD: &str = "POST /validate HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Loopback has more than one address.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

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

/// Connections that have begun a body of this length, have sent this much of it, and will not send the rest.
async fn stuck(
    server: &Server,
    from: IpAddr,
    count: usize,
    length: usize,
    sent: usize,
) -> Vec<TlsStream<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = tls_from(from, server.address, &server.ca).await;
        let mut stream = stream.expect("the handshake succeeds");
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
        server.metric("podgate_in_flight").await >= begun
    })
    .await;
    streams
}

#[tokio::test]
async fn bodies_that_never_come_take_no_place_from_those_that_do() {
    let mut config = config();
    config.limits.in_flight = 1;
    let server = Server::with(config).await;
    let stuck = stuck(&server, LOCALHOST, 20, 5_000_000, 1).await;
    let mut good = server.connect().await;
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    assert_eq!(server.metric("podgate_shed_total").await, 0);
    drop(stuck);
}

/// Memory for one large body at a time, and little patience for another one.
fn one_large_body() -> Config {
    let mut config = config();
    config.limits.body_memory = 0;
    config.timeouts.queue = Duration::from_millis(100);
    config
}

#[tokio::test]
async fn large_bodies_that_never_come_keep_out_no_small_ones_and_large_ones_for_a_while_only() {
    let server = Server::with(one_large_body()).await;
    let mut stuck = stuck(&server, LOCALHOST, 1, 7_000_000, 200_000).await;
    eventually("it has its share", async || {
        server.metric("podgate_large_bodies_bytes").await == 7_000_000
    })
    .await;
    let mut good = server.connect().await;
    let small = good.review(vec![b' '; 10_000]).await;
    assert_eq!(small.expect("it answers").status, 200);
    let large = vec![b' '; 1_000_000];
    let answer = good.review(large.clone()).await.expect("it answers");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(
        answer.message(),
        "podgate: podgate is overloaded: other bodies take all 7340032 bytes that there are for large ones; the \
         request was not judged"
    );
    assert_eq!(server.metric("podgate_shed_total").await, 1);
    eventually("there is room again", async || {
        good.review(large.clone()).await.expect("it answers").status == 200
    })
    .await;
    let told = read_to_close(&mut stuck[0]).await;
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    let reason = "this large body was still arriving when another one needed its place";
    assert!(told.contains(reason), "{told}");
    eventually("nothing is held", async || {
        server.metric("podgate_large_bodies_bytes").await == 0
    })
    .await;
}

#[tokio::test]
async fn large_bodies_that_never_come_keep_out_nothing_from_elsewhere() {
    let server = Server::with(one_large_body()).await;
    let stuck = stuck(&server, ELSEWHERE, 1, 7_000_000, 200_000).await;
    let mut good = server.connect().await;
    let answer = good.review(vec![b' '; 2_000_000]).await;
    assert_eq!(answer.expect("it answers").status, 200);
    drop(stuck);
}

#[tokio::test]
async fn large_bodies_take_their_turns_and_all_of_them_are_answered() {
    let mut config = config();
    // For two at a time.
    config.limits.body_memory = 7 * 1024 * 1024;
    let server = Server::with(config).await;
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        clients.spawn(async move { client.review(vec![b' '; 3_000_000]).await });
    }
    while let Some(answer) = clients.join_next().await {
        let answer = answer.expect("no panic").expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.text, "validate 3000000");
    }
}

#[tokio::test]
async fn strangers_that_take_all_connections_make_room_at_once() {
    let server = Server::with(config()).await;
    let mut good = server.connect().await;
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    let (mut idle, mut silent) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        idle.push(server.tls().await.expect("the handshake succeeds"));
    }
    for _ in 0..1200 {
        let stream = TcpStream::connect(server.address).await;
        silent.push(stream.expect("it connects"));
    }
    // Long before anything times out.
    let within = Duration::from_secs(5);
    let mut fresh = timeout(within, server.connect()).await.expect("at once");
    assert_eq!(fresh.review("{}").await.expect("it answers").status, 200);
    assert_eq!(good.review("{}").await.expect("it stayed").status, 200);
    let closed = server.metric("podgate_strangers_closed_total").await;
    assert!(closed >= 1252 - 1024, "{closed}");
    assert_eq!(server.metric("podgate_proven_closed_total").await, 0);
    assert!(server.metric("podgate_connections").await <= 1024);
    assert_eq!(read_to_close(&mut silent[0]).await, "", "it was closed");
}

#[tokio::test]
async fn reviews_alone_win_no_room_from_others() {
    let mut config = config();
    config.limits.connections = 8;
    let server = Server::with(config).await;
    eventually("the listener's own probe is through", async || {
        server.get("/readyz").await.text.contains("[+]listener")
    })
    .await;
    let mut good = server.connect().await;
    assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    let mut greedy = Vec::new();
    for _ in 0..30 {
        let stream = tls_from(ELSEWHERE, server.address, &server.ca).await;
        let mut client = Client::over(stream.expect("the handshake succeeds")).await;
        let answer = client.review("{}").await.expect("it answers");
        assert_eq!(answer.status, 200);
        greedy.push(client);
    }
    let mut fresh = server.connect().await;
    assert_eq!(fresh.review("{}").await.expect("it answers").status, 200);
    assert_eq!(good.review("{}").await.expect("it stayed").status, 200);
    assert!(server.metric("podgate_proven_closed_total").await >= 30 - 8);
}

#[tokio::test]
async fn bodies_that_trickle_give_way_and_a_review_that_is_answered_does_not() {
    let mut config = config();
    config.limits.connections = 4;
    let server = Server::with(config).await;
    eventually("the listener's own probe is through", async || {
        server.get("/readyz").await.text.contains("[+]listener")
    })
    .await;
    let mut answered = server.connect().await;
    let held = tokio::spawn(async move { answered.review("hold").await });
    eventually("it is held", async || server.stub.entered() == 1).await;
    let mut trickling = stuck(&server, LOCALHOST, 3, 1000, 1).await;
    for _ in 0..10 {
        let mut good = server.connect().await;
        assert_eq!(good.review("{}").await.expect("it answers").status, 200);
    }
    server.stub.release(1);
    let answer = held.await.expect("no panic").expect("it was not closed");
    assert_eq!(answer.status, 200);
    assert_eq!(read_to_close(&mut trickling[0]).await, "", "it was closed");
}

#[tokio::test]
async fn the_second_port_too_makes_room() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(server.admin).await;
        silent.push(stream.expect("it connects"));
    }
    let alive = timeout(Duration::from_secs(5), server.get("/livez"));
    assert_eq!(alive.await.expect("at once").status, 200);
    drop(silent);
}
