//! What errors say, and where.

use serde_json::Value;

use super::differential::Review;
use super::json::{self, Code};

/// A body, and under it where and why it fails as a [`Review`].
const REFUSED: &str = r#"
[]
^ Type: invalid type: list, expected struct Review
{} {
   ^ Trailing: unexpected text after the document
{,}
 ^ Key: expected a string as key
{"kind":null,}
             ^ Key: expected a string as key
{"kind" null}
        ^ Colon: expected `:` after the key
{"kind":null "x":1}
             ^ Comma: expected `,` or the closing bracket
{"kind":nope}
        ^ Literal: expected true, false or null
{"kind":}
        ^ Syntax: expected a value
{"kind":1}
        ^ Type: invalid type: integer `1`, expected a borrowed string
{"kind":"a\n"}
        ^ Type: invalid type: string "a\n", expected a borrowed string
{"kind":"\q"}
          ^ Escape: invalid escape in string
{"skip":"\q"}
          ^ Escape: invalid escape in string
{"skip":["\q"]}
           ^ Escape: invalid escape in string
{"skip":["\u12x"]}
              ^ Escape: invalid escape in string
{"kind":"x\ud800"}
           ^ Surrogate: lone surrogate in string
{"kind":null,"kind":null}
             ^ DuplicateField: duplicate field `kind`
{"skip":01}
         ^ Number: invalid number
{"request":{"dryRun":"yes"}}
                     ^ Type: invalid type: string "yes", expected a boolean
{"request":{"dryRun":"\u0079es"}}
                     ^ Type: invalid type: string "yes", expected a boolean
{"request":{"dryRun":{}}}
                     ^ Type: invalid type: object, expected a boolean
{"request":{"dryRun":1e999}}
                     ^ Range: number out of range
{"request":{"operation":"MERGE"}}
                        ^ UnknownVariant: unknown variant `MERGE`, expected one of `CREATE`, `UPDATE`, `DELETE`, `CONNECT`
{"request":{"operation":null,"operation":7}}
                             ^ DuplicateField: duplicate field `operation`
{"request":{"operation":7}}
                        ^ Type: invalid type: integer `7`, expected enum Operation
{"request":{"object":{"metadata":{"generation":-1}}}}
                                               ^ Value: invalid value: integer `-1`, expected u32
{"request":{"object":{"spec":{"containers":[{"image":"x"}]}}}}
                                            ^ MissingField: missing field `name`
{"request":{"object":{"spec":{"containers":[{"name":null}]}}}}
                                                    ^ Type: invalid type: null, expected a borrowed string
{"request":{"object":{"spec":{"containers":null}}}}
                                           ^ Type: invalid type: null, expected a sequence
"#;

fn refusal(body: &[u8]) -> json::Error {
    json::from_slice::<Review<'_>>(body).unwrap_err()
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let lines: Vec<_> = REFUSED.trim().lines().collect();
    for case in lines.chunks(2) {
        let error = refusal(case[0].as_bytes());
        let (code, place) = (error.code(), " ".repeat(error.offset()));
        assert_eq!(
            format!("{place}^ {code:?}: {error}"),
            case[1],
            "{}",
            case[0]
        );
    }
}

#[test]
fn control_bytes_are_refused_in_strings_and_at_the_end() {
    for body in [
        "{\"kind\":\"a\n\"}",
        "{\"skip\":\"a\n\"}",
        "{\"skip\":[\"\n\"]}",
    ] {
        let error = refusal(body.as_bytes());
        assert_eq!(error.code(), Code::Control);
        assert_eq!(Some(error.offset()), body.find('\n'));
        assert_eq!(error.to_string(), "control character in string");
    }
    assert_eq!(refusal(b"{} \0").code(), Code::Trailing);
}

#[test]
fn long_strings_are_quoted_in_short() {
    let body = format!("{{\"request\":{{\"dryRun\":\"{}\"}}}}", "é".repeat(200));
    let message = refusal(body.as_bytes()).to_string();
    let quoted = "é".repeat(32);
    assert_eq!(
        message,
        format!("invalid type: string \"{quoted}…\", expected a boolean")
    );
}

#[test]
fn a_body_that_is_cut_off_ends_unexpectedly() {
    let body: &[u8] = br#" {"kind":"ab","skip":[{"x":"\"\\\u00e9"},true,null,-1.5e+3,{}],"s":"\n",
        "request":{"uid":"u","dryRun":false,"object":{"spec":{"priority":0.5,"containers":[]}}}} "#;
    for end in 0..body.len() - 2 {
        let cut = &body[..end];
        let errors = [
            refusal(cut),
            json::from_slice_strict::<Review<'_>>(cut).unwrap_err(),
            json::from_slice::<Value>(cut).unwrap_err(),
            json::from_slice::<&serde_json::value::RawValue>(cut).unwrap_err(),
        ];
        for error in errors {
            let found = (error.code(), error.offset(), error.to_string());
            let expected = (Code::Eof, end, "unexpected end of input".to_owned());
            assert_eq!(found, expected, "{}", cut.escape_ascii());
        }
    }
}

#[test]
fn every_review_that_is_cut_off_ends_unexpectedly() {
    for seed in super::seeds() {
        for end in (0..seed.trim_ascii_end().len()).step_by(37) {
            let error = refusal(&seed[..end]);
            assert_eq!((error.code(), error.offset()), (Code::Eof, end));
        }
    }
}

#[test]
fn line_and_column_count_from_one() {
    let place = |body: &[u8]| {
        json::from_slice::<Review<'_>>(body)
            .unwrap_err()
            .line_col(body)
    };
    assert_eq!(
        place(b"{\n  \"kind\": null,\n\n  \"request\": {\"dryRun\": 1}\n}"),
        (4, 25)
    );
    assert_eq!(place(b"x"), (1, 1));
    assert_eq!(place(b"{\n"), (2, 1));
    assert_eq!(place(b""), (1, 1));
    assert_eq!(refusal(b"{\n\n").line_col(b"shorter"), (1, 4));
}

#[test]
fn locates_the_value_that_fails() {
    let cases = [
        (
            r#"{"containers":[{"name":"a","securityContext":{"privileged":"yes"}}]}"#,
            ".spec.containers[0].securityContext.privileged",
        ),
        (
            r#"{"containers":[{"name":"a"},{"image":"x"}]}"#,
            ".spec.containers[1]",
        ),
        (r#"{"hostNetwork":1}"#, ".spec.hostNetwork"),
        (r#"{"hostNetwork":true,"skipped":[nope]}"#, ".spec.skipped"),
        (r#"{"hostNetwork":true,}"#, ".spec"),
    ];
    for (spec, path) in cases {
        let body = format!("{{\"request\":{{\"object\":{{\"spec\":{spec}}}}}}}");
        let located = json::locate::<Review<'_>>(body.as_bytes());
        assert_eq!(located, Some(format!("request.object{path}")), "{body}");
    }
    for body in ["{\"kind\":null} x", "{\"kind\":null", "[]", "{}"] {
        assert_eq!(json::locate::<Review<'_>>(body.as_bytes()), None, "{body}");
    }
    assert_eq!(json::locate::<Value>(b"\xff"), None);
}

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<json::Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), json::Error>>(), size_of::<usize>());
}
