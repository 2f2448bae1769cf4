//! `hostNamespaces`: the Pod sees neither the node's network nor its processes nor its IPC.
//!
//! Pod Security Standards, baseline. Looks at `spec.hostNetwork`, `spec.hostPID` and `spec.hostIPC`.
//! Allowed: `false` and unset. Parameters: `allowed` (those that a Pod may share all the same: `network`, `pid`,
//! `ipc`; default none).

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Problems};
use crate::document::{FromNode, Node, one_of};
use crate::pod::{Change, Edit, PodView};

/// No namespaces of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNamespaces {
    /// Those that a Pod may share with the node.
    pub allowed: Vec<HostNamespace>,
}

/// A namespace of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNamespace {
    /// `hostNetwork`.
    Network,
    /// `hostPID`.
    Pid,
    /// `hostIPC`.
    Ipc,
}

impl Control for HostNamespaces {
    const NAME: &'static str = "hostNamespaces";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let spec = &pod.spec;
        for (namespace, field, value, change) in [
            (
                HostNamespace::Network,
                "spec.hostNetwork",
                spec.host_network,
                Change::HostNetwork(false),
            ),
            (
                HostNamespace::Pid,
                "spec.hostPID",
                spec.host_pid,
                Change::HostPid(false),
            ),
            (
                HostNamespace::Ipc,
                "spec.hostIPC",
                spec.host_ipc,
                Change::HostIpc(false),
            ),
        ] {
            if value == Some(true) && !self.allowed.contains(&namespace) {
                findings.push(
                    Finding::new(Self::NAME, Subject::Pod, field, "true", "false or unset")
                        .fix(Edit::pod(change)),
                );
            }
        }
    }
}

impl FromNode for HostNamespace {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("network", Self::Network),
            ("pid", Self::Pid),
            ("ipc", Self::Ipc),
        ];
        one_of(node, "namespace", &choices, problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, read_over};

    #[test]
    fn denies_each_and_allows_what_is_off() {
        let none = HostNamespaces::default;
        check(none(), r#"{"spec": {"containers": []}}"#, &[]);
        check(
            none(),
            r#"{"spec": {"hostNetwork": false, "hostPID": false, "hostIPC": false}}"#,
            &[],
        );
        check(
            none(),
            r#"{"spec": {"hostNetwork": true, "hostPID": true, "hostIPC": true}}"#,
            &[
                "spec.hostNetwork is true; must be false or unset",
                "spec.hostPID is true; must be false or unset",
                "spec.hostIPC is true; must be false or unset",
            ],
        );
    }

    #[test]
    fn allows_the_ones_that_are_named() {
        let some = read_over(HostNamespaces::default(), "allowed: [network, ipc]");
        let expected = HostNamespaces {
            allowed: vec![HostNamespace::Network, HostNamespace::Ipc],
        };
        assert_eq!(some, Ok(expected.clone()));
        check(
            expected,
            r#"{"spec": {"hostNetwork": true, "hostPID": true, "hostIPC": true}}"#,
            &["spec.hostPID is true; must be false or unset"],
        );
        assert!(read_over(HostNamespaces::default(), "allowed: [hostPID]").is_err());
    }
}
