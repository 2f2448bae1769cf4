//! `privileged`: no container has all the node's powers.
//!
//! Pod Security Standards, baseline. Looks at `securityContext.privileged` of every container.
//! Allowed: `false` and unset. There are no parameters: a policy that allows it leaves the control out.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Problems};
use crate::pod::{Change, Edit, PodView};

/// No privileged containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privileged;

impl Control for Privileged {
    const NAME: &'static str = "privileged";

    fn read(base: Self, _: &mut Fields<'_>, _: &mut Problems) -> Self {
        base
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        for (at, container) in pod.containers() {
            if container.security_context.as_ref().and_then(|it| it.privileged) == Some(true) {
                let subject = Subject::container(at, container);
                findings.push(
                    Finding::new(Self::NAME, subject, "securityContext.privileged", "true", "false or unset")
                        .fix(Edit::container(at, Change::Privileged(false))),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::check;

    #[test]
    fn denies_it_in_every_container_list() {
        check(
            Privileged,
            r#"{"spec": {
                "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
                "containers": [{"name": "a", "securityContext": {"privileged": false}}, {"name": "b"},
                               {"name": "c", "securityContext": {"privileged": true}}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"privileged": true}}]}}"#,
            &[
                "spec.initContainers[0].securityContext.privileged is true; must be false or unset",
                "spec.containers[2].securityContext.privileged is true; must be false or unset",
                "spec.ephemeralContainers[0].securityContext.privileged is true; must be false or unset",
            ],
        );
    }
}
