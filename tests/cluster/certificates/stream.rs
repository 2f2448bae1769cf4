//! A steady stream of requests through the API server, every answer of which is compared with the expected one.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use kube::Client;
use serde_json::Value;

use super::replicas::{Own, pod};

/// Requests under way at any moment.
const AT_ONCE: usize = 4;

/// Requests until [`Stream::end`].
pub struct Stream {
    stop: Arc<AtomicBool>,
    runs: JoinHandle<Seen>,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: usize,
    /// Admitted although the policy forbids it.
    pub unchecked: usize,
    /// Refused for the gate's sake, or rejected although the policy allows it, and in which words.
    pub refused: Vec<String>,
}

// === impl Stream ===

impl Stream {
    pub fn begin(own: &Own<'_>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let path = format!("/api/v1/namespaces/{}/pods?dryRun=All", own.judged.name);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        let client = runtime.block_on(own.cluster.client());
        let runs = thread::spawn(move || {
            runtime.block_on(async {
                let lanes = (0..AT_ONCE).map(|lane| run(lane, &client, &path, &stopped));
                let seen = futures_util::future::join_all(lanes).await;
                seen.into_iter().fold(Seen::default(), Seen::and)
            })
        });
        Self { stop, runs }
    }

    pub fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.runs.join().expect("no panic")
    }
}

/// One request after the other, every second of which is to be rejected.
async fn run(lane: usize, client: &Client, path: &str, stopped: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stopped.load(Ordering::SeqCst) {
        let is_privileged = seen.requests % 2 == 1;
        let pod = pod(&format!("lane-{lane}-{}", seen.requests), is_privileged);
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(pod.to_string().into_bytes())
            .expect("it is a request");
        seen.requests += 1;
        match (client.request::<Value>(request).await, is_privileged) {
            (Ok(_), false) => {}
            (Ok(_), true) => seen.unchecked += 1,
            (Err(kube::Error::Api(status)), true)
                if status.message.contains("breaks policy \"own\"") => {}
            (Err(error), _) => seen.refused.push(error.to_string()),
        }
    }
    seen
}

// === impl Seen ===

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.unchecked += other.unchecked;
        self.refused.extend(other.refused);
        self
    }

    #[track_caller]
    pub fn expect_nothing_refused(&self) {
        let mut told = format!("{} requests", self.requests);
        for refusal in self.refused.iter().take(5) {
            let _ = write!(told, "\n{refusal}");
        }
        assert!(self.requests >= 20, "{told}");
        assert_eq!((self.unchecked, self.refused.len()), (0, 0), "{told}");
    }
}
