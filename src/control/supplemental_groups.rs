//! `supplementalGroups`: which further groups the Pod's processes are in.
//!
//! `PodSecurityPolicy`. Looks at every group of `spec.securityContext.supplementalGroups`, which containers cannot
//! override. Parameters: `ranges` (the allowed groups, to be said), `rule` (`may`, the default: there may be none;
//! `must`: there is at least one). Windows Pods have no such field and are skipped.

use super::finding::{Finding, Findings, Subject};
use super::range::{Limits, Ranges, Rule, id};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{Node, Problem, Value};
use crate::pod::{Change, Edit, PodView};

const FIELD: &str = "spec.securityContext.supplementalGroups";

/// Processes are in certain further groups only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SupplementalGroups(pub Limits);

impl Control for SupplementalGroups {
    const NAME: &'static str = "supplementalGroups";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self(Limits::read_ranges(base.0, fields, problems))
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if pod.is_windows() {
            return;
        }
        let groups = groups(pod);
        // The allowed groups stay; where none is left and one has to be, the first range gives it.
        let fix = || {
            let mut good: Vec<_> = groups.iter().copied().filter(|group| self.0.allow(*group)).collect();
            if good.is_empty() && self.0.rule == Rule::Must {
                good.push(self.0.first()?);
            }
            Some(Edit::pod(Change::SupplementalGroups(good)))
        };
        let ranges = self.0.ranges.as_ref();
        if groups.is_empty() && self.0.rule == Rule::Must {
            let within = ranges.map(|it| format!(" in {it}")).unwrap_or_default();
            let required = format!("one or more groups{within}");
            let finding = Finding::new(Self::NAME, Subject::Pod, FIELD, "unset", required);
            findings.push(Finding { fix: fix(), ..finding });
        }
        for (index, group) in groups.iter().enumerate().filter(|(_, group)| !self.0.allow(**group)) {
            let required = ranges.map(Ranges::required).unwrap_or_default();
            let field = format!("{FIELD}[{index}]");
            let finding = Finding::new(Self::NAME, Subject::Pod, field, group.to_string(), required);
            findings.push(Finding { fix: fix(), ..finding });
        }
    }
}

fn groups<'v>(pod: &'v PodView<'_>) -> &'v [i64] {
    pod.spec.security_context.as_ref().map(|it| it.supplemental_groups.as_slice()).unwrap_or_default()
}

/// `inject: {supplementalGroups: [2000]}`: on a Pod that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectSupplementalGroups(pub Vec<i64>);

impl Injection for InjectSupplementalGroups {
    const NAME: &'static str = "supplementalGroups";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            problems.push(Problem::mismatch("a list of groups", node));
            return None;
        };
        if items.is_empty() {
            problems.push(Problem::new(node.span, "an empty list of groups injects nothing"));
            return None;
        }
        let groups: Vec<_> = items.iter().map(|item| id(item, problems)).collect();
        groups.into_iter().collect::<Option<_>>().map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if matches!(target, Target::Pod) && groups(pod).is_empty() && !pod.is_windows() {
            edits.push(Edit::pod(Change::SupplementalGroups(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::range::Range;
    use crate::control::testing::{check, inject, inject_into};

    const UNSET: &str = r#"{"spec": {"containers": [{"name": "a"}]}}"#;
    const MIXED: &str = r#"{"spec": {"securityContext": {"supplementalGroups": [0, 5, 10]}, "containers": []}}"#;
    const WINDOWS: &str = r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#;

    fn ranges() -> Ranges {
        Ranges(vec![Range { min: 1, max: 9 }])
    }

    #[test]
    fn judges_every_group() {
        let bad = &[
            "spec.securityContext.supplementalGroups[0] is 0; must be in 1-9",
            "spec.securityContext.supplementalGroups[2] is 10; must be in 1-9",
        ];
        for limits in [Limits::may(ranges()), Limits::must(ranges())] {
            check(SupplementalGroups(limits.clone()), MIXED, bad);
            let alone = r#"{"spec": {"securityContext": {"supplementalGroups": [0]}, "containers": []}}"#;
            check(SupplementalGroups(limits), alone, &bad[..1]);
        }
    }

    #[test]
    fn must_asks_for_one() {
        let it = SupplementalGroups(Limits::must(ranges()));
        let unset = &["spec.securityContext.supplementalGroups is unset; must be one or more groups in 1-9"];
        check(it.clone(), UNSET, unset);
        check(it.clone(), r#"{"spec": {"securityContext": {"supplementalGroups": []}, "containers": []}}"#, unset);
        check(it, WINDOWS, &[]);
        check(SupplementalGroups(Limits::may(ranges())), UNSET, &[]);
    }

    #[test]
    fn injects_on_a_new_pod_that_has_none() {
        let it = InjectSupplementalGroups(vec![5, 6]);
        inject(&it, UNSET, &["spec.securityContext: {supplementalGroups: [5, 6]}"]);
        inject(&it, MIXED, &[]);
        inject(&it, WINDOWS, &[]);
        inject_into(&it, UNSET, Target::Ephemeral(&[0]), &[]);
    }
}
