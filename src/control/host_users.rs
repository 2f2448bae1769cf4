//! `hostUsers`: the Pod has a user namespace of its own, so that its root is nobody on the node.
//!
//! Looks at `spec.hostUsers`. Required: `false`. There are no parameters.
//! A Pod that shares a namespace or a block device of the node is told too, but without a fix: the API server refuses
//! `hostUsers: false` beside `hostNetwork`, `hostPID`, `hostIPC` and `volumeDevices`. Windows Pods have no such field and are skipped.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node, Problem};
use crate::pod::{Change, Edit, PodView};

/// Every Pod has a user namespace of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostUsers;

impl Control for HostUsers {
    const NAME: &'static str = "hostUsers";

    fn read(base: Self, _: &mut Fields<'_>, _: &mut Problems) -> Self {
        base
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if pod.is_windows() || pod.has_user_namespace() {
            return;
        }
        let current = pod.spec.host_users.map_or("unset".to_owned(), |it| it.to_string());
        let finding = Finding::new(Self::NAME, Subject::Pod, "spec.hostUsers", current, "false");
        let fix = (!shares_node(pod)).then(|| Edit::pod(Change::HostUsers(false)));
        findings.push(Finding { fix, ..finding });
    }
}

/// True if the Pod shares what the API server takes no `hostUsers: false` beside.
fn shares_node(pod: &PodView<'_>) -> bool {
    let spec = &pod.spec;
    [spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true))
        || pod.containers().any(|(_, container)| !container.volume_devices.is_empty())
}

/// `inject: {hostUsers: false}`: on a Pod that says nothing and shares nothing of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectHostUsers;

impl Injection for InjectHostUsers {
    const NAME: &'static str = "hostUsers";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if bool::from_node(node, problems)? {
            let problem = Problem::new(node.span, "hostUsers can only be injected as false");
            problems.push(problem.hint("true is what a Pod without it gets"));
            return None;
        }
        Some(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        let is_open = pod.spec.host_users.is_none() && !shares_node(pod) && !pod.is_windows();
        if matches!(target, Target::Pod) && is_open {
            edits.push(Edit::pod(Change::HostUsers(false)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    const UNSET: &str = r#"{"spec": {"containers": [{"name": "a"}]}}"#;
    const WINDOWS: &str = r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#;

    #[test]
    fn asks_for_a_user_namespace() {
        check(HostUsers, UNSET, &["spec.hostUsers is unset; must be false"]);
        check(HostUsers, r#"{"spec": {"hostUsers": true}}"#, &["spec.hostUsers is true; must be false"]);
        check(HostUsers, r#"{"spec": {"hostUsers": false}}"#, &[]);
        check(HostUsers, WINDOWS, &[]);
    }

    #[test]
    fn offers_no_fix_and_injects_nothing_where_the_api_server_would_refuse_it() {
        let device = r#"{"name": "a", "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}]}"#;
        for field in [
            r#""hostNetwork": true"#,
            r#""hostPID": true"#,
            r#""hostIPC": true"#,
            &format!(r#""containers": [{device}]"#),
            &format!(r#""initContainers": [{device}]"#),
        ] {
            let text = format!(r#"{{"spec": {{{field}}}}}"#);
            let pod: PodView<'_> = crate::pod::json::from_str(&text).expect("a Pod");
            let mut findings = Findings::default();
            HostUsers.check(&pod, &mut findings);
            let fixes: Vec<_> = findings.into_vec().into_iter().map(|it| it.fix).collect();
            assert_eq!(fixes, [None], "{field}");
            inject(&InjectHostUsers, &text, &[]);
        }
    }

    #[test]
    fn injects_on_a_new_pod_that_says_nothing() {
        inject(&InjectHostUsers, UNSET, &["spec: {hostUsers: false}"]);
        inject(&InjectHostUsers, r#"{"spec": {"hostNetwork": false}}"#, &["spec: {hostUsers: false}"]);
        let no_device = r#"{"spec": {"containers": [{"name": "a", "volumeDevices": []}, {"name": "b", "volumeDevices": null}]}}"#;
        inject(&InjectHostUsers, no_device, &["spec: {hostUsers: false}"]);
        inject(&InjectHostUsers, r#"{"spec": {"hostUsers": true}}"#, &[]);
        inject(&InjectHostUsers, WINDOWS, &[]);
        inject_into(&InjectHostUsers, UNSET, Target::Ephemeral(&[0]), &[]);
    }
}
