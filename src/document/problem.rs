//! What is wrong with a document, and where.
//!
//! A [`Problem`] is complete in itself: the message stands alone, the hint says what to write instead.

use std::cmp::Reverse;

use super::node::{Node, Value};

/// How much of a value a message repeats.
const MAX_QUOTED_CHARS: usize = 80;

/// How long a message or a hint may get. None that is meant to be read is longer; one that repeats a value may be.
const MAX_MESSAGE_CHARS: usize = 1000;

/// A range of bytes in the text of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// One error in a document: lower case, no trailing period, with a place and perhaps a way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub message: String,
    pub span: Span,
    pub hint: Option<String>,
}

/// All errors of a document, collected while reading goes on.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

// === impl Span ===

impl Span {
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

// === impl Problem ===

impl Problem {
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: clipped(message.into()),
            span,
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(clipped(hint.into())),
            ..self
        }
    }

    /// `expected a boolean, found the string "yes please"`, with a hint where the cause is a matter of quotes.
    #[must_use]
    pub fn mismatch(expected: &str, node: &Node) -> Self {
        Self::new(
            node.span,
            format!("expected {expected}, found {}", describe(node)),
        )
    }
}

// === impl Problems ===

impl Problems {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the text, what encloses before what is inside, each once (what an alias repeats is wrong once).
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Problem> {
        fn order(problem: &Problem) -> (usize, Reverse<usize>, &str, Option<&str>) {
            (
                problem.span.start,
                Reverse(problem.span.end),
                &problem.message,
                problem.hint.as_deref(),
            )
        }
        self.0.sort_by(|a, b| order(a).cmp(&order(b)));
        self.0.dedup();
        self.0
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

/// A text as messages show it: in double quotes, control characters escaped, cut off where it gets long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}", format!("{}…", &text[..cut])),
    }
}

fn clipped(mut text: String) -> String {
    if let Some((cut, _)) = text.char_indices().nth(MAX_MESSAGE_CHARS) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Int(_) | Value::Float(_) => format!("the number {}", node.to_json()),
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => node.kind_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_text_and_once() {
        let mut problems = Problems::new();
        assert!(problems.is_empty());
        for (start, message) in [(7, "b"), (3, "c"), (7, "a"), (3, "c")] {
            problems.push(Problem::new(Span::new(start, start + 1), message));
        }
        assert_eq!(problems.len(), 4);
        let order: Vec<_> = problems
            .into_vec()
            .into_iter()
            .map(|p| (p.span.start, p.message))
            .collect();
        assert_eq!(
            order,
            [
                (3, "c".to_owned()),
                (7, "a".to_owned()),
                (7, "b".to_owned())
            ]
        );
    }

    #[test]
    fn messages_end_somewhere() {
        let problem = Problem::new(Span::new(0, 1), "é".repeat(5000)).hint("x".repeat(1000));
        assert_eq!(problem.message, format!("{}…", "é".repeat(1000)));
        assert_eq!(problem.hint, Some("x".repeat(1000)));
    }

    #[test]
    fn mismatches_name_what_was_found() {
        let long = "é".repeat(100);
        for (value, expected) in [
            (Value::Null, "expected a list, found null".to_owned()),
            (
                Value::Bool(true),
                "expected a list, found the boolean true".to_owned(),
            ),
            (
                Value::Int(-5),
                "expected a list, found the number -5".to_owned(),
            ),
            (
                Value::Float(1.5),
                "expected a list, found the number 1.5".to_owned(),
            ),
            (
                Value::String("a\"b\n\u{1b}".to_owned()),
                r#"expected a list, found the string "a\"b\n\u{1b}""#.to_owned(),
            ),
            (
                Value::String(long.clone()),
                format!("expected a list, found the string \"{}…\"", "é".repeat(80)),
            ),
            (
                Value::Mapping(Vec::new()),
                "expected a list, found a mapping".to_owned(),
            ),
        ] {
            let node = Node {
                span: Span::new(0, 1),
                value,
            };
            assert_eq!(Problem::mismatch("a list", &node).message, expected);
        }
    }
}
