//! What both readers refuse, YAML and JSON alike.

use super::node::{Entry, Key};
use super::problem::{Problem, Span, quoted};
use super::source::line_number;

/// How deep collections may nest, so that recursion over a document is safe on any thread's stack.
pub(super) const MAX_DEPTH: usize = 128;

pub(super) fn too_deep(span: Span) -> Problem {
    Problem::new(span, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// Refuses the second place of the first key that is given twice.
pub(super) fn refuse_duplicates(text: &str, entries: &[Entry]) -> Result<(), Problem> {
    let mut keys: Vec<&Key> = entries.iter().map(|entry| &entry.key).collect();
    keys.sort_by_key(|key| (&key.name, key.span));
    let twice = keys
        .windows(2)
        .filter(|pair| pair[0].name == pair[1].name)
        .min_by_key(|pair| pair[1].span);
    match twice {
        None => Ok(()),
        Some(pair) => Err(Problem::new(
            pair[1].span,
            format!("duplicate key {}", quoted(&pair[1].name)),
        )
        .hint(format!(
            "it is already given on line {}; keep one of the two",
            line_number(text, pair[0].span.start)
        ))),
    }
}
