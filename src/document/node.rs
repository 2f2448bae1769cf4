//! The tree: documents, their values, and the way from the root to a place in them.

use std::fmt::Write as _;

use super::problem::Span;

/// A value and its place. The place of a block collection reaches from its first key or dash to the end of its last
/// value; that of a value left empty has no length; that of a quoted string includes the quotes; that of a block scalar
/// is its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

/// What a document can hold. Integers beyond `i64` are floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value, in the order of the text; merged entries come last.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Key,
    pub value: Node,
}

/// A key as Kubernetes sees it: `8080:` is named `8080`, and `on:` is named `true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub span: Span,
}

/// One step down from a node to a node inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'p> {
    Key(&'p str),
    Index(usize),
}

// === impl Node ===

impl Node {
    /// The value of a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What this is, as messages say it: `a string`, `a list`, `a mapping`…
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Compact JSON, the bytes that Kubernetes' own conversion would send: whole floats have no fraction (`1e3` is
    /// `1000`). What JSON cannot say (`.nan`, `.inf`) is null.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    /// Follows the segments as far as they exist. Returns the deepest node found, its place (that of its key where
    /// it has one, as that is what a reader looks for), and how many segments were found.
    pub fn descend<'p>(&self, segments: impl Iterator<Item = Segment<'p>>) -> (&Node, Span, usize) {
        let mut place = (self, self.span, 0);
        for segment in segments {
            let (node, _, found) = place;
            let next = match (segment, &node.value) {
                (Segment::Key(name), _) => {
                    node.entry(name).map(|entry| (&entry.value, entry.key.span))
                }
                (Segment::Index(index), Value::Sequence(items)) => {
                    items.get(index).map(|item| (item, item.span))
                }
                (Segment::Index(_), _) => None,
            };
            match next {
                Some((node, span)) => place = (node, span, found + 1),
                None => break,
            }
        }
        place
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key.name == name),
            _ => None,
        }
    }

    fn write_json(&self, json: &mut String) {
        match &self.value {
            Value::Null => json.push_str("null"),
            Value::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => write_infallibly(json, format_args!("{value}")),
            Value::Float(value) => write_float(json, *value),
            Value::String(text) => write_string(json, text),
            Value::Sequence(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    item.write_json(json);
                }
                json.push(']');
            }
            Value::Mapping(entries) => {
                json.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    write_string(json, &entry.key.name);
                    json.push(':');
                    entry.value.write_json(json);
                }
                json.push('}');
            }
        }
    }
}

/// The name of a float key and the text of a float value, as Go's encoding/json writes them.
pub(super) fn write_float(json: &mut String, value: f64) {
    let size = value.abs();
    if !value.is_finite() {
        json.push_str("null");
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write_infallibly(json, format_args!("{value:e}"));
    } else {
        write_infallibly(json, format_args!("{value}"));
    }
}

fn write_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..='\u{1f}' => {
                write_infallibly(json, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

fn write_infallibly(json: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string has no way to fail.
    let _ = json.write_fmt(text);
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot parse its own fixture should stop there"
)]
mod tests {
    use super::super::parse;
    use super::*;

    fn node(text: &str) -> Node {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn json_keeps_every_value() {
        for (text, json) in [
            ("{}", "{}"),
            (
                "a: [1, -2, 1.5, 1e3, 1e-7, 1e21, yes, null, ~, .inf]",
                r#"{"a":[1,-2,1.5,1000,1e-7,1e21,true,null,null,null]}"#,
            ),
            (
                "a: 9223372036854775807\nb: -9223372036854775808",
                r#"{"a":9223372036854775807,"b":-9223372036854775808}"#,
            ),
            (
                r#"{"a\"b\\": "é\u0001\n\t\r🦀"}"#,
                r#"{"a\"b\\":"é\u0001\n\t\r🦀"}"#,
            ),
        ] {
            let written = node(text).to_json();
            assert_eq!(written, json, "{text}");
            assert_eq!(node(&written).to_json(), json, "{text}");
        }
    }

    #[test]
    fn json_agrees_with_serde_json() {
        let text = r#"{"s":"\u0000\u001f\u007f \"\\/","n":[0,-1,0.1,2.5e-8,123456789012345680000],"e":{}}"#;
        let ours: serde_json::Value = serde_json::from_str(&node(text).to_json()).unwrap();
        assert_eq!(
            ours,
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        );
    }

    #[test]
    fn descends_as_far_as_there_is_something() {
        let text = "spec:\n  containers:\n  - name: a\n    ports: []\n  - name: b\n";
        let root = node(text);
        for (path, slice, found) in [
            (vec![], &text[..text.len() - 1], 0),
            (vec![Segment::Key("spec")], "spec", 1),
            (
                vec![
                    Segment::Key("spec"),
                    Segment::Key("containers"),
                    Segment::Index(1),
                ],
                "name: b",
                3,
            ),
            (
                vec![
                    Segment::Key("spec"),
                    Segment::Key("containers"),
                    Segment::Index(1),
                    Segment::Key("name"),
                ],
                "name",
                4,
            ),
            (
                vec![
                    Segment::Key("spec"),
                    Segment::Key("containers"),
                    Segment::Index(2),
                    Segment::Key("name"),
                ],
                "containers",
                2,
            ),
            (vec![Segment::Key("spec"), Segment::Index(0)], "spec", 1),
            (
                vec![Segment::Key("status"), Segment::Key("spec")],
                &text[..text.len() - 1],
                0,
            ),
        ] {
            let (node, span, depth) = root.descend(path.iter().copied());
            assert_eq!(
                (&text[span.start..span.end], depth),
                (slice, found),
                "{path:?}"
            );
            assert!(node.span.start >= span.start);
        }
    }

    #[test]
    fn gets_by_key_and_says_its_kind() {
        let root = node("a: x\nb: [1.5, 2, yes, {}, null]");
        assert_eq!(root.get("a").and_then(Node::as_str), Some("x"));
        assert_eq!(root.get("c"), None);
        assert_eq!(root.get("a").unwrap().get("a"), None);
        let Value::Sequence(items) = &root.get("b").unwrap().value else {
            unreachable!()
        };
        let kinds: Vec<_> = items.iter().map(Node::kind_name).collect();
        assert_eq!(
            kinds,
            ["a number", "an integer", "a boolean", "a mapping", "null"]
        );
        assert!(items[4].is_null());
        assert_eq!(root.kind_name(), "a mapping");
    }
}
