//! The vector code: every place a value can have in a block, and what skipping does not check.

use super::differential::{Review, check};
use super::{json, seeds};

#[test]
fn agrees_on_every_review() {
    for seed in seeds() {
        check(&seed);
        assert!(
            json::from_slice::<Review<'_>>(&seed)
                .unwrap()
                .request
                .is_some()
        );
    }
}

#[test]
fn borrows_the_strings_of_the_view() {
    let body = br#"{"request":{"object":{"spec":{"containers":[{"skip":[{}],"name":"app"}]}}}}"#;
    let review: Review<'_> = json::from_slice(body).unwrap();
    let spec = review
        .request
        .and_then(|request| request.object)
        .and_then(|object| object.spec);
    let name = spec.unwrap().containers[0].name;
    assert!(body.as_ptr_range().contains(&name.as_ptr()));
}

#[test]
fn decides_the_same_at_every_offset_from_a_block() {
    let values = [
        r#"{"a":{"b":[1,"x]"]},"c":"}"}"#,
        r#"[{},[],{"\\":"\""},"\\\\",[[]]]"#,
        r#"{"q":"\"{\"[\\","u":"\u00e9\\\\\"}"}"#,
        r#"["\x"]"#,
        r#"{"a":\"b"}"#,
        "[\"a\u{1}b\"]",
        "{}",
        "[",
        "[]]",
    ];
    for value in values {
        for shift in 0..=2 * 64 + 1 {
            let (spaces, letters) = (" ".repeat(shift), "x".repeat(shift));
            check(format!("{spaces}{value}").as_bytes());
            check(format!("{{\"skip\":{spaces}{value},\"kind\":\"k\"}}").as_bytes());
            check(format!("{{\"skip\":[\"{letters}\",{value}],\"kind\":\"k\"}}").as_bytes());
            check(format!("{{\"kind\":\"{letters}\\n\",\"skip\":{value}}}").as_bytes());
        }
    }
}

#[test]
fn finds_quotes_behind_backslash_runs_of_every_length_around_a_block() {
    for shift in 50..=66 {
        for run in 0..=66 {
            let text = ["x".repeat(shift), "\\".repeat(run)].concat();
            check(format!("{{\"skip\":[\"{text}\"],\"kind\":\"{text}\"}}").as_bytes());
            check(format!("{{\"skip\":[\"{text}\"]\"]}}").as_bytes());
        }
    }
}

#[test]
fn only_the_strict_decoder_checks_the_grammar_of_what_is_skipped() {
    for skipped in [
        "{]",
        "[1 2]",
        "[,]",
        "{1:2}",
        "[nope]",
        "[01]",
        "{\"a\" 1}",
        "[\u{1}]",
    ] {
        let body = format!("{{\"skip\":{skipped},\"kind\":\"k\"}}");
        assert!(json::from_str::<Review<'_>>(&body).is_ok(), "{body}");
        assert!(
            json::from_slice_strict::<Review<'_>>(body.as_bytes()).is_err(),
            "{body}"
        );
        check(body.as_bytes());
    }
}
