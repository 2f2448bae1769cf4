//! `windowsHostProcess`: nothing runs on a Windows node outside of a container.
//!
//! Pod Security Standards, baseline. Looks at `securityContext.windowsOptions.hostProcess` of the Pod and of every
//! container, whatever operating system the Pod says it is for. Allowed: `false` and unset. There are no parameters.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Problems};
use crate::pod::view::WindowsOptions;
use crate::pod::{Change, Edit, PodView};

const FIELD: &str = "securityContext.windowsOptions.hostProcess";
const REQUIRED: &str = "false or unset";

/// No `HostProcess` containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowsHostProcess;

impl Control for WindowsHostProcess {
    const NAME: &'static str = "windowsHostProcess";

    fn read(base: Self, _: &mut Fields<'_>, _: &mut Problems) -> Self {
        base
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let is_set =
            |options: Option<WindowsOptions>| options.and_then(|it| it.host_process) == Some(true);
        if is_set(
            pod.spec
                .security_context
                .as_ref()
                .and_then(|it| it.windows_options),
        ) {
            findings.push(
                Finding::new(
                    Self::NAME,
                    Subject::Pod,
                    format!("spec.{FIELD}"),
                    "true",
                    REQUIRED,
                )
                .fix(Edit::pod(Change::HostProcess(false))),
            );
        }
        for (at, container) in pod.containers() {
            if is_set(
                container
                    .security_context
                    .as_ref()
                    .and_then(|it| it.windows_options),
            ) {
                findings.push(
                    Finding::new(
                        Self::NAME,
                        Subject::container(at, container),
                        FIELD,
                        "true",
                        REQUIRED,
                    )
                    .fix(Edit::container(at, Change::HostProcess(false))),
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
    fn denies_it_on_the_pod_and_in_every_container_list() {
        check(
            WindowsHostProcess,
            r#"{"spec": {
                "securityContext": {"windowsOptions": {"hostProcess": true}},
                "initContainers": [{"name": "i", "securityContext": {"windowsOptions": {"hostProcess": true}}}],
                "containers": [{"name": "a"}, {"name": "b", "securityContext": {"windowsOptions": {"hostProcess": true}}}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"windowsOptions": {"hostProcess": true}}}]}}"#,
            &[
                "spec.securityContext.windowsOptions.hostProcess is true; must be false or unset",
                "spec.initContainers[0].securityContext.windowsOptions.hostProcess is true; must be false or unset",
                "spec.containers[1].securityContext.windowsOptions.hostProcess is true; must be false or unset",
                "spec.ephemeralContainers[0].securityContext.windowsOptions.hostProcess is true; must be false or unset",
            ],
        );
    }

    #[test]
    fn allows_false_and_unset() {
        check(
            WindowsHostProcess,
            r#"{"spec": {"securityContext": {"windowsOptions": {"hostProcess": false}},
                         "containers": [{"name": "a", "securityContext": {"windowsOptions": {}}}]}}"#,
            &[],
        );
    }
}
