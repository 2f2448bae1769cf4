//! Chromium without a window, driven through its `DevTools` protocol over two pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Nothing takes this long, on however busy a machine, unless it never comes.
const PATIENCE: Duration = Duration::from_mins(1);

const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/html/chromium.sh");

/// A browser with one page; dropping it ends it.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    page: Option<Value>,
    session: Option<String>,
    calls: u64,
    events: Vec<Value>,
    /// What it remembers, for as long as it runs.
    _profile: tempfile::TempDir,
}

// === impl Browser ===

impl Browser {
    /// One for all tests that run at the same time, the last of which ends it.
    ///
    /// `None`, and says so, where there is none and it cannot be installed; in CI that is a failure.
    pub(crate) fn shared() -> Option<Arc<Mutex<Self>>> {
        static SHARED: Mutex<Weak<Mutex<Browser>>> = Mutex::new(Weak::new());
        static PROGRAM: OnceLock<Option<&str>> = OnceLock::new();
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(browser) = shared.upgrade() {
            return Some(browser);
        }
        let program = PROGRAM.get_or_init(program).as_deref()?;
        let browser = Arc::new(Mutex::new(Self::start(program)));
        *shared = Arc::downgrade(&browser);
        Some(browser)
    }

    /// Waits for its turn, and begins with a new page.
    pub(crate) fn turn(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        // What a failed test left behind goes with its page.
        let mut browser = shared.lock().unwrap_or_else(PoisonError::into_inner);
        browser.renew();
        browser
    }

    fn start(program: &str) -> Self {
        let profile = tempfile::tempdir().expect("there is room for a profile");
        // It reads from descriptor 3 and writes to 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-extensions",
                "--disable-dev-shm-usage",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let input = child.stdin.take().expect("it is piped");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|it| it > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    break;
                };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        Self {
            child,
            input,
            messages,
            page: None,
            session: None,
            calls: 0,
            events: Vec::new(),
            _profile: profile,
        }
    }

    fn renew(&mut self) {
        self.session = None;
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let page = target["targetId"].clone();
        if let Some(old) = self.page.replace(page.clone()) {
            self.call("Target.closeTarget", &json!({"targetId": old}));
        }
        let attached = self.call(
            "Target.attachToTarget",
            &json!({"targetId": page, "flatten": true}),
        );
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Opens a file, with that behind the `#`, and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path, fragment: &str) {
        // Another fragment alone would load nothing.
        self.navigate("about:blank");
        self.navigate(&format!("file://{}#{fragment}", file.display()));
    }

    fn navigate(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", &json!({"url": url}));
        let deadline = Instant::now() + PATIENCE;
        while !self
            .events
            .iter()
            .any(|it| it["method"] == "Page.loadEventFired")
        {
            let message = self.receive(deadline);
            self.events.push(message);
        }
    }

    /// Follows a link within the page.
    pub(crate) fn follow(&mut self, fragment: &str) {
        let fragment = json!(fragment);
        self.evaluate(&format!(
            "new Promise((done) => {{
                addEventListener('hashchange', () => setTimeout(done), {{ once: true }});
                location.hash = {fragment};
            }})"
        ));
    }

    /// The value of an expression in the page, once it is known.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// The width of its window, as that of a phone or of a desk.
    pub(crate) fn resize(&mut self, width: u64) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}),
        );
    }

    /// `light` or `dark` as its reader prefers it, on `screen` or `print`.
    pub(crate) fn prefer(&mut self, scheme: &str, media: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({"media": media, "features": features}),
        );
    }

    /// Ends all scripts of what is opened from now on.
    pub(crate) fn without_scripts(&mut self) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": true}),
        );
    }

    /// Everything that was asked for since the last [`Self::open`].
    pub(crate) fn requests(&self) -> Vec<&str> {
        let sent = self
            .events
            .iter()
            .filter(|it| it["method"] == "Network.requestWillBeSent");
        sent.filter_map(|it| it["params"]["request"]["url"].as_str())
            .collect()
    }

    /// Everything that it had to complain about since, or that the page wrote to its console.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let complains = [
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        ];
        let is_one = |it: &&Value| complains.iter().any(|method| it["method"] == *method);
        self.events.iter().filter(is_one).collect()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(deadline);
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn receive(&self, deadline: Instant) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.messages
            .recv_timeout(left)
            .expect("the browser answers in time")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // All that it started are of its group; it may have ended already.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn program() -> Option<&'static str> {
    let found = || {
        ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find(|it| {
                let version = Command::new(it).arg("--version").output();
                version.is_ok_and(|it| it.status.success())
            })
    };
    if let Some(program) = found() {
        return Some(program);
    }
    let installed = Command::new("sh").arg(INSTALL).output();
    if let Some(program) = found() {
        return Some(program);
    }
    let why = match installed {
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("SKIPPED: there is no Chromium to open the HTML page with ({why})");
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("{message}");
    None
}
