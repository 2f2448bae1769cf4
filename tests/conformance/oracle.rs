//! The Go program in `oracle/`, which links `k8s.io/pod-security-admission`: random Pods, and upstream's verdict on each.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Where `go.mod` is.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");

/// A run of the program; dropping it ends it.
pub(crate) struct Oracle {
    child: Child,
    lines: BufReader<ChildStdout>,
}

// === impl Oracle ===

impl Oracle {
    /// Starts the program at `path` on the Pods of these numbers.
    pub(crate) fn start(path: &Path, seed: u64, numbers: &Range<u64>) -> Self {
        let count = numbers.end - numbers.start;
        let mut child = Command::new(path)
            .args(["-seed", &seed.to_string()])
            .args(["-first", &numbers.start.to_string()])
            .args(["-cases", &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next verdict, as JSON; `false` at the end.
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

/// Builds it. `None`, and says so, without Go; in CI that is a failure.
pub(crate) fn build() -> Option<PathBuf> {
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
