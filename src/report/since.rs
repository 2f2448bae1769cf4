//! A run beside an earlier one: what is new, and what is fixed.

use std::collections::HashSet;

use crate::output::results::{Finding, Object, Results};

/// What makes two findings of two runs the same: the object by its name, the place by the names of its parts, and the
/// value. Positions and modes do not count.
type Key<'r> = (
    &'r str,
    &'r str,
    &'r str,
    &'r str,
    &'r str,
    &'r str,
    &'r str,
    &'r str,
);

/// Marks what is new since `earlier`, and counts what is fixed.
pub fn compare(results: &mut Results, earlier: &Results) {
    let before: HashSet<Key<'_>> = keys(earlier).collect();
    let now: HashSet<Key<'_>> = keys(results).collect();
    let objects: HashSet<[&str; 3]> = results.objects.iter().map(named).collect();
    // Where not all was seen, what is missing is not known to be gone.
    let is_known =
        |key: &&Key<'_>| results.run.complete || objects.contains(&[key.0, key.1, key.2]);
    let fixed = before.difference(&now).filter(is_known).count();
    let marks: Vec<bool> = keys(results).map(|it| !before.contains(&it)).collect();
    let findings = results.objects.iter_mut().flat_map(|it| &mut it.findings);
    for (finding, is_new) in findings.zip(marks) {
        finding.new = is_new;
    }
    results.summary.fixed = Some(u64::try_from(fixed).unwrap_or(u64::MAX));
    results.run.since.clone_from(&earlier.run.started);
}

fn named(object: &Object) -> [&str; 3] {
    [&object.namespace, &object.kind, &object.name]
}

fn keys(results: &Results) -> impl Iterator<Item = Key<'_>> {
    results.objects.iter().flat_map(|object| {
        let findings = object.findings.iter();
        findings.map(move |finding| key(object, finding))
    })
}

fn key<'r>(object: &'r Object, finding: &'r Finding) -> Key<'r> {
    let (list, container) = finding
        .container
        .as_ref()
        .map_or(("", ""), |it| (&it.list, &it.name));
    let part = finding.volume.as_deref().unwrap_or(container);
    (
        &object.namespace,
        &object.kind,
        &object.name,
        &finding.control,
        list,
        part,
        &finding.field,
        &finding.current,
    )
}
