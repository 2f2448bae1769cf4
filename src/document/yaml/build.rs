//! Events → tree: collections under construction, anchors, merge keys, duplicate keys.

use std::collections::{HashMap, HashSet};

use crate::document::node::{Entry, Key, Node, Value};
use crate::document::problem::{Problem, Span};
use crate::document::rules::{MAX_DEPTH, refuse_duplicates, too_deep};
use crate::document::scalar;

/// What anchors and aliases may add to the documents of one stream, in bytes of memory. Real files stay far below;
/// an expanded billion laughs would be gigabytes.
const ALIAS_BUDGET: usize = 32 << 20;

/// The memory of a node apart from its text, roughly.
const NODE_WEIGHT: usize = 64;

/// The documents read so far and the collections that are still open.
pub(super) struct Builder<'t> {
    text: &'t str,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    alias_budget: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    pending: Pending,
    merged: Vec<Node>,
}

/// What the next node in an open mapping is.
enum Pending {
    Key,
    Value(Key),
    /// The value of `<<`.
    Merge,
}

struct Anchored {
    value: Value,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    weight: usize,
    depth: usize,
}

// === impl Builder ===

impl<'t> Builder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            alias_budget: ALIAS_BUDGET,
        }
    }

    pub(super) fn leaf(
        &mut self,
        node: Node,
        anchor: usize,
        is_merge: bool,
    ) -> Result<(), Problem> {
        match self.open.last_mut() {
            Some(Open {
                node:
                    Node {
                        value: Value::Mapping(_),
                        ..
                    },
                pending: pending @ Pending::Key,
                merged,
                ..
            }) if is_merge => {
                if !merged.is_empty() {
                    return Err(Problem::new(node.span, "duplicate key \"<<\"")
                        .hint("merge several with <<: [*one, *two]"));
                }
                *pending = Pending::Merge;
                Ok(())
            }
            _ => self.finish(node, anchor),
        }
    }

    pub(super) fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Problem> {
        let Some(Anchored { value, size }) = self.anchors.get(&anchor) else {
            return Err(Problem::new(
                span,
                "this alias refers to the value that it is part of",
            ));
        };
        let size = *size;
        if self.open.len() + size.depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        let Some(rest) = self.alias_budget.checked_sub(size.weight) else {
            return Err(over_budget(span));
        };
        let value = value.clone();
        self.alias_budget = rest;
        self.finish(Node { span, value }, 0)
    }

    pub(super) fn open(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), Problem> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(span));
        }
        let span = Span::new(self.first_dash(&value, span.start), span.end);
        self.open.push(Open {
            node: Node { span, value },
            anchor,
            pending: Pending::Key,
            merged: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn close(&mut self, end: Span) -> Result<(), Problem> {
        let Some(Open {
            mut node,
            anchor,
            merged,
            ..
        }) = self.open.pop()
        else {
            return Ok(());
        };
        if matches!(self.text.get(end.start..end.end), Some("]" | "}")) {
            node.span.end = end.end;
        }
        if let Value::Mapping(entries) = &mut node.value {
            refuse_duplicates(self.text, entries)?;
            merge(entries, merged)?;
        }
        self.finish(node, anchor)
    }

    pub(super) fn end_document(&mut self) {
        self.anchors.clear();
    }

    pub(super) fn into_documents(self) -> Vec<Node> {
        self.documents
    }

    /// Where a list begins. The parser places one that is not indented under its key behind its first dash.
    fn first_dash(&self, value: &Value, start: usize) -> usize {
        let is_value = matches!(
            self.open.last(),
            Some(Open {
                pending: Pending::Value(_),
                ..
            })
        );
        let is_block_list =
            matches!(value, Value::Sequence(_)) && !self.text[start..].starts_with('[');
        // Before the way back to the start of the line, which is long in a file of one line.
        if !is_value || !is_block_list {
            return start;
        }
        let line = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let indent = self.text[line..start]
            .bytes()
            .take_while(|byte| *byte == b' ')
            .count();
        if self.text[line + indent..].starts_with('-') {
            line + indent
        } else {
            start
        }
    }

    /// Remembers a complete node under its anchor and puts it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            let size = size_of(&node);
            self.alias_budget = self
                .alias_budget
                .checked_sub(size.weight)
                .ok_or_else(|| over_budget(node.span))?;
            self.anchors.insert(
                anchor,
                Anchored {
                    value: node.value.clone(),
                    size,
                },
            );
        }
        let Some(Open {
            node: parent,
            pending,
            merged,
            ..
        }) = self.open.last_mut()
        else {
            let is_empty = node.is_null() && node.span.start == node.span.end;
            self.documents.extend((!is_empty).then_some(node));
            return Ok(());
        };
        parent.span.end = parent.span.end.max(node.span.end);
        match &mut parent.value {
            Value::Mapping(entries) => match std::mem::replace(pending, Pending::Key) {
                Pending::Key => *pending = Pending::Value(key(node)?),
                Pending::Value(key) => entries.push(Entry { key, value: node }),
                Pending::Merge => merged.push(node),
            },
            Value::Sequence(items) => items.push(node),
            _ => {}
        }
        Ok(())
    }
}

fn key(node: Node) -> Result<Key, Problem> {
    let (span, kind, is_null) = (node.span, node.kind_name(), node.is_null());
    scalar::key_name(node.value)
        .map(|name| Key { name, span })
        .ok_or_else(|| {
            let problem = Problem::new(span, format!("expected a key, found {kind}"));
            if is_null {
                problem.hint("put it in quotes")
            } else {
                problem
            }
        })
}

/// `<<: *a` or `<<: [*a, *b]`: what the mapping says itself wins, then the earlier source.
fn merge(entries: &mut Vec<Entry>, sources: Vec<Node>) -> Result<(), Problem> {
    if sources.is_empty() {
        return Ok(());
    }
    let mut taken: HashSet<String> = entries.iter().map(|entry| entry.key.name.clone()).collect();
    for source in sources {
        let mappings = match source.value {
            Value::Sequence(items) => items,
            value => vec![Node { value, ..source }],
        };
        for mapping in mappings {
            let Value::Mapping(source) = mapping.value else {
                let message = "only mappings and lists of mappings can be merged with <<";
                return Err(Problem::new(mapping.span, message));
            };
            entries.extend(
                source
                    .into_iter()
                    .filter(|entry| taken.insert(entry.key.name.clone())),
            );
        }
    }
    Ok(())
}

fn size_of(node: &Node) -> Size {
    let join = |whole: Size, part: Size| Size {
        weight: whole.weight + part.weight,
        depth: whole.depth.max(part.depth + 1),
    };
    let own = |text: usize| Size {
        weight: NODE_WEIGHT + text,
        depth: 0,
    };
    match &node.value {
        Value::String(text) => own(text.len()),
        Value::Sequence(items) => items
            .iter()
            .map(size_of)
            .fold(Size { depth: 1, ..own(0) }, join),
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| {
                let size = size_of(&entry.value);
                Size {
                    weight: size.weight + NODE_WEIGHT + entry.key.name.len(),
                    ..size
                }
            })
            .fold(Size { depth: 1, ..own(0) }, join),
        _ => own(0),
    }
}

fn over_budget(span: Span) -> Problem {
    Problem::new(span, "the aliases of this file expand to more than 32 MiB")
        .hint("write out what is repeated, or repeat less")
}
