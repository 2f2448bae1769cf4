//! Helpers for the tests of controls: a Pod as JSON in, findings or edits as text out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Control, Findings, Injection, Target};
use crate::pod::{Edit, Place, PodView, json};

/// The findings of the control on the Pod, each as `path is current; must be required`.
/// Every finding that offers a fix is tried: the fix must remove it.
#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "so that tests read well")]
pub(crate) fn check<C: Control>(control: C, pod: &str, expected: &[&str]) {
    let view: PodView<'_> = json::from_str(pod).unwrap();
    let mut findings = Findings::default();
    control.check(&view, &mut findings);
    let found = findings.into_vec();
    let lines: Vec<_> = found
        .iter()
        .map(|it| format!("{} is {}; must be {}", it.path(), it.current, it.required))
        .collect();
    assert_eq!(lines, expected);
    for finding in &found {
        assert_eq!(finding.control, C::NAME);
        if let Some(fix) = &finding.fix {
            let mut mended = view.clone();
            fix.apply(&mut mended);
            let mut left = Findings::default();
            control.check(&mended, &mut left);
            assert!(
                !left
                    .into_vec()
                    .iter()
                    .any(|it| it.identity() == finding.identity()),
                "the fix of {} mends nothing",
                finding.path()
            );
        }
    }
}

/// The edits of the injection on a Pod that is being created, and that a second run has nothing to add.
#[track_caller]
pub(crate) fn inject<I: Injection>(injection: &I, pod: &str, expected: &[&str]) {
    inject_into(injection, pod, Target::Pod, expected);
}

/// The same for any target. Pod edits are shown as YAML, container edits as `path = value`.
#[track_caller]
pub(crate) fn inject_into<I: Injection>(
    injection: &I,
    pod: &str,
    target: Target<'_>,
    expected: &[&str],
) {
    let mut view: PodView<'_> = json::from_str(pod).unwrap();
    let mut edits = Vec::new();
    injection.inject(&view, target, &mut edits);
    assert_eq!(edits.iter().map(show).collect::<Vec<_>>(), expected);
    for edit in &edits {
        edit.apply(&mut view);
    }
    let mut again = Vec::new();
    injection.inject(&view, target, &mut again);
    assert_eq!(again, [], "a second run must have nothing to add");
}

fn show(edit: &Edit<'_>) -> String {
    match edit.place {
        Place::Pod => edit.yaml(),
        Place::Container(_) => format!(
            "{} = {}",
            edit.path(),
            crate::pod::edit::flow(&edit.change.value())
        ),
    }
}

/// The control with the parameters in `yaml` over `base`, or every problem as `message` or `message (hint)`.
pub(crate) fn read_over<C: Control>(base: C, yaml: &str) -> Result<C, Vec<String>> {
    use crate::document::{Fields, Problems, parse};
    let node = parse(yaml).unwrap().remove(0);
    let mut problems = Problems::new();
    let mut fields = Fields::of(&node, &mut problems).unwrap();
    let read = C::read(base, &mut fields, &mut problems);
    fields.finish(&mut problems);
    let told: Vec<_> = problems
        .into_vec()
        .into_iter()
        .map(|it| match it.hint {
            Some(hint) => format!("{} ({hint})", it.message),
            None => it.message,
        })
        .collect();
    if told.is_empty() { Ok(read) } else { Err(told) }
}
