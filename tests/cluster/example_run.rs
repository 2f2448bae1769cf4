//! `cargo run --example cluster` as a person runs it: what it prints is typed in, and Ctrl-C ends everything.
//!
//! It starts a control plane of its own beside the shared one, on other ports and in a directory of its own.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::harness::{await_until, cluster, in_ci, say};

/// The control plane may take a minute to start, the gate 20 seconds.
const START_LIMIT: Duration = Duration::from_secs(100);

/// The last thing that it prints before it waits.
const LAST: &str = "Ctrl-C ends it and removes everything.";

/// The running example. Dropped, it is killed, and what it started ends with it.
struct Example {
    child: Child,
    lines: Receiver<String>,
    /// All of its files, and those of what it started, are in here.
    directory: TempDir,
}

// === impl Example ===

impl Example {
    fn start(program: &Path) -> Self {
        let directory = TempDir::with_prefix("podgate-example-").unwrap();
        let mut child = Command::new(program)
            .env("TMPDIR", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).all(|it| it.is_ok())
        });
        Self {
            child,
            lines,
            directory,
        }
    }

    /// Everything that it prints until it waits for Ctrl-C.
    fn introduction(&self) -> Vec<String> {
        let deadline = Instant::now() + START_LIMIT;
        let mut introduction = Vec::new();
        while introduction.last().is_none_or(|it| it != LAST) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => introduction.push(line),
                Err(error) => panic!("{error}: {introduction:#?}\n{}", self.stderr()),
            }
        }
        introduction
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap()
    }

    /// What runs of it, each as its program's name and first argument, where a system tells: all of it has inherited
    /// where its files are.
    fn running(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.directory.path().display());
        let command = |process: fs::DirEntry| {
            let texts = |file| {
                let bytes = fs::read(process.path().join(file)).ok()?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Some(text.split('\0').map(str::to_owned).collect::<Vec<_>>())
            };
            let is_own = texts("environ")?.contains(&mark);
            let arguments = texts("cmdline")?;
            let name = arguments.first()?.rsplit('/').next()?;
            let first = arguments.get(1)?;
            is_own.then(|| format!("{name} {first}"))
        };
        let processes = fs::read_dir("/proc").into_iter().flatten();
        processes
            .filter_map(Result::ok)
            .filter_map(command)
            .collect()
    }

    fn interrupt(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &pid]).status();
        assert!(killed.unwrap().success());
        let mut status = None;
        await_until("the example ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What cargo has built beside this test, if it has: `cargo test` does, `cargo test --test cluster` does not.
fn built() -> Option<PathBuf> {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples/cluster");
    if example.is_file() {
        return Some(example);
    }
    assert!(!in_ci(), "{} is not there", example.display());
    say("skipped the example: it is not built; `cargo build --example cluster` does it");
    None
}

/// Each command that is printed to try, with the outcome that stands above it.
fn commands(introduction: &[String]) -> Vec<(&str, &str)> {
    let lines = introduction.windows(2).filter_map(|pair| {
        let outcome = pair[0].strip_prefix("  # ")?;
        Some((pair[1].trim(), outcome))
    });
    lines.collect()
}

#[test]
fn what_the_example_prints_can_be_typed_in_and_ctrl_c_ends_it_all() {
    // Where there is no control plane to share there is none to start.
    if cluster().is_none() {
        return;
    }
    let Some(program) = built() else { return };
    let mut example = Example::start(&program);
    let introduction = example.introduction();
    let exports = introduction.iter().map(|it| it.trim());
    let exports: Vec<&str> = exports.filter(|it| it.starts_with("export ")).collect();
    assert_eq!(exports.len(), 2, "{introduction:#?}");
    let typed = |command: &str| -> Output {
        // As in a terminal: the exports first, then the command, from the top of the repository.
        let script = format!("{}\n{command}", exports.join("\n"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::null());
        let shell = shell.current_dir(env!("CARGO_MANIFEST_DIR"));
        shell
            .env("NO_COLOR", "1")
            .env_remove("KUBERC")
            .output()
            .unwrap()
    };

    let (mut admitted, mut rejected) = (0, 0);
    for (command, outcome) in commands(&introduction) {
        let output = typed(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let all = format!("$ {command}\n{stdout}{stderr}[{}]", output.status);
        let denials = stderr
            .matches("\"gate.podgate.dev\" denied the request: ")
            .count();
        if outcome.starts_with("the four of") {
            assert_eq!(
                (denials, stdout.matches(" created\n").count()),
                (1, 1 + 3),
                "{all}"
            );
        } else if outcome.starts_with("rejected") {
            assert_eq!((denials, output.status.success()), (1, false), "{all}");
            let is_mended = stderr.contains("\n     fix: ");
            assert!(is_mended || !outcome.contains("fix"), "{all}");
            rejected += 1;
        } else {
            assert_eq!((denials, output.status.success()), (0, true), "{all}");
            let is_warned = stderr.contains("Warning: ");
            assert!(is_warned || !outcome.contains("warn"), "{outcome}: {all}");
            if let Some((_, fields)) = outcome.split_once("injected: ") {
                assert!(
                    fields.split(", ").all(|it| stdout.contains(it)),
                    "{outcome}: {all}"
                );
            }
            admitted += 1;
        }
    }
    assert_eq!((admitted, rejected), (4, 2), "{introduction:#?}");

    if cfg!(target_os = "linux") {
        let running = example.running();
        for program in [
            "etcd --",
            "kube-apiserver --",
            "kubectl --",
            "cluster serve",
        ] {
            let runs = running.iter().any(|it| it.starts_with(program));
            assert!(runs, "{program} is not in {running:#?}");
        }
    }
    let status = example.interrupt();
    assert!(status.success(), "{status}\n{}", example.stderr());
    let directory = example.directory.path();
    await_until("everything that it started has ended", || {
        example.running().is_empty()
    });
    await_until("it has removed its files", || {
        // What is left is what this test put there.
        fs::read_dir(directory).unwrap().count() == 1
    });
}
