//! What is said of the Pods that a namespace has already when a stricter level is about to be enforced.

use std::collections::BTreeMap;

use crate::policy::source::pod_security::LevelVersion;

/// How many Pods are looked at, at the most.
pub const MAX_EXISTING: usize = 3000;

/// What is said when they are not known.
pub const UNLISTED: &str = "failed to list pods while checking new PodSecurity enforce level";

/// The warnings: how many were looked at if not all were, then one line for all Pods that break the level for the same
/// reasons, each `broken` one being a name and its reasons.
pub fn existing<'t>(
    namespace: &str,
    asked: LevelVersion,
    broken: impl Iterator<Item = (&'t str, &'t str)>,
    checked: usize,
    total: usize,
) -> Vec<String> {
    let mut by_reasons: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (name, reasons) in broken {
        let (first, others) = by_reasons.entry(reasons).or_insert((name, 0));
        *first = name.min(first);
        *others += 1;
    }
    let mut lines = Vec::new();
    if checked < total {
        lines.push(format!(
            "new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"
        ));
    }
    if !by_reasons.is_empty() {
        lines.push(format!(
            "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{asked}\""
        ));
    }
    let mut told: Vec<String> = by_reasons
        .into_iter()
        .map(|(reasons, (name, count))| match count - 1 {
            0 => format!("{name}: {reasons}"),
            1 => format!("{name} (and 1 other pod): {reasons}"),
            others => format!("{name} (and {others} other pods): {reasons}"),
        })
        .collect();
    told.sort();
    lines.extend(told);
    lines
}
