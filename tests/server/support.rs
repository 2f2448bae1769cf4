//! A server on free ports, with a stub or the real engine, and a client that trusts it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use podgate::policy::shipped;
use podgate::server::{
    Config, Drained, Health, Reviewer, ServeError, Serving, Shutdown, Timeouts, engine::Engine,
    install_crypto_provider, serve,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::stub::Stub;

/// Nothing that is waited for takes this long, on however busy a machine, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
    pub(crate) stub: Arc<Stub>,
    pub(crate) ca: String,
    serving: Serving,
}

/// One kept-alive connection.
pub(crate) struct Client(SendRequest<Full<Bytes>>);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

// === impl Server ===

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::ended_by(config, Shutdown::default()).await
    }

    pub(crate) async fn ended_by(config: Config, shutdown: Shutdown) -> Self {
        let stub = Arc::new(Stub::that_holds());
        Self::of(config, shutdown, stub.clone(), stub).await
    }

    /// With the real engine and the shipped policies; its stub stays idle.
    pub(crate) async fn judging() -> Self {
        let engine = Engine::new(shipped().expect("they are sound"), None);
        let stub = Arc::new(Stub::default());
        Self::of(config(), Shutdown::default(), Arc::new(engine), stub).await
    }

    async fn of<R: Reviewer>(
        config: Config,
        shutdown: Shutdown,
        reviewer: Arc<R>,
        stub: Arc<Stub>,
    ) -> Self {
        let health = Health::default();
        let serving = serve(config, reviewer, health.clone(), shutdown.clone())
            .await
            .expect("it starts");
        let ca = serving.ca().map(str::to_owned).unwrap_or_default();
        let (address, admin) = (serving.address(), serving.admin_address());
        Self {
            address,
            admin,
            health,
            shutdown,
            stub,
            ca,
            serving,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::over(self.tls().await.expect("the handshake succeeds")).await
    }

    pub(crate) async fn tls(&self) -> io::Result<TlsStream<TcpStream>> {
        tls(self.address, &self.ca).await
    }

    /// `GET` on the second port.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let stream = TcpStream::connect(self.admin)
            .await
            .expect("the second port is open");
        let mut client = Client::over(stream).await;
        let request = Request::get(path)
            .header("host", "podgate")
            .body(Full::default())
            .expect("it is a request");
        client.send(request).await.expect("it answers")
    }

    /// The value of one series of the metrics; zero if there is no such.
    pub(crate) async fn metric(&self, series: &str) -> i64 {
        let text = self.get("/metrics").await.text;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("it is a number"))
    }

    pub(crate) async fn wait(self) -> Result<Drained, ServeError> {
        timeout(PATIENCE, self.serving.wait())
            .await
            .expect("it ends")
    }
}

// === impl Client ===

impl Client {
    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP begins");
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        self.0.ready().await?;
        let response = timeout(PATIENCE, self.0.send_request(request))
            .await
            .expect("it answers in time")?;
        Answer::read(response).await
    }

    pub(crate) async fn review(&mut self, body: impl Into<Bytes>) -> hyper::Result<Answer> {
        self.send(post("/validate?timeout=10s", body)).await
    }

    pub(crate) async fn is_open(&mut self) -> bool {
        self.0.ready().await.is_ok()
    }
}

// === impl Answer ===

impl Answer {
    async fn read(response: Response<hyper::body::Incoming>) -> hyper::Result<Self> {
        let (head, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            text,
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("it is text"))
    }

    /// The message of the `Status` that a refusal is.
    pub(crate) fn message(&self) -> String {
        let status: serde_json::Value =
            serde_json::from_str(&self.text).expect("a refusal is JSON");
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["code"], self.status.as_u16());
        assert!(
            self.text.ends_with("}\n") && self.text.lines().count() == 1,
            "it is one line"
        );
        status["message"]
            .as_str()
            .expect("there is a message")
            .to_owned()
    }
}

/// Free ports and long times; each test shortens the one that it is about.
pub(crate) fn config() -> Config {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let timeouts = Timeouts {
        certificate_poll: Duration::from_millis(5),
        drain_delay: Duration::from_millis(50),
        ..Timeouts::default()
    };
    Config {
        listen: any,
        admin_listen: any,
        timeouts,
        ..Config::default()
    }
}

pub(crate) fn post(uri: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(uri)
        .header("host", "podgate.podgate-system.svc")
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .expect("it is a request")
}

/// A handshake by somebody who trusts this CA.
pub(crate) async fn tls(address: SocketAddr, ca: &str) -> io::Result<TlsStream<TcpStream>> {
    tls_with(address, ca, rustls::ALL_VERSIONS).await
}

pub(crate) async fn tls_with(
    address: SocketAddr,
    ca: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, ca, versions).await
}

/// As if from another machine: any address of loopback.
pub(crate) async fn tls_from(
    from: IpAddr,
    address: SocketAddr,
    ca: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    tls_over(socket.connect(address).await?, ca, rustls::ALL_VERSIONS).await
}

pub(crate) async fn tls_over(
    stream: TcpStream,
    ca: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    install_crypto_provider();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca.as_bytes()).flatten());
    let mut config = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("podgate.podgate-system.svc").expect("it is a name");
    // As Go does; otherwise every first request waits for an acknowledgement of the handshake.
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Sends bytes as they are and reads until the other side closes.
pub(crate) async fn exchange(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.expect("it takes the bytes");
    stream.flush().await.expect("it takes the bytes");
    read_to_close(stream).await
}

/// Everything until the other side closes, in good order or not.
pub(crate) async fn read_to_close(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .expect("the other side closes");
    String::from_utf8_lossy(&read).into_owned()
}

/// Waits for something to become true.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

/// What kubelet does to a mounted Secret or `ConfigMap`: a new directory, and `..data` swapped over to it.
pub(crate) fn kubelet_swap(mount: &Path, generation: &str, files: &[(&str, &str)]) {
    let directory = format!("..2026_{generation}");
    std::fs::create_dir(mount.join(&directory)).expect("a new directory");
    for (name, text) in files {
        std::fs::write(mount.join(&directory).join(name), text).expect("a new file");
    }
    let old = std::fs::read_link(mount.join("..data"));
    std::os::unix::fs::symlink(&directory, mount.join("..data_tmp")).expect("a new link");
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("the swap");
    for (name, _) in files {
        let link = mount.join(name);
        if std::fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink(Path::new("..data").join(name), link)
                .expect("a link to the file");
        }
    }
    if let Ok(old) = old {
        std::fs::remove_dir_all(mount.join(old)).expect("the old directory goes");
    }
}
