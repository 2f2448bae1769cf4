//! A diagnosis for the person who typed the command: worst first, each observation with why it matters and how to mend
//! it, then the summary.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::super::text::clean;
use super::{Diagnosis, Observation, Severity};

/// The longest sentence: API servers quote a lot in their errors.
const MAX_TEXT: usize = 2000;

/// Writes it. What is as it should be is left out unless `verbose`.
///
/// # Errors
/// What the writer says.
pub fn write(
    diagnosis: &Diagnosis,
    verbose: bool,
    color: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = diagnosis.observations.iter();
    let (fine, said): (Vec<_>, Vec<_>) = shown.partition(|it| it.severity == Severity::Ok);
    for alike in together(&said) {
        writeln!(out, "{}\n", tell(&alike, color))?;
    }
    if verbose && !fine.is_empty() {
        for observation in fine {
            writeln!(out, "{}", tell(&[observation], color))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", diagnosis.sentence())
}

/// Those that say the same of the same place stand together: several checks may lack the same thing.
fn together<'o>(all: &[&'o Observation]) -> Vec<Vec<&'o Observation>> {
    let mut groups: Vec<Vec<&Observation>> = Vec::new();
    for &observation in all {
        let is_alike = |group: &&mut Vec<&Observation>| {
            let first = group.first();
            first.is_some_and(|it| {
                let same = |it: &Observation| Observation {
                    check: "",
                    ..it.clone()
                };
                same(it) == same(observation)
            })
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.push(observation),
            None => groups.push(vec![observation]),
        }
    }
    groups
}

/// Observations that differ in nothing but their check.
fn tell(alike: &[&Observation], color: bool) -> String {
    let Some(observation) = alike.first() else {
        return String::new();
    };
    let style = if color {
        style(observation.severity)
    } else {
        Style::new()
    };
    let mut checks: Vec<&str> = alike.iter().map(|it| it.check).collect();
    checks.dedup();
    let mut text = format!(
        "{style}{}{style:#}: {}: {}: {}",
        observation.severity.word(),
        checks.join(", "),
        clean(&observation.place, MAX_TEXT),
        clean(&observation.what, MAX_TEXT)
    );
    let further = [
        ("note: ", &observation.why),
        ("help: fix: ", &observation.fix),
        ("help: run: ", &observation.command),
    ];
    for (label, said) in further {
        if let Some(said) = said {
            text.push_str(&format!("\n  = {label}{}", clean(said, MAX_TEXT)));
        }
    }
    text
}

fn style(severity: Severity) -> Style {
    let color = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning | Severity::Unknown => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
        Severity::Ok => AnsiColor::Green,
    };
    Style::new().bold().fg_color(Some(color.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn diagnosis() -> Diagnosis {
        let seen = vec![
            Observation::ok("service", "Service a/b", "it has port 443"),
            Observation::unknown("nodes", "nodes", "may not be listed"),
            Observation::unknown("kubelets", "nodes", "may not be listed"),
            Observation::warning("spread", "Pods", "hostile \u{1b}[31m\n"),
            Observation::error("service", "Service a/b", "it is gone")
                .why("nobody answers")
                .fix("make it")
                .command("kubectl apply -f service.yaml"),
            Observation::error("skipped", "x", "y"),
        ];
        Diagnosis::new("a", &["skipped".to_owned()], seen)
    }

    fn text(verbose: bool) -> String {
        let mut out = Vec::new();
        write(&diagnosis(), verbose, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_worst_comes_first_and_what_is_fine_only_when_asked_for() {
        let expected = "\
error: service: Service a/b: it is gone
  = note: nobody answers
  = help: fix: make it
  = help: run: kubectl apply -f service.yaml

warning: spread: Pods: hostile \\u{1b}[31m\\u{a}

unknown: nodes, kubelets: nodes: may not be listed

1 error, 1 warning, 2 unknown, 0 notes, 1 ok, not looked at: skipped
";
        assert_eq!(text(false), expected);
        assert!(text(true).contains("\n\nok: service: Service a/b: it has port 443\n\n1 error"));
    }

    #[test]
    fn what_is_unknown_is_never_complete_and_no_warning() {
        let diagnosis = diagnosis();
        assert!(!diagnosis.complete);
        assert!(diagnosis.has(Severity::Error));
        let seen = vec![Observation::unknown("nodes", "nodes", "may not be listed")];
        let unknown = Diagnosis::new("a", &[], seen);
        assert!(!unknown.has(Severity::Warning) && !unknown.complete);
    }
}
