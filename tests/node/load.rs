//! A steady stream of creates through the API server, of which every answer is known beforehand and compared.
//!
//! They are dry runs: webhooks are asked all the same, and nothing is left for a scheduler to do.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time};

use super::{install::LABEL, machine::Machine, pod::probe};

/// How many creates are under way at once, at most.
pub const AT_ONCE: usize = 4;

/// Between two creates of one of them.
const PACE: Duration = Duration::from_millis(20);

/// Longer than a webhook may take (5 s) twice: one mutates, one validates.
const PATIENCE: Duration = Duration::from_secs(15);

/// As many are told of each sort of answer.
const TOLD: usize = 4;

/// An object and what has to come of it.
struct Case {
    path: String,
    body: Vec<u8>,
    expected: Expected,
}

enum Expected {
    /// Admitted, with these values where the pointers say.
    Injected(&'static [(&'static str, &'static str)]),
    /// Denied, for a reason that has this in it.
    Denied(&'static str),
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Right,
    /// Admitted although it had to be denied or injected into. Never right.
    Unchecked,
    /// The API server did not get an answer from the gate.
    Refused,
    /// Nobody can be told anything while the API server is away.
    NoApiServer,
    /// Anything else.
    Wrong,
}

/// The answers to one stream.
#[derive(Default)]
pub struct Answers {
    all: Vec<(Answer, Duration)>,
    told: Vec<String>,
}

/// A stream under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Answers>>,
    runtime: Runtime,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

// === impl Load ===

impl Load {
    /// Begins; the API server is asked until [`Self::end`].
    pub fn begin(machine: &Machine) -> Self {
        let hardened = machine.namespace("load", &[(LABEL, "hardened")]);
        let shipped = machine.namespace("load", &[]);
        let cases = Arc::new(cases(&hardened.name, &shipped.name));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(client(machine));
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Mutex::new(Answers::default()));
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let tasks = (0..AT_ONCE).map(|_| {
            let (client, cases, next) = (client.clone(), Arc::clone(&cases), Arc::clone(&next));
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let case = &cases[next.fetch_add(1, Ordering::Relaxed) % cases.len()];
                    let sent = Instant::now();
                    let (answer, said) = case.try_on(&client).await;
                    answers.lock().unwrap_or_else(PoisonError::into_inner).add(
                        answer,
                        sent - begun,
                        sent.elapsed(),
                        &said,
                    );
                    time::sleep(PACE).await;
                }
            })
        });
        let tasks = tasks.collect();
        let load = Self {
            stop,
            answers,
            runtime,
            tasks,
        };
        // What follows is done to a gate that is busy.
        load.await_more(50);
        load
    }

    /// Returns when that many more creates have been answered.
    pub fn await_more(&self, count: usize) {
        let wanted = self.count() + count;
        while self.count() < wanted {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many were answered so far in that way.
    pub fn count_of(&self, answer: Answer) -> usize {
        self.lock().count(answer)
    }

    /// Waits for what is under way and returns all answers.
    pub fn end(self) -> Answers {
        self.await_more(50);
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            self.runtime
                .block_on(task)
                .expect("the load does not panic");
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *answers)
    }

    fn count(&self) -> usize {
        self.lock().all.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Answers ===

impl Answers {
    fn add(&mut self, answer: Answer, sent: Duration, took: Duration, said: &str) {
        if answer != Answer::Right && self.count(answer) < TOLD {
            self.told.push(format!(
                "{answer:?}, sent at {:.2} s, answered after {:.2} s: {said}",
                sent.as_secs_f32(),
                took.as_secs_f32()
            ));
        }
        self.all.push((answer, sent));
    }

    pub fn count(&self, answer: Answer) -> usize {
        self.all.iter().filter(|&&(it, _)| it == answer).count()
    }

    /// From the first to the last that was answered in that way, by when they were sent.
    fn span(&self, answer: Answer) -> Duration {
        let sent = || {
            self.all
                .iter()
                .filter(|&&(it, _)| it == answer)
                .map(|it| it.1)
        };
        let (first, last) = (sent().min(), sent().max());
        last.unwrap_or_default().abs_diff(first.unwrap_or_default())
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} creates, {} wrong, {} unchecked, {} refused because the gate did not answer",
            self.all.len(),
            self.count(Answer::Wrong),
            self.count(Answer::Unchecked),
            self.count(Answer::Refused)
        )?;
        if self.count(Answer::Refused) > 0 {
            write!(
                f,
                " within {:.1} s",
                self.span(Answer::Refused).as_secs_f32()
            )?;
        }
        let away = self.count(Answer::NoApiServer);
        if away > 0 {
            let span = self.span(Answer::NoApiServer).as_secs_f32();
            write!(f, ", {away} without an API server within {span:.1} s")?;
        }
        self.told.iter().try_for_each(|it| write!(f, "\n  {it}"))
    }
}

// === impl Case ===

impl Case {
    async fn try_on(&self, client: &Client) -> (Answer, String) {
        let request = http::Request::post(&self.path)
            .header("content-type", "application/json")
            .body(self.body.clone())
            .expect("a request");
        match time::timeout(PATIENCE, client.request_text(request)).await {
            Err(_) => (Answer::Wrong, format!("no answer within {PATIENCE:?}")),
            Ok(Ok(text)) => match &self.expected {
                Expected::Denied(why) => (Answer::Unchecked, format!("not denied: {why}")),
                Expected::Injected(values) => {
                    let stored: Value = serde_json::from_str(&text).unwrap_or_default();
                    let missing = values.iter().find(|&&(pointer, value)| {
                        stored.pointer(pointer).map(ToString::to_string).as_deref() != Some(value)
                    });
                    match missing {
                        None => (Answer::Right, String::new()),
                        Some((pointer, value)) => {
                            (Answer::Unchecked, format!("{pointer} is not {value}"))
                        }
                    }
                }
            },
            Ok(Err(kube::Error::Api(status))) => {
                let said = status.message;
                let denied = said.contains("denied the request");
                let answer = match &self.expected {
                    _ if said.contains("failed calling webhook") => Answer::Refused,
                    Expected::Denied(why) if denied && said.contains(why) => Answer::Right,
                    // It says so itself while it ends and begins.
                    _ if !denied && status.code >= 429 => Answer::NoApiServer,
                    _ => Answer::Wrong,
                };
                (answer, said)
            }
            Ok(Err(error)) => (Answer::NoApiServer, error.to_string()),
        }
    }
}

async fn client(machine: &Machine) -> Client {
    let kubeconfig = Kubeconfig::read_from(&machine.kubectl().kubeconfig).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

fn cases(hardened: &str, shipped: &str) -> Vec<Case> {
    let pods = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let pod = probe("load");
    let mut on_the_host = pod.clone();
    on_the_host["spec"]["hostPID"] = json!(true);
    let mut privileged = pod["spec"].clone();
    privileged["containers"][0]["securityContext"] = json!({"privileged": true});
    let labels = json!({"app": "load"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "load"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": privileged,
        }},
    });
    let deployments = format!("/apis/apps/v1/namespaces/{hardened}/deployments?dryRun=All");
    [
        (
            pods(hardened),
            &pod,
            Expected::Injected(&[
                (
                    "/spec/securityContext/seccompProfile/type",
                    "\"RuntimeDefault\"",
                ),
                ("/spec/securityContext/runAsUser", "10001"),
                (
                    "/spec/containers/0/securityContext/readOnlyRootFilesystem",
                    "true",
                ),
            ]),
        ),
        (
            pods(hardened),
            &on_the_host,
            Expected::Denied("hostNamespaces"),
        ),
        (
            pods(shipped),
            &pod,
            Expected::Injected(&[
                (
                    "/spec/securityContext/seccompProfile/type",
                    "\"RuntimeDefault\"",
                ),
                (
                    "/spec/containers/0/securityContext/allowPrivilegeEscalation",
                    "false",
                ),
            ]),
        ),
        (
            pods(shipped),
            &on_the_host,
            Expected::Denied("hostNamespaces"),
        ),
        (deployments, &deployment, Expected::Denied("privileged")),
    ]
    .map(|(path, body, expected)| Case {
        path,
        body: body.to_string().into_bytes(),
        expected,
    })
    .into()
}
