//! The podgate that is attacked: its own binary, with nothing but its defaults.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name that an API server asks for.
pub(crate) const NAME: &str = "podgate.podgate-system.svc";

pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    pub(crate) ca: String,
    child: Child,
}

/// What it says of itself.
pub(crate) struct Figures {
    pub(crate) peak_mib: u64,
    pub(crate) connections: u64,
    pub(crate) closed: u64,
}

// === impl Subject ===

impl Subject {
    pub(crate) fn start(server: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(server.unwrap_or(env!("CARGO_BIN_EXE_podgate")))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .args(["--drain-delay", "0s", "--drain-deadline", "1s"])
            .env_remove("KUBECONFIG")
            .env("PODGATE_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it is piped")?;
        let (mut addresses, mut ca) = (Vec::new(), String::new());
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let address = |text: &str| {
                let text = line.split_once(text)?.1;
                text.split_once('/')?.0.parse::<SocketAddr>().ok()
            };
            addresses.extend(address("podgate serves https://"));
            addresses.extend(address("metrics: http://"));
            if line.starts_with("-----BEGIN") || !ca.is_empty() {
                ca += &line;
                ca.push('\n');
            }
            if line.starts_with("-----END") {
                break;
            }
        }
        let [address, admin] = addresses[..] else {
            return Err("podgate does not say where it serves".into());
        };
        Ok(Self {
            address,
            admin,
            ca,
            child,
        })
    }

    /// The peak of its memory begins anew.
    pub(crate) fn forget_peak(&self) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(self.proc("clear_refs"), "5")?)
    }

    pub(crate) async fn figures(&self) -> Result<Figures, Box<dyn Error>> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak: u64 = peak
            .unwrap_or_default()
            .trim()
            .trim_end_matches(" kB")
            .parse()?;
        let mut stream = TcpStream::connect(self.admin).await?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let metric = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok())
                .unwrap_or(0)
        };
        Ok(Figures {
            peak_mib: peak / 1024,
            connections: metric("podgate_connections "),
            closed: metric("podgate_strangers_closed_total ")
                + metric("podgate_proven_closed_total "),
        })
    }

    pub(crate) fn end(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
    }
}

/// A client that trusts this CA.
pub(crate) fn connector(ca: &str) -> TlsConnector {
    podgate::server::install_crypto_provider();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca.as_bytes()).flatten());
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn tcp(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.set_nodelay(true)?;
    // Nothing is left behind by the thousands that are opened.
    socket.set_zero_linger()?;
    socket.connect(to).await
}

pub(crate) async fn tls(
    connector: &TlsConnector,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
    connector.connect(name, stream).await
}
