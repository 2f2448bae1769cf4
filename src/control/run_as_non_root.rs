//! `runAsNonRoot`: the kubelet refuses to start a container as root.
//!
//! Pod Security Standards, restricted. Looks at `runAsNonRoot` of the Pod and of every container.
//! Required: effective `true` for every container; an explicit `false` is a finding even where it is overridden.
//! Parameters: `acceptRunAsUser` (an effective non-zero `runAsUser` is enough, as it was for `PodSecurityPolicy`),
//! `relaxInUserNamespace` (nothing is asked of a Pod with `hostUsers: false`, as Pod Security Standards v1.35).

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::view::ContainerList;
use crate::pod::{Change, ContainerRef, Edit, PodView};

const FIELD: &str = "securityContext.runAsNonRoot";

/// No container runs as root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunAsNonRoot {
    /// An effective non-zero `runAsUser` is enough.
    pub accept_run_as_user: bool,
    /// Nothing is asked of a Pod with a user namespace of its own.
    pub relax_in_user_namespace: bool,
}

impl Control for RunAsNonRoot {
    const NAME: &'static str = "runAsNonRoot";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            accept_run_as_user: fields.optional("acceptRunAsUser", problems).unwrap_or(base.accept_run_as_user),
            relax_in_user_namespace: fields
                .optional("relaxInUserNamespace", problems)
                .unwrap_or(base.relax_in_user_namespace),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.relax_in_user_namespace && pod.has_user_namespace() {
            return;
        }
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.run_as_non_root);
        if on_pod == Some(false) {
            findings.push(
                Finding::new(Self::NAME, Subject::Pod, format!("spec.{FIELD}"), "false", "true")
                    .fix(Edit::pod(Change::RunAsNonRoot(true))),
            );
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.run_as_non_root);
            let has_user = || self.accept_run_as_user && pod.run_as_user(container).is_some_and(|it| it.value != 0);
            match own {
                Some(false) => findings.push(
                    Finding::new(Self::NAME, Subject::container(at, container), FIELD, "false", "true")
                        .fix(Edit::container(at, Change::RunAsNonRoot(true))),
                ),
                None if on_pod.is_none() && !has_user() => {
                    findings.push(
                        Finding::new(Self::NAME, Subject::container(at, container), FIELD, "unset", "true")
                            .fix(Edit::pod(Change::RunAsNonRoot(true))),
                    );
                }
                _ => {}
            }
        }
    }
}

/// `inject: {runAsNonRoot: true}`: on the Pod, unless a container runs as user 0 and would no longer start;
/// then on each of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectRunAsNonRoot(pub bool);

impl Injection for InjectRunAsNonRoot {
    const NAME: &'static str = "runAsNonRoot";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        bool::from_node(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.run_as_non_root).is_some();
        let change = || Change::RunAsNonRoot(self.0);
        let is_root = |container| self.0 && pod.run_as_user(container).is_some_and(|user| user.value == 0);
        let is_open = |container| pod.run_as_non_root(container).is_none() && !is_root(container);
        match target {
            Target::Pod if on_pod => {}
            Target::Pod if pod.containers().any(|(_, container)| is_root(container)) => {
                for (at, _) in pod.containers().filter(|(_, container)| is_open(container)) {
                    edits.push(Edit::container(at, change()));
                }
            }
            Target::Pod => edits.push(Edit::pod(change())),
            Target::Ephemeral(added) => {
                for &index in added {
                    let at = ContainerRef { list: ContainerList::Ephemeral, index };
                    if pod.container(at).is_some_and(is_open) {
                        edits.push(Edit::container(at, change()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject};

    #[test]
    fn a_container_inherits_from_the_pod_but_an_explicit_false_is_told() {
        let one = RunAsNonRoot::default();
        check(
            one,
            r#"{"spec": {"securityContext": {"runAsNonRoot": true},
                         "containers": [{"name": "a"}, {"name": "b", "securityContext": {"runAsNonRoot": false}}]}}"#,
            &["spec.containers[1].securityContext.runAsNonRoot is false; must be true"],
        );
        check(
            one,
            r#"{"spec": {"securityContext": {"runAsNonRoot": false},
                         "containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}]}}"#,
            &["spec.securityContext.runAsNonRoot is false; must be true"],
        );
        check(
            one,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 1}}]}}"#,
            &["spec.containers[0].securityContext.runAsNonRoot is unset; must be true"],
        );
    }

    #[test]
    fn a_user_other_than_root_may_be_enough() {
        let lenient = RunAsNonRoot { accept_run_as_user: true, ..RunAsNonRoot::default() };
        check(lenient, r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 1}}]}}"#, &[]);
        check(
            lenient,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 0}}]}}"#,
            &["spec.containers[0].securityContext.runAsNonRoot is unset; must be true"],
        );
    }

    #[test]
    fn a_user_namespace_relaxes_it_where_the_policy_says_so() {
        let relaxed = RunAsNonRoot { relax_in_user_namespace: true, ..RunAsNonRoot::default() };
        let pod = r#"{"spec": {"hostUsers": false, "containers": [{"name": "a"}]}}"#;
        check(relaxed, pod, &[]);
        check(
            RunAsNonRoot::default(),
            pod,
            &["spec.containers[0].securityContext.runAsNonRoot is unset; must be true"],
        );
    }

    #[test]
    fn injects_on_the_pod_unless_a_container_runs_as_root() {
        let it = InjectRunAsNonRoot(true);
        inject(&it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &["spec.securityContext: {runAsNonRoot: true}"]);
        inject(&it, r#"{"spec": {"securityContext": {"runAsNonRoot": false}, "containers": [{"name": "a"}]}}"#, &[]);
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 0}}, {"name": "b"}]}}"#,
            &["spec.containers[1].securityContext.runAsNonRoot = true"],
        );
    }
}
