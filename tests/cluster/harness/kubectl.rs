//! The real kubectl, and what it printed.

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// kubectl with one identity towards one control plane.
#[derive(Clone, Debug)]
pub struct Kubectl {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    /// Discovery answers are kept here, so that one call asks and the next ones do not.
    pub cache: PathBuf,
}

/// One finished kubectl call. Its assertions print the whole of it when they fail.
#[derive(Debug)]
#[must_use = "a kubectl call that nobody looks at can fail unseen"]
pub struct Output {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub status: ExitStatus,
}

// === impl Kubectl ===

impl Kubectl {
    /// Runs kubectl with these arguments.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs kubectl with `input` on its standard input, for `-f -`.
    pub fn run_with_input<S: AsRef<str>>(&self, arguments: &[S], input: &str) -> Output {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let mut child = self
            .command()
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        // kubectl may end without reading it all; its own words say why.
        drop(
            child
                .stdin
                .take()
                .expect("asked for a pipe")
                .write_all(input.as_bytes()),
        );
        let output = child.wait_with_output().expect("kubectl can be waited for");
        Output {
            command: format!("kubectl {}", arguments.join(" ")),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        }
    }

    /// A command with the identity set and nothing of the caller's own configuration.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", &self.cache)
            .env("NO_COLOR", "1");
        // An editor or a differ of the caller must not change what a test sees.
        command
            .env_remove("KUBERC")
            .env_remove("KUBECTL_EXTERNAL_DIFF");
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .arg("--request-timeout=30s");
        command
    }
}

// === impl Output ===

impl Output {
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Fails the test unless kubectl succeeded.
    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        assert!(self.succeeded(), "this should have succeeded\n{self}");
        self
    }

    /// Fails the test unless kubectl failed.
    #[track_caller]
    pub fn expect_failure(&self) -> &Self {
        assert!(!self.succeeded(), "this should have failed\n{self}");
        self
    }

    /// Fails the test unless standard error contains `text`.
    #[track_caller]
    pub fn expect_stderr(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "standard error should contain {text:?}\n{self}"
        );
        self
    }

    /// Standard output as JSON, for `-o json`.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        self.expect_success();
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON: {error}\n{self}"))
    }

    /// The `Status` with which the API server refused something, as kubectl logs it from `-v=5` on.
    #[track_caller]
    pub fn status_object(&self) -> serde_json::Value {
        let (_, logged) = self
            .stderr
            .split_once("server response object: ")
            .unwrap_or_else(|| panic!("no response of the API server\n{self}"));
        // Whatever is logged or printed after it is no part of it.
        serde_json::Deserializer::from_str(logged)
            .into_iter()
            .next()
            .and_then(Result::ok)
            .unwrap_or_else(|| panic!("the response of the API server is not JSON\n{self}"))
    }

    /// The warnings kubectl printed, without their `Warning: `.
    pub fn warnings(&self) -> Vec<&str> {
        self.stderr
            .lines()
            .filter_map(|line| line.strip_prefix("Warning: "))
            .collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            stdout,
            stderr,
            status,
        } = self;
        write!(f, "$ {command}\n{stdout}{stderr}[{status}]")
    }
}
