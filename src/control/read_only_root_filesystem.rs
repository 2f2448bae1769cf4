//! `readOnlyRootFilesystem`: nothing is written to the files of the image.
//!
//! Not part of the Pod Security Standards; `PodSecurityPolicy` had it. Looks at
//! `securityContext.readOnlyRootFilesystem` of every container, on any Pod that is not for Windows.
//! Required: `true`; unset is not enough. There are no parameters.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::{Change, Container, Edit, PodView};

/// The image's own files stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOnlyRootFilesystem;

impl Control for ReadOnlyRootFilesystem {
    const NAME: &'static str = "readOnlyRootFilesystem";

    fn read(base: Self, _: &mut Fields<'_>, _: &mut Problems) -> Self {
        base
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if pod.is_windows() {
            return;
        }
        for (at, container) in pod.containers() {
            let current = match own(container) {
                Some(true) => continue,
                Some(false) => "false",
                None => "unset",
            };
            let subject = Subject::container(at, container);
            findings.push(
                Finding::new(Self::NAME, subject, "securityContext.readOnlyRootFilesystem", current, "true")
                    .fix(Edit::container(at, Change::ReadOnlyRootFilesystem(true))),
            );
        }
    }
}

/// `inject: {readOnlyRootFilesystem: true}`: into each container without a value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectReadOnlyRootFilesystem(pub bool);

impl Injection for InjectReadOnlyRootFilesystem {
    const NAME: &'static str = "readOnlyRootFilesystem";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        bool::from_node(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        for (at, _) in target.containers(pod).filter(|(_, container)| own(container).is_none()) {
            edits.push(Edit::container(at, Change::ReadOnlyRootFilesystem(self.0)));
        }
    }
}

fn own(container: &Container<'_>) -> Option<bool> {
    container.security_context.as_ref()?.read_only_root_filesystem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    const POD: &str = r#"{"spec": {
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "a", "securityContext": {"readOnlyRootFilesystem": true}},
                       {"name": "b", "securityContext": {"readOnlyRootFilesystem": false}}],
        "ephemeralContainers": [{"name": "e"}, {"name": "f"}]}}"#;
    const WINDOWS: &str = r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#;

    #[test]
    fn asks_every_container() {
        check(
            ReadOnlyRootFilesystem,
            POD,
            &[
                "spec.initContainers[0].securityContext.readOnlyRootFilesystem is unset; must be true",
                "spec.containers[1].securityContext.readOnlyRootFilesystem is false; must be true",
                "spec.ephemeralContainers[0].securityContext.readOnlyRootFilesystem is unset; must be true",
                "spec.ephemeralContainers[1].securityContext.readOnlyRootFilesystem is unset; must be true",
            ],
        );
        check(ReadOnlyRootFilesystem, WINDOWS, &[]);
    }

    #[test]
    fn injects_where_unset() {
        let it = InjectReadOnlyRootFilesystem(true);
        inject(
            &it,
            POD,
            &[
                "spec.initContainers[0].securityContext.readOnlyRootFilesystem = true",
                "spec.ephemeralContainers[0].securityContext.readOnlyRootFilesystem = true",
                "spec.ephemeralContainers[1].securityContext.readOnlyRootFilesystem = true",
            ],
        );
        inject_into(
            &it,
            POD,
            Target::Ephemeral(&[0]),
            &["spec.ephemeralContainers[0].securityContext.readOnlyRootFilesystem = true"],
        );
        inject(&it, WINDOWS, &[]);
    }
}
