//! The binary, running: what it answers, and what each of its surfaces says.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::body::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::binary::serve;
use super::judged::pod_review;
use super::support::{Answer, Client, eventually, post, tls};

/// A running podgate. Its end is the end of the test.
pub(crate) struct Podgate {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    ca: String,
    log: TempDir,
}

// === impl Podgate ===

impl Podgate {
    /// Started on the directory; returns when it is ready.
    pub(crate) async fn start(policies: &Path) -> Self {
        Self::start_with(policies, |_| ()).await
    }

    /// As [`Self::start`], with something else about the command.
    pub(crate) async fn start_with(policies: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let log = TempDir::new().expect("a directory");
        let stderr = File::create(log.path().join("log")).expect("a file");
        let path = policies.to_str().expect("the path is text");
        let mut command = serve(&["--policies", path, "--poll", "20ms"]);
        change(&mut command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("podgate starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut greeting = String::new();
        for line in stdout.lines().map_while(Result::ok) {
            greeting += &line;
            greeting.push('\n');
            if line == "-----END CERTIFICATE-----" {
                break;
            }
        }
        let address = |scheme: &str| {
            let (_, rest) = greeting
                .split_once(scheme)
                .expect("it says where it listens");
            let address = rest.split('/').next().expect("there is a first part");
            address.parse().expect("it is an address")
        };
        let podgate = Self {
            address: address("https://"),
            admin: address("http://"),
            ca: greeting[greeting.find("-----BEGIN").expect("it names its CA")..].to_owned(),
            child,
            log,
        };
        eventually("it is ready", async || {
            podgate.get("/readyz").await.status == 200
        })
        .await;
        podgate
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let stream = TcpStream::connect(self.admin).await.expect("it connects");
        let request = Request::get(path)
            .header("host", "podgate")
            .body(Full::default());
        let request = request.expect("it is a request");
        Client::over(stream)
            .await
            .send(request)
            .await
            .expect("it answers")
    }

    /// What is answered to a review of this Pod.
    pub(crate) async fn answered(&self, pod: &str) -> String {
        let review = post("/validate?timeout=10s", pod_review(pod));
        self.send(review).await.text
    }

    /// What is answered to this, whatever it is.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = tls(self.address, &self.ca)
            .await
            .expect("the handshake succeeds");
        let mut client = Client::over(stream).await;
        client.send(request).await.expect("it answers")
    }

    /// The status code of the denial of this Pod; none if it is let in.
    pub(crate) async fn verdict(&self, pod: &str) -> Option<u64> {
        let answer: Value =
            serde_json::from_str(&self.answered(pod).await).expect("an answer is JSON");
        let allowed = answer["response"]["allowed"].as_bool().expect("it says so");
        let code = answer["response"]["status"]["code"].as_u64();
        assert_eq!(allowed, code.is_none(), "{answer}");
        code
    }

    /// What `/readyz?verbose` says of the policies. It stays ready whatever happens to them.
    pub(crate) async fn said(&self) -> String {
        let answer = self.get("/readyz?verbose").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
            .text
            .lines()
            .next()
            .expect("there is a first line")
            .to_owned()
    }

    pub(crate) async fn says(&self, text: &str) {
        eventually(text, async || self.said().await.contains(text)).await;
    }

    pub(crate) async fn metrics(&self, expected: &[&str]) {
        let text = self.get("/metrics").await.text;
        for line in expected {
            assert!(
                text.lines().any(|found| found == *line),
                "{line} is not in\n{text}"
            );
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path().join("log")).expect("there is a log")
    }
}

impl Drop for Podgate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
