//! `allowPrivilegeEscalation`: no process gains more than its parent had (`no_new_privs`).
//!
//! Pod Security Standards, restricted since v1.8. Looks at `securityContext.allowPrivilegeEscalation` of every
//! container. Required: `false`; unset is not enough, since it means `true`.
//! Parameters: `skipWindows` (nothing is asked of a Pod for Windows; `true` if not said otherwise, `false` for
//! restricted before v1.25).

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::{Change, Container, Edit, PodView};

/// No privilege escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowPrivilegeEscalation {
    /// Nothing is asked of a Pod for Windows.
    pub skip_windows: bool,
}

impl Default for AllowPrivilegeEscalation {
    fn default() -> Self {
        Self { skip_windows: true }
    }
}

impl Control for AllowPrivilegeEscalation {
    const NAME: &'static str = "allowPrivilegeEscalation";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self { skip_windows: fields.optional("skipWindows", problems).unwrap_or(base.skip_windows) }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.skip_windows && pod.is_windows() {
            return;
        }
        for (at, container) in pod.containers() {
            let current = match own(container) {
                Some(false) => continue,
                Some(true) => "true",
                None => "unset",
            };
            let subject = Subject::container(at, container);
            let mut finding =
                Finding::new(Self::NAME, subject, "securityContext.allowPrivilegeEscalation", current, "false");
            // The API server refuses the field on a Windows Pod, whatever it says.
            if may_be_false(container) && !pod.is_windows() {
                finding = finding.fix(Edit::container(at, Change::AllowPrivilegeEscalation(false)));
            }
            findings.push(finding);
        }
    }
}

/// `inject: {allowPrivilegeEscalation: false}`: into each container without a value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectAllowPrivilegeEscalation(pub bool);

impl Injection for InjectAllowPrivilegeEscalation {
    const NAME: &'static str = "allowPrivilegeEscalation";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        bool::from_node(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        for (at, container) in target.containers(pod) {
            if own(container).is_none() && (self.0 || may_be_false(container)) {
                edits.push(Edit::container(at, Change::AllowPrivilegeEscalation(self.0)));
            }
        }
    }
}

fn own(container: &Container<'_>) -> Option<bool> {
    container.security_context.as_ref()?.allow_privilege_escalation
}

/// False beside what escalates anyway: the API server refuses the two together.
fn may_be_false(container: &Container<'_>) -> bool {
    let Some(context) = &container.security_context else {
        return true;
    };
    let mut added = context.capabilities.iter().flat_map(|it| &it.add);
    context.privileged != Some(true) && !added.any(|it| matches!(&**it, "SYS_ADMIN" | "CAP_SYS_ADMIN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    #[test]
    fn asks_every_container_for_an_explicit_false() {
        check(
            AllowPrivilegeEscalation::default(),
            r#"{"spec": {
                "initContainers": [{"name": "i"}],
                "containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": false}},
                               {"name": "b", "securityContext": {"allowPrivilegeEscalation": true}}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"privileged": true}}]}}"#,
            &[
                "spec.initContainers[0].securityContext.allowPrivilegeEscalation is unset; must be false",
                "spec.containers[1].securityContext.allowPrivilegeEscalation is true; must be false",
                "spec.ephemeralContainers[0].securityContext.allowPrivilegeEscalation is unset; must be false",
            ],
        );
        check(
            AllowPrivilegeEscalation::default(),
            r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#,
            &[],
        );
    }

    #[test]
    fn offers_no_fix_that_the_api_server_refuses() {
        for context in [r#"{"privileged": true}"#, r#"{"capabilities": {"add": ["CAP_SYS_ADMIN"]}}"#] {
            let json = format!(r#"{{"spec": {{"containers": [{{"name": "a", "securityContext": {context}}}]}}}}"#);
            let Ok(pod) = crate::pod::json::from_str::<PodView<'_>>(&json) else { unreachable!("{json}") };
            let mut findings = Findings::default();
            AllowPrivilegeEscalation::default().check(&pod, &mut findings);
            let fixes: Vec<_> = findings.into_vec().into_iter().map(|it| it.fix).collect();
            assert_eq!(fixes, [None]);
        }
    }

    #[test]
    fn injects_where_unset_and_accepted() {
        let pod = r#"{"spec": {
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": true}},
                           {"name": "b", "securityContext": {"privileged": true}},
                           {"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
            "ephemeralContainers": [{"name": "e"}, {"name": "f"}]}}"#;
        let it = InjectAllowPrivilegeEscalation(false);
        inject(
            &it,
            pod,
            &[
                "spec.initContainers[0].securityContext.allowPrivilegeEscalation = false",
                "spec.ephemeralContainers[0].securityContext.allowPrivilegeEscalation = false",
                "spec.ephemeralContainers[1].securityContext.allowPrivilegeEscalation = false",
            ],
        );
        inject_into(
            &it,
            pod,
            Target::Ephemeral(&[1]),
            &["spec.ephemeralContainers[1].securityContext.allowPrivilegeEscalation = false"],
        );
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        inject(
            &InjectAllowPrivilegeEscalation(true),
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"privileged": true}}]}}"#,
            &["spec.containers[0].securityContext.allowPrivilegeEscalation = true"],
        );
    }
}
