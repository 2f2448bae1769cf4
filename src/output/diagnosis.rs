//! What the doctor saw of an installed gate, as one plain model: to be shown to people, and to be written as JSON.
//!
//! Whatever could not be looked at is an observation of its own, of severity `unknown`: never silently fine.

pub mod human;

use std::io::{self, Write};

use serde::Serialize;

use super::results::API_VERSION;
use super::text::count;

/// The kind of a diagnosis.
pub const KIND: &str = "Diagnosis";

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    api_version: &'static str,
    kind: &'static str,
    /// The version of the podgate that looked.
    pub podgate: String,
    /// The namespace in which the gate was looked for.
    pub namespace: String,
    /// True if everything could be looked at.
    pub complete: bool,
    /// How many observations there are of each severity.
    pub summary: Summary,
    /// Checks that were left out because somebody asked for that.
    pub skipped: Vec<String>,
    /// The observations, worst first.
    pub observations: Vec<Observation>,
}

/// How many observations there are of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(
    missing_docs,
    reason = "each is documented by the severity of that name"
)]
pub struct Summary {
    pub error: usize,
    pub warning: usize,
    pub unknown: usize,
    pub note: usize,
    pub ok: usize,
}

/// What a check saw at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// Which check.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The object, as people name it.
    #[serde(rename = "where")]
    pub place: String,
    /// What is so.
    pub what: String,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// A command that mends it, or shows more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// How bad an observation is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The gate does not work, or lets Pods in unchecked.
    Error,
    /// It works, and something will break it or weakens it.
    Warning,
    /// It could not be looked at.
    Unknown,
    /// Worth knowing.
    Note,
    /// As it should be.
    Ok,
}

// === impl Diagnosis ===

impl Diagnosis {
    /// Of these observations, without those of the checks that are to be skipped.
    #[must_use]
    pub fn new(namespace: &str, skipped: &[String], mut observations: Vec<Observation>) -> Self {
        observations.retain(|it| !skipped.iter().any(|check| check == it.check));
        // Stable: of one severity, in the order of the checks.
        observations.sort_by_key(|it| it.severity);
        let of = |severity| {
            let same = observations.iter().filter(|it| it.severity == severity);
            same.count()
        };
        let summary = Summary {
            error: of(Severity::Error),
            warning: of(Severity::Warning),
            unknown: of(Severity::Unknown),
            note: of(Severity::Note),
            ok: of(Severity::Ok),
        };
        Self {
            api_version: API_VERSION,
            kind: KIND,
            podgate: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: namespace.to_owned(),
            complete: summary.unknown == 0,
            summary,
            skipped: skipped.to_vec(),
            observations,
        }
    }

    /// True if there is an observation that is at least this bad, what is unknown aside.
    #[must_use]
    pub fn has(&self, least: Severity) -> bool {
        let seen = self.observations.iter().map(|it| it.severity);
        seen.filter(|it| *it != Severity::Unknown)
            .any(|it| it <= least)
    }

    /// The summary in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Summary {
            error,
            warning,
            unknown,
            note,
            ok,
        } = self.summary;
        let mut said = vec![count(error, "error"), count(warning, "warning")];
        if unknown > 0 {
            said.push(format!("{unknown} unknown"));
        }
        said.push(count(note, "note"));
        said.push(format!("{ok} ok"));
        if !self.skipped.is_empty() {
            said.push(format!("not looked at: {}", self.skipped.join(", ")));
        }
        said.join(", ")
    }
}

/// Writes it as JSON, indented, with a line break at the end.
///
/// # Errors
/// What the writer says.
pub fn write_json(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, diagnosis)?;
    out.write_all(b"\n")
}

// === impl Severity ===

impl Severity {
    /// As it is shown, and as JSON has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Note => "note",
            Self::Ok => "ok",
        }
    }
}

// === impl Observation ===

impl Observation {
    /// The gate does not work, or lets Pods in unchecked.
    pub fn error(check: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, check, place, what)
    }

    /// It works, and something will break it or weakens it.
    pub fn warning(check: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, place, what)
    }

    /// It could not be looked at.
    pub fn unknown(check: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Unknown, check, place, what)
    }

    /// Worth knowing.
    pub fn note(check: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, place, what)
    }

    /// As it should be.
    pub fn ok(check: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, place, what)
    }

    fn new(
        severity: Severity,
        check: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            check,
            severity,
            place: place.into(),
            what: what.into(),
            why: None,
            fix: None,
            command: None,
        }
    }

    /// Why it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// A command that mends it, or shows more.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_field() {
        let reference = include_str!("../../manifests/doctor.md");
        let full = Observation::error("a", "b", "c")
            .why("d")
            .fix("e")
            .command("f");
        let mut out = Vec::new();
        write_json(&Diagnosis::new("a", &[], vec![full]), &mut out).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        for name in written.as_object().unwrap().keys() {
            assert!(reference.contains(&format!("`{name}`")), "{name}");
        }
        for name in written["summary"].as_object().unwrap().keys() {
            assert!(reference.contains(&format!("| `{name}` |")), "{name}");
        }
        for name in written["observations"][0].as_object().unwrap().keys() {
            assert!(
                reference.contains(&format!("`observations[].{name}`")),
                "{name}"
            );
        }
    }
}
