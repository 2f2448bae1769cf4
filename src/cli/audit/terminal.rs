//! What the terminal is like, and the line of progress in it.

use std::io::{IsTerminal, Write as _, stderr};
use std::time::{Duration, Instant};

use crate::output::text;
use crate::report::Progress;

/// The width where there is no terminal to ask.
const WIDTH: usize = 120;
/// Between two looks of a person.
const EVERY: Duration = Duration::from_millis(100);

/// One line on standard error that is written over and over; silent where nobody looks.
pub(super) struct Line {
    is_shown: bool,
    started: Instant,
    last: Option<Instant>,
}

// === impl Line ===

impl Line {
    pub(super) fn new() -> Self {
        Self {
            is_shown: stderr().is_terminal(),
            started: Instant::now(),
            last: None,
        }
    }

    pub(super) fn show(&mut self, progress: Progress<'_>) {
        if !self.is_shown || self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let told = told(progress, self.started.elapsed());
        let _ = write!(stderr(), "\r\x1b[K{told}");
    }

    pub(super) fn clear(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn told(progress: Progress<'_>, elapsed: Duration) -> String {
    let Progress {
        what,
        done,
        remaining,
        total,
    } = progress;
    let rate = total as f64 / elapsed.as_secs_f64().max(0.001);
    let of = remaining.map_or(String::new(), |more| format!(" of {}", done + more));
    let left = remaining
        .filter(|_| rate >= 1.0)
        .map_or(String::new(), |more| {
            format!(", {} s left of these", (more as f64 / rate).ceil() as u64)
        });
    format!("{what}: {done}{of}; {total} objects, {rate:.0} a second{left}")
}

/// Text from outside on one line.
pub(super) fn clean(it: &str) -> String {
    text::clean(it, 1000)
}

/// How wide the terminal is.
pub(super) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_what_how_far_how_fast_and_how_long() {
        let progress = Progress {
            what: "pods",
            done: 250,
            remaining: Some(750),
            total: 500,
        };
        assert_eq!(
            told(progress, Duration::from_secs(1)),
            "pods: 250 of 1000; 500 objects, 500 a second, 2 s left of these"
        );
    }
}
