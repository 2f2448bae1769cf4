//! Clients in earnest, and what they see.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::subject::{NAME, Subject, connector, tcp, tls};

/// As an API server sent it.
const REVIEW: &[u8] = include_bytes!("../../reviews/003-create-pods.json");

const KEPT: usize = 4;
const KEPT_PAUSE: Duration = Duration::from_millis(2);
const FRESH_PAUSE: Duration = Duration::from_millis(25);

/// As an API server that is configured with `timeoutSeconds: 5`.
const TOO_LATE: Duration = Duration::from_secs(5);

/// Times of one kind of client.
#[derive(Default)]
pub(crate) struct Times {
    times: Vec<Duration>,
    pub(crate) failed: usize,
}

pub(crate) struct Measured {
    pub(crate) kept: Times,
    pub(crate) fresh: Times,
}

struct Client {
    connector: TlsConnector,
    address: std::net::SocketAddr,
    request: Vec<u8>,
    stream: Option<TlsStream<TcpStream>>,
}

// === impl Times ===

impl Times {
    /// The time in milliseconds that so many per cent did not exceed.
    pub(crate) fn at(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    pub(crate) fn total(&self) -> usize {
        self.times.len() + self.failed
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.times.sort_unstable();
        self.failed += other.failed;
    }
}

// === impl Client ===

impl Client {
    /// One review, on the connection that there is or on a new one.
    async fn review(&mut self) -> Result<(), Box<dyn Error>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                tls(
                    &self.connector,
                    tcp(Ipv4Addr::LOCALHOST, self.address).await?,
                )
                .await?
            }
        };
        stream.write_all(&self.request).await?;
        stream.flush().await?;
        let mut answer = Vec::with_capacity(4096);
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("it closed".into());
            }
            if is_complete(&answer) {
                break;
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&answer).into());
        }
        self.stream = Some(stream);
        Ok(())
    }

    async fn run(mut self, pause: Duration, keep: bool, until: Instant) -> Times {
        let mut times = Times::default();
        let mut pause = interval(pause);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if keep {
            // The handshake is not part of what is measured.
            let _ = self.review().await;
        }
        while Instant::now() < until {
            pause.tick().await;
            let begun = Instant::now();
            if !keep {
                self.stream = None;
            }
            match timeout(TOO_LATE, self.review()).await {
                Ok(Ok(())) => times.times.push(begun.elapsed()),
                Ok(Err(error)) => {
                    if times.failed == 0 {
                        eprintln!("a good client failed: {error}");
                    }
                    times.failed += 1;
                }
                Err(_) => times.failed += 1,
            }
        }
        times
    }
}

pub(crate) async fn measure(subject: &Subject, time: Duration) -> Result<Measured, Box<dyn Error>> {
    let until = Instant::now() + time;
    let head = format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nHost: {NAME}:443\r\nUser-Agent: kube-apiserver-admission\r\n\
         Content-Length: {}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        REVIEW.len()
    );
    let connector = connector(&subject.ca);
    let client = || Client {
        connector: connector.clone(),
        address: subject.address,
        request: [head.as_bytes(), REVIEW].concat(),
        stream: None,
    };
    let fresh = tokio::spawn(client().run(FRESH_PAUSE, false, until));
    let kept: Vec<_> = (0..KEPT)
        .map(|_| tokio::spawn(client().run(KEPT_PAUSE, true, until)))
        .collect();
    let mut measured = Measured {
        kept: Times::default(),
        fresh: Times::default(),
    };
    measured.fresh.add(fresh.await?);
    for kept in kept {
        measured.kept.add(kept.await?);
    }
    Ok(measured)
}

fn is_complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    answer.len() >= head + 4 + length
}
