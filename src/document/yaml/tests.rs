#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot parse its own fixture should stop there"
)]

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::document::{Node, Problem, Segment, Value, parse};

/// Every key and scalar with its place, one a line: `key` and `=value`, collections by their own text.
fn places(text: &str, node: &Node) -> Vec<String> {
    let mut places = vec![format!("={}", &text[node.span.start..node.span.end])];
    match &node.value {
        Value::Sequence(items) => {
            places.extend(items.iter().flat_map(|item| self::places(text, item)));
        }
        Value::Mapping(entries) => {
            for entry in entries {
                places.push(text[entry.key.span.start..entry.key.span.end].to_owned());
                places.extend(self::places(text, &entry.value));
            }
        }
        _ => {}
    }
    places
}

fn json(text: &str) -> String {
    parse(text)
        .unwrap()
        .iter()
        .map(Node::to_json)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The text at the place of the problem, its message, its hint.
fn refused(text: &str) -> (&str, String, String) {
    let Problem {
        message,
        span,
        hint,
    } = parse(text).unwrap_err();
    (
        &text[span.start..span.end],
        message,
        hint.unwrap_or_default(),
    )
}

#[test]
fn keys_and_values_know_their_place() {
    for (text, expected) in [
        ("a: b", &["=a: b", "a", "=b"][..]),
        (
            "\u{feff}é: 'ü'  # c\r\n\"🦀\": \"\\u00e9\"\r\n",
            &[
                "=é: 'ü'  # c\r\n\"🦀\": \"\\u00e9\"",
                "é",
                "='ü'",
                "\"🦀\"",
                "=\"\\u00e9\"",
            ],
        ),
        (
            "a:\n  b: 1\n  # end\n\nc: x y # d\n",
            &[
                "=a:\n  b: 1\n  # end\n\nc: x y",
                "a",
                "=b: 1",
                "b",
                "=1",
                "c",
                "=x y",
            ],
        ),
        (
            "a: # c\n  - b\n  -\n",
            &["=a: # c\n  - b\n  -", "a", "=- b\n  -", "=b", "="],
        ),
        (
            "a:\n- b\n- - c\n",
            &["=a:\n- b\n- - c", "a", "=- b\n- - c", "=b", "=- c", "=c"],
        ),
        ("a:\n- - b\n", &["=a:\n- - b", "a", "=- - b", "=- b", "=b"]),
        (
            "a:\n- # c\n  - b\n",
            &["=a:\n- # c\n  - b", "a", "=- # c\n  - b", "=- b", "=b"],
        ),
        ("- a: [b]\n", &["=- a: [b]", "=a: [b]", "a", "=[b]", "=b"]),
        (
            "a: { b : [ c , 2 ] , d: } # e",
            &[
                "=a: { b : [ c , 2 ] , d: }",
                "a",
                "={ b : [ c , 2 ] , d: }",
                "b",
                "=[ c , 2 ]",
                "=c",
                "=2",
                "d",
                "=",
            ],
        ),
        (
            "a: |\n  b\n   c\n\nd: >-\n  e\n",
            &["=a: |\n  b\n   c\n\nd: >-\n  e", "a", "=b\n   c", "d", "=e"],
        ),
        (
            "a: &x !!str 5\nb: *x\n",
            &["=a: &x !!str 5\nb: *x", "a", "=5", "b", "=*x"],
        ),
        ("? a\n: b\n", &["=? a\n: b", "a", "=b"]),
        ("--- # c\na: b\n...\n", &["=a: b", "a", "=b"]),
    ] {
        assert_eq!(places(text, &parse(text).unwrap()[0]), expected, "{text:?}");
    }
}

#[test]
fn scalars_are_those_of_kubernetes() {
    for (text, expected) in [
        (
            "[0644, '0644', yes, \"yes\", !!str yes, 1_000, 2027-06-30, ~, ]",
            r#"[420,"0644",true,"yes","yes",1000,"2027-06-30",null]"#,
        ),
        ("on: 1\n8080: 2\n'on': 3\n", r#"{"true":1,"8080":2,"on":3}"#),
        ("a: |\n  b\nc: |", r#"{"a":"b\n","c":""}"#),
        ("a: |\n  b", r#"{"a":"b"}"#),
        ("a: b\n  c\n\n  d", r#"{"a":"b c\nd"}"#),
        ("{a: !local 5, b: ! 6}", r#"{"a":"5","b":"6"}"#),
        ("a: http://x:8080/#y", r#"{"a":"http://x:8080/#y"}"#),
    ] {
        assert_eq!(json(text), expected, "{text:?}");
    }
    assert_eq!(
        refused("a: !!int x"),
        ("x", "\"x\" is no !!int".to_owned(), String::new())
    );
}

#[test]
fn streams_leave_out_what_is_empty() {
    for (text, expected) in [
        ("", ""),
        ("# only a comment\n", ""),
        ("---\n---\n# c\n---\na: 1\n---\n", r#"{"a":1}"#),
        ("--- a\n--- b\n...\n--- # c\n...\n", r#""a" "b""#),
        ("null\n---\n{}\n", "null {}"),
        ("%YAML 1.1\n---\na: 1\n", r#"{"a":1}"#),
    ] {
        assert_eq!(json(text), expected, "{text:?}");
    }
    let many: String = (0..2000).fold(String::new(), |mut text, number| {
        writeln!(
            text,
            "---\n# {number}\nkind: Pod\nmetadata: {{name: pod-{number}}}"
        )
        .unwrap();
        text
    });
    let documents = parse(&many).unwrap();
    assert_eq!(documents.len(), 2000);
    let (name, span, _) =
        documents[1999].descend([Segment::Key("metadata"), Segment::Key("name")].into_iter());
    assert_eq!(
        (name.as_str(), &many[span.start..span.end]),
        (Some("pod-1999"), "name")
    );
}

#[test]
fn aliases_and_merge_keys_expand() {
    for (text, expected) in [
        ("a: &x [1, 2]\nb: *x\n", r#"{"a":[1,2],"b":[1,2]}"#),
        ("a: &x k\n*x : v\n", r#"{"a":"k","k":"v"}"#),
        (
            "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n",
            r#"{"a":{"b":1,"c":2},"d":{"c":3,"b":1}}"#,
        ),
        (
            "a: [&x {b: 1}, &y {b: 2, c: 3}]\nd: {<<: [*x, *y]}\n",
            r#"{"a":[{"b":1},{"b":2,"c":3}],"d":{"b":1,"c":3}}"#,
        ),
        ("a: {\"<<\": 1}", r#"{"a":{"<<":1}}"#),
        ("a: &x 1\nb: &x 2\nc: *x", r#"{"a":1,"b":2,"c":2}"#),
    ] {
        assert_eq!(json(text), expected, "{text:?}");
    }
    let text = "a: &x {b: oops}\nc: *x\nd: {<<: *x}\n";
    let root = &parse(text).unwrap()[0];
    assert_eq!(places(text, root.get("c").unwrap()), ["=*x", "b", "=oops"]);
    assert_eq!(
        places(text, root.get("d").unwrap()),
        ["={<<: *x}", "b", "=oops"]
    );
}

#[test]
fn refuses_what_has_no_meaning() {
    let given = |line: usize| format!("it is already given on line {line}; keep one of the two");
    for (text, place, message, hint) in [
        (
            "a: 1\nb: 2\n\"a\": 3\nb: 4\na: 5\n",
            "\"a\"",
            "duplicate key \"a\"",
            given(1),
        ),
        (
            "x:\r\n  é: 1\r\n  é: 2\r\n",
            "é",
            "duplicate key \"é\"",
            given(2),
        ),
        ("{on: 1, yes: 2}", "yes", "duplicate key \"true\"", given(1)),
        (
            "<<: {}\n<<: {}\n",
            "<<",
            "duplicate key \"<<\"",
            "merge several with <<: [*one, *two]".to_owned(),
        ),
        (
            "<<: 1\n",
            "1",
            "only mappings and lists of mappings can be merged with <<",
            String::new(),
        ),
        (
            "[a]: b\n",
            "[a]",
            "expected a key, found a list",
            String::new(),
        ),
        (
            "~: b\n",
            "~",
            "expected a key, found null",
            "put it in quotes".to_owned(),
        ),
        (
            "- &a [1, *a]\n",
            "*a",
            "this alias refers to the value that it is part of",
            String::new(),
        ),
        (
            "a: {{ .Values.x }}\n",
            "{ .Values.x }",
            "expected a key, found a mapping",
            "this looks like a template; render it first".to_owned(),
        ),
    ] {
        assert_eq!(refused(text), (place, message.to_owned(), hint), "{text:?}");
    }
    assert_eq!(refused("a: {b: '{{ x }}', b: {c: {}}}").2, given(1));
    assert_eq!(
        refused("a: &x 1\n---\nb: *x\n").1,
        "invalid YAML: unknown alias"
    );
}

#[test]
fn refuses_to_explode() {
    let lists = (1..30).fold(
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |mut text, n| {
            let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
            writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
            text
        },
    );
    let merges = (1..60).fold("a0: &a0 {x: 1}\n".to_owned(), |mut text, n| {
        writeln!(
            text,
            "a{n}: &a{n} {{<<: *a{0}, l{n}: *a{0}, r{n}: *a{0}}}",
            n - 1
        )
        .unwrap();
        text
    });
    let long_text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 100].join(", ")
    );
    for text in [lists, merges, long_text] {
        let (_, message, _) = refused(&text);
        assert_eq!(
            message,
            "the aliases of this file expand to more than 32 MiB"
        );
    }
    let ladder = (1..100).fold(format!("a0: &a0 {}\n", nested(50)), |mut text, n| {
        writeln!(text, "a{n}: &a{n} [[*a{}]]", n - 1).unwrap();
        text
    });
    assert_eq!(refused(&ladder).1, "nested more than 128 levels deep");
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn nests_128_levels_and_no_more() {
    let block = |depth: usize| {
        (0..depth).fold(String::new(), |text, level| {
            format!("{text}{}k:\n", " ".repeat(level))
        })
    };
    let in_yaml = |depth: usize| format!("# yaml\n{}", nested(depth));
    for text in [
        block(128),
        "- ".repeat(128),
        nested(128),
        in_yaml(128),
        format!("a: {}", nested(127)),
    ] {
        assert!(parse(&text).is_ok(), "{text}");
    }
    for text in [
        block(129),
        "- ".repeat(129),
        nested(129),
        in_yaml(129),
        format!("a: {}", nested(128)),
        "[".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        assert_eq!(refused(&text).1, "nested more than 128 levels deep");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_placed_or_refused(text in "[-a: \\n\\t\\[\\]{},&*<'\"|>#!?é\u{feff}\\\\0\\r~%.]{0,40}") {
        match parse(&text) {
            Ok(documents) => documents.iter().for_each(|document| {
                places(&text, document);
            }),
            Err(Problem { span, .. }) => prop_assert!(text.get(span.start..span.end).is_some()),
        }
    }
}
