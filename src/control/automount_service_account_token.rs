//! `automountServiceAccountToken`: no container gets an API token unasked.
//!
//! Looks at `spec.automountServiceAccountToken`. Required: an explicit `false`, whatever the service account says.
//! There are no parameters. A token that the Pod mounts by a volume of its own is left to the control of volumes.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::{Change, Edit, PodView};

/// No API token is mounted unasked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AutomountServiceAccountToken;

impl Control for AutomountServiceAccountToken {
    const NAME: &'static str = "automountServiceAccountToken";

    fn read(base: Self, _: &mut Fields<'_>, _: &mut Problems) -> Self {
        base
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let current = match pod.spec.automount_service_account_token {
            Some(false) => return,
            Some(true) => "true",
            None => "unset",
        };
        findings.push(
            Finding::new(Self::NAME, Subject::Pod, "spec.automountServiceAccountToken", current, "false")
                .fix(Edit::pod(Change::AutomountServiceAccountToken(false))),
        );
    }
}

/// `inject: {automountServiceAccountToken: false}`: on a Pod that says nothing. The token volume that the API server
/// has added by then goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectAutomountServiceAccountToken(pub bool);

impl Injection for InjectAutomountServiceAccountToken {
    const NAME: &'static str = "automountServiceAccountToken";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        bool::from_node(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if matches!(target, Target::Pod) && pod.spec.automount_service_account_token.is_none() {
            edits.push(Edit::pod(Change::AutomountServiceAccountToken(self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    const UNSET: &str = r#"{"spec": {"containers": [{"name": "a"}]}}"#;
    const TRUE: &str = r#"{"spec": {"automountServiceAccountToken": true, "containers": [{"name": "a"}]}}"#;
    const FALSE: &str = r#"{"spec": {"automountServiceAccountToken": false, "containers": [{"name": "a"}]}}"#;

    #[test]
    fn asks_for_an_explicit_false() {
        let it = AutomountServiceAccountToken;
        check(it, UNSET, &["spec.automountServiceAccountToken is unset; must be false"]);
        check(it, TRUE, &["spec.automountServiceAccountToken is true; must be false"]);
        check(it, FALSE, &[]);
        let windows = r#"{"spec": {"os": {"name": "windows"}, "containers": []}}"#;
        check(it, windows, &["spec.automountServiceAccountToken is unset; must be false"]);
    }

    #[test]
    fn injects_on_a_new_pod_that_says_nothing() {
        let it = InjectAutomountServiceAccountToken(false);
        inject(&it, UNSET, &["spec: {automountServiceAccountToken: false}"]);
        inject(&it, TRUE, &[]);
        inject(&it, FALSE, &[]);
        inject_into(&it, UNSET, Target::Ephemeral(&[0]), &[]);
    }
}
