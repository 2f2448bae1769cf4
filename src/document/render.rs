//! Problems and findings as an excerpt of their file, the way rustc shows them.
//!
//! Only the line that is meant is handed to the renderer, so a large file costs no more than a small one. No output
//! ends in a line break.

use annotate_snippets::{AnnotationKind, Origin, Renderer, Snippet};

use super::problem::{Problem, Span};
use super::source::Source;

/// The longest line that is shown, in bytes. Nobody reads a longer one, and the renderer takes its time with it.
const MAX_LINE: usize = 10_000;

/// How serious an excerpt is; decides its first word and its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Note,
}

/// One place in a source and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    pub level: Level,
    /// The line at the top.
    pub title: String,
    pub span: Span,
    /// Stands beside the carets; may be empty.
    pub label: String,
    /// Each a line of its own below the excerpt.
    pub helps: Vec<String>,
}

/// All problems of a source, an empty line between them.
///
/// `color` asks for ANSI escapes; whether the terminal wants them is for the caller to know.
#[must_use]
pub fn render(source: &Source, problems: &[Problem], color: bool) -> String {
    let rendered: Vec<_> = problems
        .iter()
        .map(|problem| Excerpt {
            level: Level::Error,
            title: problem.message.clone(),
            span: problem.span,
            label: String::new(),
            helps: problem.hint.iter().cloned().collect(),
        })
        .map(|excerpt| render_excerpt(source, &excerpt, color))
        .collect();
    rendered.join("\n\n")
}

/// One excerpt: title, file with line and column, the line with carets, the helps.
///
/// A span of several lines shows its first. A line that is too long to be read is only named.
#[must_use]
pub fn render_excerpt(source: &Source, excerpt: &Excerpt, color: bool) -> String {
    let (line, range) = source.first_line_of(excerpt.span);
    let label = (!excerpt.label.is_empty()).then_some(excerpt.label.as_str());
    // The renderer replaces control characters everywhere but here.
    let path = source.name.replace(is_unsafe, "\u{fffd}");
    let helps = excerpt
        .helps
        .iter()
        .map(|help| annotate_snippets::Level::HELP.message(help));
    let title = match excerpt.level {
        Level::Error => annotate_snippets::Level::ERROR,
        Level::Warning => annotate_snippets::Level::WARNING,
        Level::Note => annotate_snippets::Level::NOTE,
    }
    .primary_title(excerpt.title.as_str());
    let report = if line.text.len() > MAX_LINE {
        let (number, column) = source.line_col(excerpt.span.start);
        let origin = Origin::path(path).line(number).char_column(column);
        let label = label.map(|label| annotate_snippets::Level::NOTE.message(label));
        [title.element(origin).elements(label).elements(helps)]
    } else {
        let snippet = Snippet::source(line.text)
            .line_start(line.number)
            .path(path)
            .annotation(AnnotationKind::Primary.span(range).label(label));
        [title.element(snippet).elements(helps)]
    };
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&report)
}

/// Control characters, and marks that change the direction of what is read.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot find its own fixture should stop there"
)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}spec:\r\n  é: 🦀\trequiredDrops\r\n  mode: |\r\n    enforce\r\n";

    fn span_of(part: &str) -> Span {
        let start = TEXT.find(part).unwrap();
        Span::new(start, start + part.len())
    }

    #[test]
    fn problems_are_shown_where_they_are() {
        let source = Source::new("policies/team.yaml", TEXT);
        let problems = [
            Problem::new(span_of("spec"), "missing field \"match\""),
            Problem::new(span_of("requiredDrops"), "unknown field \"requiredDrops\"")
                .hint("did you mean \"requiredDrop\"?"),
            Problem::new(span_of("|\r\n    enforce"), "unknown mode \"enforce\\n\""),
            Problem::new(Span::new(TEXT.len(), TEXT.len()), "the text ends here"),
        ];
        let expected = "\
error: missing field \"match\"
 --> policies/team.yaml:1:1
  |
1 | spec:
  | ^^^^

error: unknown field \"requiredDrops\"
 --> policies/team.yaml:2:8
  |
2 |   é: 🦀    requiredDrops
  |            ^^^^^^^^^^^^^
  |
  = help: did you mean \"requiredDrop\"?

error: unknown mode \"enforce\\n\"
 --> policies/team.yaml:3:9
  |
3 |   mode: |
  |         ^

error: the text ends here
 --> policies/team.yaml:5:1
  |
5 |
  | ^";
        assert_eq!(render(&source, &problems, false), expected);
        assert!(render(&source, &problems, true).contains("\u{1b}["));
        assert_eq!(render(&source, &[], false), "");
    }

    #[test]
    fn excerpts_carry_level_label_and_helps() {
        let source = Source::new("pod.yaml", "kind: Pod\nspec:\n  hostNetwork: true\n");
        let excerpt = Excerpt {
            level: Level::Warning,
            title: "hostNetwork must be false".to_owned(),
            span: Span::new(31, 35),
            label: "shares the network of the node".to_owned(),
            helps: vec![
                "remove the field".to_owned(),
                "or ask for an exemption".to_owned(),
            ],
        };
        let expected = "\
warning: hostNetwork must be false
 --> pod.yaml:3:16
  |
3 |   hostNetwork: true
  |                ^^^^ shares the network of the node
  |
  = help: remove the field
  = help: or ask for an exemption";
        assert_eq!(render_excerpt(&source, &excerpt, false), expected);
        let note = Excerpt {
            level: Level::Note,
            ..excerpt
        };
        assert!(render_excerpt(&source, &note, false).starts_with("note: hostNetwork"));
    }

    #[test]
    fn a_line_that_nobody_reads_is_only_named() {
        let source = Source::new("one.yaml", format!("a: 1\né: {}", "x".repeat(MAX_LINE)));
        let problem = Problem::new(Span::new(9, 2000), "too long").hint("write less");
        let expected = "error: too long\n--> one.yaml:2:4\n = help: write less";
        assert_eq!(render(&source, &[problem], false), expected);
        let excerpt = Excerpt {
            level: Level::Warning,
            title: "privileged".to_owned(),
            span: Span::new(9, 10),
            label: "must be false".to_owned(),
            helps: Vec::new(),
        };
        let expected = "warning: privileged\n--> one.yaml:2:4\n = note: must be false";
        assert_eq!(render_excerpt(&source, &excerpt, false), expected);
    }

    #[test]
    fn control_characters_of_the_source_do_not_reach_the_terminal() {
        let source = Source::new("x\u{1b}\u{202e}.yaml", "a: \u{1b}[31m\u{202e}\n");
        let problem = Problem::new(Span::new(3, 4), "a\u{1b}[0m");
        let rendered = render(&source, &[problem], false);
        assert!(!rendered.contains(['\u{1b}', '\u{202e}']), "{rendered}");
    }
}
