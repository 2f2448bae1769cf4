#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot parse its own fixture should stop there"
)]

use super::super::parse;
use super::*;

#[derive(Debug, PartialEq)]
struct Capabilities {
    required_drop: Vec<String>,
    allowed_add: Option<Vec<String>>,
    mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Enforce,
    Warn,
}

impl FromNode for Mode {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        one_of(
            node,
            "mode",
            &[("enforce", Self::Enforce), ("warn", Self::Warn)],
            problems,
        )
    }
}

impl FromNode for Capabilities {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        assert_eq!(fields.span(), node.span);
        let required_drop = fields.required("requiredDrop", problems);
        let allowed_add = fields.optional("allowedAdd", problems);
        let mode = fields.optional("mode", problems);
        fields.finish(problems);
        Some(Self {
            required_drop: required_drop?,
            allowed_add,
            mode,
        })
    }
}

/// `place: message (hint)` of every problem, the place as the text there.
fn problems_in(text: &str) -> Vec<String> {
    let node = parse(text).unwrap().remove(0);
    let mut problems = Problems::new();
    let read = Capabilities::from_node(&node, &mut problems);
    assert!(read.is_some() || !problems.is_empty());
    problems
        .into_vec()
        .into_iter()
        .map(
            |Problem {
                 message,
                 span,
                 hint,
             }| {
                let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
                format!("{}: {message}{hint}", &text[span.start..span.end])
            },
        )
        .collect()
}

#[test]
fn reads_a_mapping_with_null_as_absent() {
    let node = parse("requiredDrop: [ALL]\nallowedAdd:\nmode: warn\n")
        .unwrap()
        .remove(0);
    let mut problems = Problems::new();
    let read = Capabilities::from_node(&node, &mut problems);
    let expected = Capabilities {
        required_drop: vec!["ALL".to_owned()],
        allowed_add: None,
        mode: Some(Mode::Warn),
    };
    assert_eq!(read, Some(expected));
    assert!(problems.is_empty());
}

#[test]
fn finds_every_error_of_a_mapping() {
    let text = "requiredDrops: [ALL]\nallowedAdd: [1, X, yes]\nmode: enforced\nnamespace: x\n";
    assert_eq!(
        problems_in(text),
        [
            format!("{}: missing field \"requiredDrop\"", text.trim_end()),
            "requiredDrops: unknown field \"requiredDrops\" (did you mean \"requiredDrop\"?)".to_owned(),
            "1: expected a string, found the number 1 (put it in quotes)".to_owned(),
            "yes: expected a string, found the boolean true (put it in quotes: yes, no, on, off, true and false are booleans in YAML)"
                .to_owned(),
            "enforced: unknown mode \"enforced\", expected enforce or warn (did you mean \"enforce\"?)".to_owned(),
            "namespace: unknown field \"namespace\" (known fields: requiredDrop, allowedAdd, mode)".to_owned(),
        ]
    );
}

#[test]
fn a_required_field_without_a_value_is_missing_at_its_key() {
    assert_eq!(
        problems_in("requiredDrop:\nmode: 1\n"),
        [
            "requiredDrop: missing field \"requiredDrop\"",
            "1: expected mode (enforce or warn), found the number 1 (put it in quotes)",
        ]
    );
}

#[test]
fn nodes_are_taken_as_they_are() {
    let node = parse("mode:\nmods: 1").unwrap().remove(0);
    let mut problems = Problems::new();
    let mut fields = Fields::of(&node, &mut problems).unwrap();
    assert!(fields.node("mode").unwrap().is_null());
    assert_eq!(fields.node("c"), None);
    fields.finish(&mut problems);
    let [problem] = &problems.into_vec()[..] else {
        unreachable!()
    };
    assert_eq!(
        (problem.message.as_str(), problem.hint.as_deref()),
        ("unknown field \"mods\"", Some("did you mean \"mode\"?"))
    );
}

#[test]
fn lists_read_as_sentences() {
    for (words, expected) in [
        (&[][..], ""),
        (&["a"], "a"),
        (&["a", "b"], "a or b"),
        (&["a", "b", "c"], "a, b or c"),
    ] {
        assert_eq!(listed(words.iter().copied()), expected);
    }
}
