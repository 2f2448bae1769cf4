//! `runAsGroup`: as which primary group containers run.
//!
//! `PodSecurityPolicy`. Looks at `runAsGroup` of the Pod and of every container; a value is judged where it is set.
//! Parameters: `ranges` (the allowed groups, to be said), `rule` (`may`, the default: a container may leave the group
//! to its image; `must`: every container has one, its own or the Pod's). Windows Pods have no such field.
//! The API server takes `runAsGroup` without `runAsUser`: the kubelet then takes the user from the image.

use super::finding::{Finding, Findings, Subject};
use super::range::{Limits, Rule, id};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::Node;
use crate::pod::view::ContainerList;
use crate::pod::{Change, ContainerRef, Edit, PodView};

const FIELD: &str = "securityContext.runAsGroup";

/// Containers run as certain primary groups only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunAsGroup(pub Limits);

impl Control for RunAsGroup {
    const NAME: &'static str = "runAsGroup";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self(Limits::read_ranges(base.0, fields, problems))
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if pod.is_windows() {
            return;
        }
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.run_as_group);
        let change = || self.0.first().map(Change::RunAsGroup);
        let mut push = |subject, field: String, current: String, fix| {
            let finding = Finding::new(Self::NAME, subject, field, current, self.0.required());
            findings.push(Finding { fix, ..finding });
        };
        if let Some(group) = on_pod.filter(|group| !self.0.allow(*group)) {
            push(Subject::Pod, format!("spec.{FIELD}"), group.to_string(), change().map(Edit::pod));
        }
        for (at, container) in pod.containers() {
            let subject = || Subject::container(at, container);
            match container.security_context.as_ref().and_then(|it| it.run_as_group) {
                Some(group) if !self.0.allow(group) => {
                    let fix = change().map(|change| Edit::container(at, change));
                    push(subject(), FIELD.to_owned(), group.to_string(), fix);
                }
                None if on_pod.is_none() && self.0.rule == Rule::Must => {
                    push(subject(), FIELD.to_owned(), "unset".to_owned(), change().map(Edit::pod));
                }
                _ => {}
            }
        }
    }
}

/// `inject: {runAsGroup: 1000}`: on the Pod, for all its containers, unless it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectRunAsGroup(pub i64);

impl Injection for InjectRunAsGroup {
    const NAME: &'static str = "runAsGroup";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        id(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.run_as_group).is_some();
        match target {
            Target::Pod if on_pod => {}
            Target::Pod => edits.push(Edit::pod(Change::RunAsGroup(self.0))),
            Target::Ephemeral(added) => {
                for &index in added {
                    let at = ContainerRef { list: ContainerList::Ephemeral, index };
                    if pod.container(at).is_some_and(|container| pod.run_as_group(container).is_none()) {
                        edits.push(Edit::container(at, Change::RunAsGroup(self.0)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::range::{Range, Ranges};
    use crate::control::testing::{check, inject, inject_into};

    fn ranges() -> Ranges {
        Ranges(vec![Range { min: 10, max: 19 }, Range { min: 30, max: 30 }])
    }

    #[test]
    fn judges_every_value_where_it_is_set() {
        check(
            RunAsGroup(Limits::may(ranges())),
            r#"{"spec": {"securityContext": {"runAsGroup": 0},
                "initContainers": [{"name": "i", "securityContext": {"runAsGroup": 9}}],
                "containers": [{"name": "a", "securityContext": {"runAsGroup": 30}}, {"name": "b"}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"runAsGroup": 20}}]}}"#,
            &[
                "spec.securityContext.runAsGroup is 0; must be in 10-19, 30 or unset",
                "spec.initContainers[0].securityContext.runAsGroup is 9; must be in 10-19, 30 or unset",
                "spec.ephemeralContainers[0].securityContext.runAsGroup is 20; must be in 10-19, 30 or unset",
            ],
        );
    }

    #[test]
    fn must_asks_for_an_effective_group() {
        let it = RunAsGroup(Limits::must(ranges()));
        check(
            it.clone(),
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsGroup": 10}}, {"name": "b"}]}}"#,
            &["spec.containers[1].securityContext.runAsGroup is unset; must be in 10-19, 30"],
        );
        check(it.clone(), r#"{"spec": {"securityContext": {"runAsGroup": 10}, "containers": [{"name": "a"}]}}"#, &[]);
        check(it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn injects_on_the_pod() {
        let it = InjectRunAsGroup(7);
        inject(&it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &["spec.securityContext: {runAsGroup: 7}"]);
        inject(&it, r#"{"spec": {"securityContext": {"runAsGroup": 0}, "containers": [{"name": "a"}]}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        inject_into(
            &it,
            r#"{"spec": {"containers": [], "ephemeralContainers":
                [{"name": "e"}, {"name": "f"}, {"name": "g", "securityContext": {"runAsGroup": 1}}]}}"#,
            Target::Ephemeral(&[1, 2]),
            &["spec.ephemeralContainers[1].securityContext.runAsGroup = 7"],
        );
    }
}
