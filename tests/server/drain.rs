//! The end of a server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use podgate::server::{Drained, Shutdown};
use tokio::{net::TcpStream, task::JoinSet};

use super::support::{Client, Server, config, eventually, tls};

/// Sends reviews one after the other, with a new connection where the last answer closed the old one, until a
/// connection is refused. Every review that was sent must be answered.
async fn load(address: std::net::SocketAddr, ca: String, answered: Arc<AtomicUsize>) {
    while let Ok(stream) = tls(address, &ca).await {
        let mut client = Client::over(stream).await;
        loop {
            let answer = client
                .review("{}")
                .await
                .expect("a review that was sent is answered");
            assert_eq!(answer.status, 200);
            answered.fetch_add(1, Ordering::SeqCst);
            if answer.header("connection") == "close" {
                break;
            }
        }
    }
}

/// Not only "not draining": a second signal that comes before the first was seen is the same one.
async fn is_draining(server: &Server) -> bool {
    let text = server.get("/readyz").await.text;
    text.contains("[-]shutdown failed: draining")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_load_loses_nothing() {
    let mut config = config();
    // A client that is kept from running for so long loses its review, as it would to any server.
    config.timeouts.drain_delay = Duration::from_secs(1);
    let server = Server::with(config).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(load(server.address, server.ca.clone(), answered.clone()));
    }
    eventually("the load is on", async || {
        answered.load(Ordering::SeqCst) > 100
    })
    .await;
    let before = answered.load(Ordering::SeqCst);
    server.shutdown.drain();
    eventually("it says so", async || is_draining(&server).await).await;
    let stub = server.stub.clone();
    assert_eq!(server.wait().await.expect("no panic"), Drained::Complete);
    while let Some(client) = clients.join_next().await {
        client.expect("no client lost a review");
    }
    let after = answered.load(Ordering::SeqCst);
    assert!(after > before, "it served on while draining");
    assert_eq!(after, stub.answered.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_review_in_flight_is_finished_and_its_connection_closed() {
    let server = Server::start().await;
    let (mut busy, idle) = (server.connect().await, server.connect().await);
    let held = tokio::spawn(async move { (busy.review("hold").await, busy.is_open().await) });
    eventually("the review is in flight", async || {
        server.stub.entered() == 1
    })
    .await;
    server.shutdown.drain();
    let address = server.address;
    eventually("nothing is accepted any more", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    server.stub.release(1);
    let (answer, open) = held.await.expect("no panic");
    let answer = answer.expect("it is finished");
    assert_eq!(
        (answer.status.as_u16(), answer.header("connection"), open),
        (200, "close", false)
    );
    drop(idle);
    assert_eq!(server.wait().await.expect("no panic"), Drained::Complete);
}

#[tokio::test]
async fn what_does_not_finish_is_cut_at_the_deadline() {
    let mut config = config();
    config.timeouts.drain_deadline = Duration::from_millis(50);
    let server = Server::with(config).await;
    let mut client = server.connect().await;
    let held = tokio::spawn(async move { client.review("hold").await });
    eventually("the review is in flight", async || {
        server.stub.entered() == 1
    })
    .await;
    server.shutdown.drain();
    assert_eq!(
        server.wait().await.expect("no panic"),
        Drained::Deadline { cut: 1 }
    );
    assert!(
        held.await.expect("no panic").is_err(),
        "the connection is cut"
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut config = config();
    config.timeouts.drain_delay = Duration::from_hours(1);
    let server = Server::with(config).await;
    server.shutdown.drain();
    eventually("it drains", async || is_draining(&server).await).await;
    server.shutdown.abort();
    assert_eq!(server.wait().await.expect("no panic"), Drained::Aborted);
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_at_once() {
    let signal = || {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status();
        assert!(sent.expect("there is a kill command").success());
    };
    let mut config = config();
    config.timeouts.drain_delay = Duration::from_hours(1);
    // From here on the signal does not end the process of the tests.
    let shutdown = Shutdown::on_signals().expect("the handlers are installed");
    let server = Server::ended_by(config, shutdown).await;
    signal();
    eventually("it drains", async || is_draining(&server).await).await;
    signal();
    assert_eq!(server.wait().await.expect("no panic"), Drained::Aborted);
}
