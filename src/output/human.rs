//! Results of manifests for the person who wrote them: each item beside the line that it is about, then the summary.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::document::{Excerpt, Level, Source, Span, render_excerpt};

use super::results::{Fate, Item, Object, Place, Results, items};
use super::text::{MAX_VALUE, clean};

/// The longest part of a path that stands beside the carets.
const MAX_FIELD: usize = 400;
/// The longest fix.
const MAX_FIX: usize = 10 * MAX_FIELD;

/// The files that excerpts are taken from, by the name that a [`Place`] has for them.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, Source>);

/// Writes an excerpt for each item, and the summary. What could not be judged is only counted: it is told on standard
/// error while the files are read.
///
/// # Errors
/// What the writer says.
pub fn write(
    results: &Results,
    sources: &Sources,
    color: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for object in &results.objects {
        for item in items(&object.findings) {
            writeln!(out, "{}\n", tell(object, &item, sources, color))?;
        }
    }
    writeln!(out, "{}", results.sentence())
}

/// One item. Without a file to show it stands in words alone.
fn tell(object: &Object, item: &Item<'_>, sources: &Sources, color: bool) -> String {
    let first = item.first();
    let level = match first.fate() {
        Fate::Rejected | Fate::PodsRejected => Level::Error,
        Fate::Warned => Level::Warning,
        Fate::Recorded | Fate::Clean => Level::Note,
    };
    let fix = first.fix.iter();
    let mut helps: Vec<String> = fix
        .map(|it| format!("fix: {}", clean(it, MAX_FIX)))
        .collect();
    if item.members.len() > 1 {
        helps.push(format!("all of: {}", item.path()));
    }
    let label = format!(
        "{}{} is {}; must be {}",
        item.who(),
        clean(&first.field, MAX_FIELD),
        clean(&first.current, MAX_VALUE),
        item.required()
    );
    let title = format!(
        "{}: {}{}",
        clean(&first.control, MAX_VALUE),
        object.title(),
        item.verdict()
    );
    let place = first.place.as_ref();
    if let Some((source, span)) = place.and_then(|it| sources.find(it)) {
        let excerpt = Excerpt {
            level,
            title,
            span,
            label,
            helps,
        };
        return render_excerpt(source, &excerpt, color);
    }
    let word = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    let helps: Vec<String> = helps.iter().map(|it| format!("\n  = help: {it}")).collect();
    format!(
        "{word}: {title}\n  = note: {}{}",
        item.statement(),
        helps.concat()
    )
}

// === impl Sources ===

impl Sources {
    /// Keeps a file. Of two with the same name the first stays.
    pub fn keep(&mut self, source: Source) {
        self.0.entry(source.name.clone()).or_insert(source);
    }

    fn find(&self, place: &Place) -> Option<(&Source, Span)> {
        let source = self.0.get(&place.file)?;
        let start = source.offset(place.line, place.column)?;
        let end = source.offset(place.end_line, place.end_column)?;
        Some((source, Span::new(start, end.max(start))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::results::testing::{cluster, hostile, manifests, nothing};
    use super::*;

    fn text(results: &Results, sources: &Sources) -> String {
        let mut out = Vec::new();
        write(results, sources, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_item_stands_beside_its_line() {
        let mut results = manifests();
        results.objects.truncate(1);
        results.count();
        let mut sources = Sources::default();
        let line = "  privileged: true\n";
        sources.keep(Source::new("deploy/a b.yaml", line.repeat(9)));
        sources.keep(Source::new("deploy/a b.yaml", "not this one"));
        let expected = r#"error: privileged: Pod shop/web is rejected by policy "baseline"
 --> deploy/a b.yaml:5:3
  |
5 |   privileged: true
  |   ^^^^^^^^^ containers "web", "log": securityContext.privileged is true; must be false or unset
  |
  = help: fix: securityContext: {privileged: false}
  = help: all of: spec.containers[0,1].securityContext.privileged

error: hostNamespaces: Pod shop/web is rejected by policy "baseline"
 --> deploy/a b.yaml:7:3
  |
7 |   privileged: true
  |   ^^^^^^^^^ spec.hostPID is true; must be false or unset
  |
  = help: fix: spec: {hostPID: false}

1 judged: 1 would be rejected, 0 would have their Pods rejected; 0 further findings. 1 skipped, 2 could not be judged
"#;
        assert_eq!(text(&results, &sources), expected);
    }

    #[test]
    fn without_its_file_it_stands_in_words() {
        let text = text(&cluster(), &Sources::default());
        let expected = r#"warning: hostNamespaces: Deployment shop/web is warned of by policy "baseline"
  = note: in Pod web-1: spec.hostPID is true; must be false or unset
  = help: fix: spec: {hostPID: false}

"#;
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn nothing_found_is_a_summary() {
        let text = text(&nothing("check"), &Sources::default());
        assert!(text.starts_with("0 judged: ") && text.lines().count() == 1);
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_it_is() {
        let results = hostile();
        let mut sources = Sources::default();
        for object in &results.objects {
            let name = object.place.as_ref().unwrap().file.clone();
            sources.keep(Source::new(name, "a: \u{1b}[31m\u{202e}\n".repeat(20)));
        }
        for text in [
            text(&results, &sources),
            text(&results, &Sources::default()),
        ] {
            let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            let line = text.lines().find(|it| it.contains(bad));
            assert_eq!(line, None);
        }
    }
}
