//! `procMount`: what of `/proc` the runtime hides stays hidden.
//!
//! Pod Security Standards, baseline. Looks at `securityContext.procMount` of every container. Unset is allowed.
//! Parameters: `allowed` (of `Default` and `Unmasked`; `[Default]` if not said otherwise), `relaxInUserNamespace`
//! (nothing is asked of a Pod with `hostUsers: false`, as Pod Security Standards v1.35, baseline).

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Problems};
use crate::document::{FromNode, Node, one_of};
use crate::pod::{Change, Edit, PodView};

/// Which kinds of `/proc` a container may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcMount {
    /// Allowed if set.
    pub allowed: Vec<String>,
    /// Nothing is asked of a Pod with a user namespace of its own.
    pub relax_in_user_namespace: bool,
}

/// `Default` or `Unmasked`.
struct Kind(&'static str);

const DEFAULT: &str = "Default";

impl Default for ProcMount {
    fn default() -> Self {
        Self { allowed: vec![DEFAULT.to_owned()], relax_in_user_namespace: false }
    }
}

impl Control for ProcMount {
    const NAME: &'static str = "procMount";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let allowed: Option<Vec<Kind>> = fields.optional("allowed", problems);
        Self {
            allowed: allowed.map_or(base.allowed, |list| list.into_iter().map(|it| it.0.to_owned()).collect()),
            relax_in_user_namespace: fields
                .optional("relaxInUserNamespace", problems)
                .unwrap_or(base.relax_in_user_namespace),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.relax_in_user_namespace && pod.has_user_namespace() {
            return;
        }
        let is_allowed = |kind: &str| self.allowed.iter().any(|it| it == kind);
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.proc_mount.as_ref());
            let Some(kind) = own.filter(|it| !is_allowed(it)) else {
                continue;
            };
            let required = self.allowed.iter().map(String::as_str).chain(["unset"]).collect::<Vec<_>>().join(" or ");
            let subject = Subject::container(at, container);
            let current = format!("{:?}", &**kind);
            let mut finding = Finding::new(Self::NAME, subject, "securityContext.procMount", current, required)
                .values([&**kind]);
            // The API server refuses the field on a Windows Pod, whatever it says.
            if is_allowed(DEFAULT) && !pod.is_windows() {
                finding = finding.fix(Edit::container(at, Change::ProcMount(DEFAULT)));
            }
            findings.push(finding);
        }
    }
}

impl FromNode for Kind {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        one_of(node, "procMount", &[(DEFAULT, DEFAULT), ("Unmasked", "Unmasked")], problems).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::check;

    const POD: &str = r#"{"spec": {
        "hostUsers": false,
        "initContainers": [{"name": "i", "securityContext": {"procMount": "Unmasked"}}],
        "containers": [{"name": "a", "securityContext": {"procMount": "Default"}}, {"name": "b"}],
        "ephemeralContainers": [{"name": "e", "securityContext": {"procMount": "new"}}]}}"#;

    #[test]
    fn denies_all_but_the_default() {
        check(
            ProcMount::default(),
            POD,
            &[
                "spec.initContainers[0].securityContext.procMount is \"Unmasked\"; must be Default or unset",
                "spec.ephemeralContainers[0].securityContext.procMount is \"new\"; must be Default or unset",
            ],
        );
    }

    #[test]
    fn allows_what_the_policy_allows() {
        let both = ["Default", "Unmasked"].map(str::to_owned).to_vec();
        check(
            ProcMount { allowed: both, ..ProcMount::default() },
            POD,
            &["spec.ephemeralContainers[0].securityContext.procMount is \"new\"; must be Default or Unmasked or unset"],
        );
        check(ProcMount { relax_in_user_namespace: true, ..ProcMount::default() }, POD, &[]);
        check(
            ProcMount { relax_in_user_namespace: true, ..ProcMount::default() },
            r#"{"spec": {"os": {"name": "windows"},
                         "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}]}}"#,
            &["spec.containers[0].securityContext.procMount is \"Unmasked\"; must be Default or unset"],
        );
    }
}
