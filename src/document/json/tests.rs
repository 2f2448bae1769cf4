#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot parse its own fixture should stop there"
)]

use crate::document::{Node, Source, Value, parse};

#[test]
fn accepts_what_json_allows() {
    for (text, expected) in [
        ("{\n\t\"a\":\t[1,\r\n\t\t2 ]\n}", r#"{"a":[1,2]}"#),
        (
            r#"["\/\"\\\b\f\n\r\t\u00E9\ud83e\udd80"]"#,
            "[\"/\\\"\\\\\\u0008\\u000c\\n\\r\\té🦀\"]",
        ),
        (
            r#"["\ud800", "\ud800\u0041", "\udc00\ud83e\ud83e\udd80"]"#,
            "[\"\u{fffd}\",\"\u{fffd}A\",\"\u{fffd}\u{fffd}🦀\"]",
        ),
        (
            "[0, -0, -1.5e-3, 1E+2, 123456789012345680000, true, false, null]",
            "[0,0,-0.0015,100,123456789012345680000,true,false,null]",
        ),
        (
            r#"{"": {"<<": {}, "yes": "no", "0644": "0644"}}"#,
            r#"{"":{"<<":{},"yes":"no","0644":"0644"}}"#,
        ),
        ("\u{feff} [] ", "[]"),
        ("[]{\"a\":1}\n---\n[2]", "[] {\"a\":1} [2]"),
    ] {
        let written: Vec<_> = parse(text).unwrap().iter().map(Node::to_json).collect();
        assert_eq!(written.join(" "), expected, "{text}");
    }
}

#[test]
fn places_are_exact() {
    let text = "{\n\t\"é\" : [ \"\\u00e9\" , -1.5 ]\n}";
    let root = &parse(text).unwrap()[0];
    let Value::Mapping(entries) = &root.value else {
        unreachable!()
    };
    let Value::Sequence(items) = &entries[0].value.value else {
        unreachable!()
    };
    let spans = [
        root.span,
        entries[0].key.span,
        entries[0].value.span,
        items[0].span,
        items[1].span,
    ];
    let slices = spans.map(|span| &text[span.start..span.end]);
    assert_eq!(
        slices,
        [
            text,
            "\"é\"",
            "[ \"\\u00e9\" , -1.5 ]",
            "\"\\u00e9\"",
            "-1.5"
        ]
    );
}

#[test]
fn what_is_no_json_may_be_yaml() {
    for (text, expected) in [
        ("{a: 1}\n---\nb: 2", "{\"a\":1} {\"b\":2}"),
        ("{\"a\": 1,} # c", "{\"a\":1}"),
        ("{\"a\": yes, 'b': 0644}", "{\"a\":true,\"b\":420}"),
        ("[nullable, true_]", "[\"nullable\",\"true_\"]"),
    ] {
        let written: Vec<_> = parse(text).unwrap().iter().map(Node::to_json).collect();
        assert_eq!(written.join(" "), expected, "{text}");
    }
}

#[test]
fn complains_in_the_language_that_was_meant() {
    for (text, expected) in [
        (
            "{\n\t\"a\": 1\n\t\"b\": 2\n}",
            "3:2 invalid JSON: expected \",\" or \"}\", found '\"'",
        ),
        (
            "{\t\"é\": [1, 2",
            "1:13 invalid JSON: the text ends where \",\" or \"]\" is expected",
        ),
        (
            "{\t\"a\" 1}",
            "1:7 invalid JSON: expected \":\" after the key, found '1'",
        ),
        ("{\t\"a\": \"x", "1:8 invalid JSON: this string has no end"),
        (
            "[\n\"\\x\"]",
            "2:2 invalid JSON: unknown escape in a string",
        ),
        (
            "[\n\"\\u12é4\"]",
            "2:2 invalid JSON: \\u needs four hexadecimal digits",
        ),
        ("[\n\"\\", "2:2 invalid JSON: unknown escape in a string"),
        ("{\"a\": 1,\n \"a\": 2}", "2:2 duplicate key \"a\""),
        (
            "{\"a\": 1e999, \"b\": }}",
            "1:7 invalid JSON: this number is too large",
        ),
        (
            "{a: [1, 2}",
            "1:5 invalid YAML: this bracket is closed by one of the other kind",
        ),
    ] {
        let problem = parse(text).unwrap_err();
        let (line, column) = Source::new("", text).line_col(problem.span.start);
        assert_eq!(format!("{line}:{column} {problem}"), expected, "{text:?}");
    }
}
