//! Whether podgate is ready, as a register of named conditions that must all hold.
//! The text is the one that `/readyz?verbose` of Kubernetes' own components prints.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

/// One named thing that must hold before reviews may be sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It holds; the note may say more, or be empty.
    Ok(String),
    /// It does not hold, and why.
    Failed(String),
}

/// The register. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<(&'static str, Probe)>>>);

/// A condition that its owner sets. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Switch(Arc<Mutex<Condition>>);

/// What [`Readiness::report`] saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// All conditions hold.
    pub ready: bool,
    /// One line a condition, and a last line with the result.
    pub text: String,
}

type Probe = Arc<dyn Fn() -> Condition + Send + Sync>;

// === impl Readiness ===

impl Readiness {
    /// Adds a condition that is computed whenever somebody asks; it must be quick.
    pub fn require(
        &self,
        name: &'static str,
        probe: impl Fn() -> Condition + Send + Sync + 'static,
    ) {
        lock(&self.0).push((name, Arc::new(probe)));
    }

    /// Adds a condition that is set through the returned switch.
    #[must_use]
    pub fn switch(&self, name: &'static str, initial: Condition) -> Switch {
        let switch = Switch(Arc::new(Mutex::new(initial)));
        let probed = switch.clone();
        self.require(name, move || probed.get());
        switch
    }

    /// Asks every condition. No condition at all is not ready: nothing has been started.
    #[must_use]
    pub fn report(&self) -> Report {
        let conditions = lock(&self.0).clone();
        let mut ready = !conditions.is_empty();
        let mut text = String::new();
        for (name, probe) in conditions {
            // Writing into a `String` cannot fail.
            let _ = match probe() {
                Condition::Ok(note) if note.is_empty() => writeln!(text, "[+]{name} ok"),
                Condition::Ok(note) => writeln!(text, "[+]{name} ok: {note}"),
                Condition::Failed(reason) => {
                    ready = false;
                    writeln!(text, "[-]{name} failed: {reason}")
                }
            };
        }
        text.push_str(if ready {
            "readyz check passed\n"
        } else {
            "readyz check failed\n"
        });
        Report { ready, text }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.report()).finish()
    }
}

// === impl Switch ===

impl Switch {
    /// Sets the condition.
    pub fn set(&self, condition: Condition) {
        *lock(&self.0) = condition;
    }

    /// The condition as it was last set.
    #[must_use]
    pub fn get(&self) -> Condition {
        lock(&self.0).clone()
    }
}

/// Nothing here is ever left half-changed, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_ready_with_nothing_registered() {
        assert!(!Readiness::default().report().ready);
    }

    #[test]
    fn names_what_failed_and_why() {
        let readiness = Readiness::default();
        let listener = readiness.switch("listener", Condition::Failed("not tried yet".into()));
        readiness.require("policies", || Condition::Ok("3 in force".into()));
        assert_eq!(
            readiness.report().text,
            "[-]listener failed: not tried yet\n[+]policies ok: 3 in force\nreadyz check failed\n"
        );
        listener.set(Condition::Ok(String::new()));
        let report = readiness.report();
        assert!(report.ready);
        assert_eq!(
            report.text,
            "[+]listener ok\n[+]policies ok: 3 in force\nreadyz check passed\n"
        );
    }
}
