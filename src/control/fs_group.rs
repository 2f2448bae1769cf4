//! `fsGroup`: which group owns the Pod's volumes.
//!
//! `PodSecurityPolicy`. Looks at `spec.securityContext.fsGroup`, which containers cannot override.
//! Parameters: `ranges` (the allowed groups, to be said), `rule` (`may`, the default: it may be unset; `must`: it is
//! set). Windows Pods have no such field and are skipped.

use super::finding::{Finding, Findings, Subject};
use super::range::{Limits, Rule, id};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::Node;
use crate::pod::{Change, Edit, PodView};

/// Volumes belong to certain groups only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsGroup(pub Limits);

impl Control for FsGroup {
    const NAME: &'static str = "fsGroup";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self(Limits::read_ranges(base.0, fields, problems))
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if pod.is_windows() {
            return;
        }
        let current = match pod.spec.security_context.as_ref().and_then(|it| it.fs_group) {
            Some(group) if !self.0.allow(group) => group.to_string(),
            None if self.0.rule == Rule::Must => "unset".to_owned(),
            _ => return,
        };
        let fix = self.0.first().map(|group| Edit::pod(Change::FsGroup(group)));
        let finding =
            Finding::new(Self::NAME, Subject::Pod, "spec.securityContext.fsGroup", current, self.0.required());
        findings.push(Finding { fix, ..finding });
    }
}

/// `inject: {fsGroup: 2000}`: on a Pod that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectFsGroup(pub i64);

impl Injection for InjectFsGroup {
    const NAME: &'static str = "fsGroup";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        id(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        let is_set = pod.spec.security_context.as_ref().and_then(|it| it.fs_group).is_some();
        if matches!(target, Target::Pod) && !is_set && !pod.is_windows() {
            edits.push(Edit::pod(Change::FsGroup(self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::range::{Range, Ranges};
    use crate::control::testing::{check, inject, inject_into};

    const UNSET: &str = r#"{"spec": {"containers": [{"name": "a"}]}}"#;
    const WINDOWS: &str = r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#;

    #[test]
    fn judges_the_group_of_the_pod() {
        let ranges = Ranges(vec![Range { min: 1, max: 9 }]);
        let (may, must) = (FsGroup(Limits::may(ranges.clone())), FsGroup(Limits::must(ranges)));
        let root = r#"{"spec": {"securityContext": {"fsGroup": 0}, "containers": [{"name": "a"}]}}"#;
        let good = r#"{"spec": {"securityContext": {"fsGroup": 9}, "containers": [{"name": "a"}]}}"#;
        check(may.clone(), root, &["spec.securityContext.fsGroup is 0; must be in 1-9 or unset"]);
        check(may.clone(), good, &[]);
        check(may, UNSET, &[]);
        check(must.clone(), root, &["spec.securityContext.fsGroup is 0; must be in 1-9"]);
        check(must.clone(), UNSET, &["spec.securityContext.fsGroup is unset; must be in 1-9"]);
        check(must.clone(), good, &[]);
        check(must, WINDOWS, &[]);
    }

    #[test]
    fn injects_on_a_new_pod_that_has_none() {
        let it = InjectFsGroup(5);
        inject(&it, UNSET, &["spec.securityContext: {fsGroup: 5}"]);
        inject(&it, r#"{"spec": {"securityContext": {"fsGroup": 0}, "containers": []}}"#, &[]);
        inject(&it, WINDOWS, &[]);
        inject_into(&it, UNSET, Target::Ephemeral(&[0]), &[]);
    }
}
