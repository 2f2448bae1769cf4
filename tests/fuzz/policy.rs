//! A policy file from its text to the set or its errors: no panic, no hang, every error at a place in the text.
//! A first byte that no text starts with makes the rest the parameters of one control or injection.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podgate::control::{INJECTIONS, NAMES};
use podgate::decision::Stage;
use podgate::policy::{LoadError, PolicySet};
use podgate::review::Review;

/// A Pod that has a little of everything.
const REVIEW: &str = include_str!("../reviews/026-create-pods.json");

fuzz_target!(|bytes: &[u8]| {
    let Some(text) = text(bytes) else {
        return;
    };
    let files = [("policy.yaml".to_owned(), text.clone())];
    match PolicySet::load("here", &files) {
        Ok(set) => judge(&set),
        Err(error) => {
            if let LoadError::Problems(files) = &error {
                for problem in files.iter().flat_map(|(_, problems)| problems) {
                    let span = problem.span;
                    assert!(text.get(span.start..span.end).is_some(), "{problem:?}");
                    assert!(!problem.message.is_empty());
                }
            }
            assert_eq!(error.to_string(), PolicySet::load("here", &files).unwrap_err().to_string());
            assert!(!error.render(true).is_empty());
        }
    }
});

fn text(bytes: &[u8]) -> Option<String> {
    let (&first, rest) = bytes.split_first()?;
    if !(0x80..0xc0).contains(&first) {
        return String::from_utf8(bytes.to_vec()).ok();
    }
    let rest = str::from_utf8(rest).ok()?;
    let at = usize::from(first - 0x80);
    let part = match NAMES.get(at) {
        Some(name) => format!("controls: {{{name}: {rest}}}"),
        None => format!("inject: {{{}: {rest}}}", INJECTIONS.get(at - NAMES.len())?),
    };
    Some(format!(
        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: a}}\nspec: {{mode: enforce, {part}}}\n"
    ))
}

/// Whatever loads, judges.
fn judge(set: &PolicySet) {
    let review = Review::parse(REVIEW.as_bytes()).expect("it was recorded");
    for stage in [Stage::Mutate, Stage::Whole] {
        let _ = review.answer(stage, set, None);
    }
}
