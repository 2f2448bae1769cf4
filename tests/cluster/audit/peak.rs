//! A command, and the most memory it had.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Runs it to its end. The peak is in kB, and is looked at every few milliseconds.
pub(super) fn run(command: &mut Command) -> (Output, u64) {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(read(&status).unwrap_or_default());
                thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let output = child.wait_with_output().expect("it can be waited for");
        ended.store(true, Ordering::Relaxed);
        (output, looking.join().expect("it looks on"))
    })
}

fn read(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
