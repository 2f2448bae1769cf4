//! A mapping read field by field, going on after an error, so that one pass over a document finds everything wrong.
//!
//! Whoever reads a mapping ends with [`Fields::finish`], which refuses the keys that nobody asked for.

use super::from_node::{FromNode, needs_quotes, refuse};
use super::nearest::nearest;
use super::node::{Entry, Node, Value};
use super::problem::{Problem, Problems, Span, quoted};

/// A mapping that is being read field by field.
#[derive(Debug)]
pub struct Fields<'n> {
    span: Span,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// The fields of a mapping; anything else is a problem.
    pub fn of(node: &'n Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => Some(Self {
                span: node.span,
                entries,
                known: Vec::new(),
            }),
            Value::Null => refuse(
                problems,
                Problem::mismatch("a mapping", node).hint("an empty mapping is written {}"),
            ),
            _ => refuse(problems, Problem::mismatch("a mapping", node)),
        }
    }

    /// The place of the whole mapping.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    pub(super) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// The value of a field as it stands, null included.
    pub fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        self.entries
            .iter()
            .find(|entry| entry.key.name == name)
            .map(|entry| &entry.value)
    }

    /// A field that may be left out. Null counts as left out.
    pub fn optional<T: FromNode>(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<T> {
        self.node(name)
            .filter(|node| !node.is_null())
            .and_then(|node| T::from_node(node, problems))
    }

    /// A field that must be there. Null counts as left out.
    pub fn required<T: FromNode>(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<T> {
        let node = self.node(name).filter(|node| !node.is_null());
        if node.is_none() {
            let span = self
                .entries
                .iter()
                .find(|entry| entry.key.name == name)
                .map_or(self.span, |entry| entry.key.span);
            problems.push(Problem::new(
                span,
                format!("missing field {}", quoted(name)),
            ));
        }
        node.and_then(|node| T::from_node(node, problems))
    }

    /// Refuses every key that was not asked for.
    pub fn finish(self, problems: &mut Problems) {
        let unknown = self
            .entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key.name.as_str()));
        for Entry { key, .. } in unknown {
            let problem = Problem::new(key.span, format!("unknown field {}", quoted(&key.name)));
            problems.push(match nearest(&key.name, self.known.iter().copied()) {
                Some(known) => problem.hint(did_you_mean(known)),
                None if self.known.is_empty() => problem.hint("no fields are known here"),
                None => problem.hint(format!("known fields: {}", self.known.join(", "))),
            });
        }
    }
}

/// One of a set of words, as what it stands for. `what` is the noun for messages, such as
/// `mode`.
pub fn one_of<T: Copy>(
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let Some(text) = node.as_str() else {
        return refuse(
            problems,
            needs_quotes(
                Problem::mismatch(&format!("{what} ({})", listed(words())), node),
                node,
            ),
        );
    };
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let problem = Problem::new(
        node.span,
        format!(
            "unknown {what} {}, expected {}",
            quoted(text),
            listed(words())
        ),
    );
    refuse(
        problems,
        match nearest(text, words()) {
            Some(word) => problem.hint(did_you_mean(word)),
            None => problem,
        },
    )
}

fn did_you_mean(word: &str) -> String {
    format!("did you mean {}?", quoted(word))
}

/// `a, b or c`.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests;
