//! Clients that mean harm, in a process of their own.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::{interval, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, RootCertStore};

use super::CONNECTIONS;
use super::subject::{NAME, Subject, connector, tcp, tls};

/// The first argument of the process that attacks.
pub(crate) const ARGUMENT: &str = "attack";

/// Connections that are opened in a second, at most, unless another number is given.
pub(crate) const RATE: usize = 3000;

/// The most that podgate reads.
const LARGE: usize = 7 * 1024 * 1024;

const HEAD: &str =
    "POST /validate?timeout=30s HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Nobody: how far two measurements differ by themselves.
    None,
    /// TCP connections that say nothing.
    Silent,
    /// Handshakes that stop in the middle of the first message.
    HalfHello,
    /// TLS connections that say nothing.
    Idle,
    /// A head that comes byte by byte.
    SlowHead,
    /// A large body that comes byte by byte.
    Trickle,
    /// The most that is set aside for, and then nothing.
    Stuck,
    /// Valid reviews of 7 MiB without pause.
    Large,
    /// Reviews of 7 MiB full of containers.
    Containers,
    /// Reviews of 7 MiB with as many findings as podgate keeps.
    Findings,
    /// First messages of TLS that make the server compute, and no more.
    Handshakes,
    /// Random bytes, on TCP.
    Garbage,
    /// Random bytes, inside of TLS.
    GarbageInside,
    /// One valid review on each connection, which then lies idle.
    Liars,
}

#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Elsewhere,
    Same,
}

pub(crate) struct Attackers(Child);

/// What all attackers of the process share.
struct Plan {
    attack: Attack,
    address: SocketAddr,
    connector: TlsConnector,
    hello: Vec<u8>,
    body: Vec<u8>,
    rate: Semaphore,
    opened: Cell<usize>,
}

// === impl Attack ===

impl Attack {
    pub(crate) const ALL: [Self; 14] = [
        Self::None,
        Self::Silent,
        Self::HalfHello,
        Self::Idle,
        Self::SlowHead,
        Self::Trickle,
        Self::Stuck,
        Self::Large,
        Self::Containers,
        Self::Findings,
        Self::Handshakes,
        Self::Garbage,
        Self::GarbageInside,
        Self::Liars,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Silent => "silent",
            Self::HalfHello => "half-hello",
            Self::Idle => "idle",
            Self::SlowHead => "slow-head",
            Self::Trickle => "trickle",
            Self::Stuck => "stuck",
            Self::Large => "large",
            Self::Containers => "containers",
            Self::Findings => "findings",
            Self::Handshakes => "handshakes",
            Self::Garbage => "garbage",
            Self::GarbageInside => "garbage-inside",
            Self::Liars => "liars",
        }
    }

    fn connections(self) -> usize {
        match self {
            Self::None => 0,
            Self::Large | Self::Containers | Self::Findings => 32,
            _ => CONNECTIONS,
        }
    }
}

// === impl Origin ===

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Same => "same",
        }
    }
}

// === impl Attackers ===

impl Attackers {
    pub(crate) fn start(
        attack: Attack,
        origin: Origin,
        rate: usize,
        subject: &Subject,
    ) -> Result<Self, Box<dyn Error>> {
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .args([ARGUMENT, attack.name(), origin.name()])
            .args([&rate.to_string(), &subject.address.to_string(), &subject.ca])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    /// Ends them. The number of connections that they opened.
    pub(crate) fn end(mut self) -> Result<String, Box<dyn Error>> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// What the process of the attackers does, until its standard input ends.
pub(crate) async fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [attack, origin, per_second, address, ca] = args else {
        return Err("the attackers are started by the benchmark".into());
    };
    let attack = Attack::ALL.into_iter().find(|one| one.name() == attack);
    let attack = attack.ok_or("there is no such attack")?;
    let per_tick = (per_second.parse::<usize>()? / 100).max(1);
    let first = if origin == Origin::Same.name() { 1 } else { 2 };
    let addresses = if first == 1 { 1 } else { 8 };
    let plan = Rc::new(Plan {
        attack,
        address: address.parse()?,
        connector: connector(ca),
        hello: hello()?,
        body: match attack {
            Attack::Containers => review("\"spec\":{\"containers\":[{}", ",{}", "]}"),
            Attack::Findings => {
                let container = format!(",{{\"env\":[\"{}\"]}}", "x".repeat(LARGE / 700));
                review("\"spec\":{\"containers\":[{}", &container, "]}")
            }
            _ => review("\"metadata\":{\"annotations\":{\"a\":\"", "x", "\"}}"),
        },
        rate: Semaphore::new(0),
        opened: Cell::new(0),
    });
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = end.send(());
    });
    let local = LocalSet::new();
    for number in 0..attack.connections() {
        let from = first + u8::try_from(number % addresses)?;
        let plan = plan.clone();
        local.spawn_local(async move {
            loop {
                if let Ok(permit) = plan.rate.acquire().await {
                    permit.forget();
                }
                // Whatever becomes of it: the next one comes.
                let _ = plan.once(Ipv4Addr::new(127, 0, 0, from)).await;
            }
        });
    }
    let rate = plan.clone();
    local.spawn_local(async move {
        let mut tick = interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            if rate.rate.available_permits() < per_tick {
                rate.rate.add_permits(per_tick);
            }
        }
    });
    let _ = local.run_until(ended).await;
    println!("{}", plan.opened.get());
    // Not each of them in good order.
    std::process::exit(0);
}

// === impl Plan ===

impl Plan {
    /// One connection, until the server ends it.
    async fn once(&self, from: Ipv4Addr) -> io::Result<()> {
        let mut tcp = tcp(from, self.address).await?;
        self.opened.set(self.opened.get() + 1);
        match self.attack {
            Attack::Silent => return wait(&mut tcp).await,
            Attack::HalfHello => {
                tcp.write_all(&self.hello[..40]).await?;
                return wait(&mut tcp).await;
            }
            Attack::Handshakes => {
                tcp.write_all(&self.hello).await?;
                // The answer, and away.
                return tcp.read_u8().await.map(drop);
            }
            Attack::Garbage => {
                tcp.write_all(&self.garbage()).await?;
                return wait(&mut tcp).await;
            }
            _ => {}
        }
        let mut stream = tls(&self.connector, tcp).await?;
        match self.attack {
            Attack::SlowHead => trickle(&mut stream, HEAD).await,
            Attack::Trickle | Attack::Stuck => {
                let head = format!("{HEAD}Content-Length: {LARGE}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&self.body[..40_000]).await?;
                stream.flush().await?;
                if self.attack == Attack::Trickle {
                    trickle(&mut stream, &"x".repeat(100_000)).await?;
                }
                wait(&mut stream).await
            }
            Attack::Large | Attack::Containers | Attack::Findings => loop {
                let head = format!("{HEAD}Content-Length: {}\r\n\r\n", self.body.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&self.body).await?;
                stream.flush().await?;
                let mut answer = [0; 4096];
                if stream.read(&mut answer).await? == 0 {
                    return Ok(());
                }
            },
            Attack::GarbageInside => {
                stream.write_all(&self.garbage()).await?;
                stream.flush().await?;
                wait(&mut stream).await
            }
            Attack::Liars => {
                let review = include_str!("../../reviews/003-create-pods.json");
                let head = format!("{HEAD}Content-Length: {}\r\n\r\n", review.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(review.as_bytes()).await?;
                stream.flush().await?;
                wait(&mut stream).await
            }
            _ => wait(&mut stream).await,
        }
    }

    /// Other bytes each time, and the same in each run.
    fn garbage(&self) -> Vec<u8> {
        let mut state = self.opened.get() as u64 + 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..4096).map(byte).collect()
    }
}

async fn wait(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    let mut answer = [0; 1024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

async fn trickle(
    stream: &mut tokio_rustls::client::TlsStream<TcpStream>,
    text: &str,
) -> io::Result<()> {
    for byte in text.bytes() {
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        sleep(Duration::from_millis(900)).await;
    }
    Ok(())
}

fn hello() -> Result<Vec<u8>, Box<dyn Error>> {
    podgate::server::install_crypto_provider();
    let config = tokio_rustls::rustls::ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(NAME)?)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok(hello)
}

/// A review of a Pod as large as podgate reads.
fn review(begin: &str, repeated: &str, end: &str) -> Vec<u8> {
    let mut text = format!(
        "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\"uid\":\"1\",\
         \"kind\":{{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}},\
         \"resource\":{{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"}},\
         \"requestKind\":{{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}},\
         \"requestResource\":{{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"}},\
         \"name\":\"a\",\"namespace\":\"a\",\"operation\":\"CREATE\",\"userInfo\":{{}},\
         \"object\":{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",{begin}"
    );
    let tail = format!("{end}}},\"oldObject\":null,\"dryRun\":false,\"options\":null}}}}");
    while text.len() + tail.len() + repeated.len() < LARGE {
        text += repeated;
    }
    (text + &tail).into_bytes()
}
