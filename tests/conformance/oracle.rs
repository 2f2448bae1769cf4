//! The Go program in `oracle/`, which links `k8s.io/pod-security-admission`: random objects, and upstream's verdict on each.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Where `go.mod` is.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");

/// A run of the program; dropping it ends it.
pub(crate) struct Oracle {
    child: Child,
    lines: BufReader<ChildStdout>,
}

// === impl Oracle ===

impl Oracle {
    /// Starts the program at `path` on the random objects of these numbers.
    pub(crate) fn start(path: &Path, seed: u64, numbers: &Range<u64>) -> Self {
        let count = numbers.end - numbers.start;
        Self::run(
            Command::new(path)
                .args(["-seed", &seed.to_string()])
                .args(["-first", &numbers.start.to_string()])
                .args(["-cases", &count.to_string()]),
        )
    }

    /// Starts it on `count` Pods with 1,024 characters each.
    pub(crate) fn characters(path: &Path, count: u64) -> Self {
        Self::run(Command::new(path).args(["-characters", "-cases", &count.to_string()]))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line; `false` at the end.
    pub(crate) fn read(&mut self, line: &mut String) -> bool {
        line.clear();
        self.lines.read_line(line).unwrap() > 0
    }

    /// Whether it ended well, once everything is read.
    pub(crate) fn ended_well(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds it, once. `None`, and says so, without Go; in CI that is a failure.
pub(crate) fn build() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(try_build).as_deref()
}

fn try_build() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pod-security-oracle");
    let go = Command::new("go")
        .current_dir(MODULE)
        .args(["build", "-o"])
        .arg(&target)
        .arg("./oracle")
        .output();
    let output = match go {
        Ok(output) => output,
        Err(error) => {
            let message =
                format!("SKIPPED: Go does not run ({error}), so there is nothing to compare with");
            assert!(std::env::var_os("CI").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(target)
}
