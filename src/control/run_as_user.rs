//! `runAsUser`: as which user containers run.
//!
//! Pod Security Standards, restricted (`forbidRoot`), and `PodSecurityPolicy` (`ranges`). Looks at `runAsUser` of the
//! Pod and of every container; a value is judged where it is set, even where it is overridden.
//! Parameters: `ranges` (the allowed users, `[{min: 1000, max: 65535}]`), `rule` (`may`, the default: a container may
//! leave the user to its image; `must`: every container has one, its own or the Pod's), `forbidRoot` (0 is a finding
//! everywhere), `relaxInUserNamespace` (nothing is asked of a Pod with `hostUsers: false`, as Pod Security Standards
//! v1.35). One of `ranges` and `forbidRoot` has to be said. Windows Pods have no such field and are skipped.

use super::finding::{Finding, Findings, Subject};
use super::range::{Limits, Ranges, Rule, id};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{Node, Problem};
use crate::pod::view::ContainerList;
use crate::pod::{Change, Container, ContainerRef, Edit, PodView};

const FIELD: &str = "securityContext.runAsUser";

/// Containers run as certain users only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunAsUser {
    /// The allowed users, and whether there has to be one.
    pub limits: Limits,
    /// User 0 is refused wherever it is set.
    pub forbid_root: bool,
    /// Nothing is asked of a Pod with a user namespace of its own.
    pub relax_in_user_namespace: bool,
}

impl Control for RunAsUser {
    const NAME: &'static str = "runAsUser";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let known = problems.len();
        let it = Self {
            limits: Limits::read(base.limits, fields, problems),
            forbid_root: fields.optional("forbidRoot", problems).unwrap_or(base.forbid_root),
            relax_in_user_namespace: fields
                .optional("relaxInUserNamespace", problems)
                .unwrap_or(base.relax_in_user_namespace),
        };
        if problems.len() == known && it.limits.ranges.is_none() && !it.forbid_root {
            problems.push(
                Problem::new(fields.span(), "without ranges or forbidRoot no user is refused")
                    .hint("say ranges or forbidRoot"),
            );
        } else if it.forbid_root && it.limits.ranges.is_some() && it.first(true).is_none() {
            problems.push(Problem::new(fields.span(), "the ranges hold no user but 0, which forbidRoot refuses"));
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.relax_in_user_namespace && pod.has_user_namespace() {
            return;
        }
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.run_as_user);
        let is_non_root = |container: &Container<'_>| pod.run_as_non_root(container).is_some_and(|it| it.value);
        let pod_fix = || {
            let user = self.first(pod.containers().any(|(_, container)| is_non_root(container)))?;
            Some(Edit::pod(Change::RunAsUser(user)))
        };
        let mut push = |subject, field: String, current: String, fix: Option<Edit<'static>>| {
            let finding = Finding::new(Self::NAME, subject, field, current, self.required());
            // The API server refuses the field on a Windows Pod, whatever it says.
            findings.push(Finding { fix: fix.filter(|_| !pod.is_windows()), ..finding });
        };
        if let Some(user) = on_pod.filter(|user| !self.allows(*user)) {
            push(Subject::Pod, format!("spec.{FIELD}"), user.to_string(), pod_fix());
        }
        for (at, container) in pod.containers() {
            let subject = || Subject::container(at, container);
            match container.security_context.as_ref().and_then(|it| it.run_as_user) {
                Some(user) if !self.allows(user) => {
                    let fix = self.first(is_non_root(container));
                    let fix = fix.map(|user| Edit::container(at, Change::RunAsUser(user)));
                    push(subject(), FIELD.to_owned(), user.to_string(), fix);
                }
                None if on_pod.is_none() && self.limits.rule == Rule::Must && !pod.is_windows() => {
                    push(subject(), FIELD.to_owned(), "unset".to_owned(), pod_fix());
                }
                _ => {}
            }
        }
    }
}

// === impl RunAsUser ===

impl RunAsUser {
    fn allows(&self, user: i64) -> bool {
        self.limits.allow(user) && !(self.forbid_root && user == 0)
    }

    /// The user to suggest; never root beside `runAsNonRoot`, with which no container would start.
    fn first(&self, is_non_root: bool) -> Option<i64> {
        if is_non_root || self.forbid_root {
            self.limits.ranges.as_ref().and_then(Ranges::first_but_root)
        } else {
            self.limits.first()
        }
    }

    fn required(&self) -> String {
        let root_in_ranges = self.limits.ranges.as_ref().is_some_and(|it| it.contains(0));
        let may = self.limits.rule == Rule::May;
        match &self.limits.ranges {
            None if may => "non-zero or unset".to_owned(),
            None => "non-zero".to_owned(),
            Some(ranges) if self.forbid_root && root_in_ranges => {
                let unset = if may { ", or unset" } else { "" };
                format!("{} and non-zero{unset}", ranges.required())
            }
            Some(_) => self.limits.required(),
        }
    }
}

/// `inject: {runAsUser: 1000}`: on the Pod, for all its containers, unless it has one. User 0 is not written beside an
/// effective `runAsNonRoot: true`, with which the kubelet would refuse to start it: the other containers get it each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectRunAsUser(pub i64);

impl Injection for InjectRunAsUser {
    const NAME: &'static str = "runAsUser";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        id(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let context = pod.spec.security_context.as_ref();
        let change = || Change::RunAsUser(self.0);
        let is_refused =
            |container: &Container<'_>| self.0 == 0 && pod.run_as_non_root(container).is_some_and(|it| it.value);
        let is_unset = |container: &Container<'_>| pod.run_as_user(container).is_none();
        let is_open = |container: &Container<'_>| is_unset(container) && !is_refused(container);
        let pod_refuses = || {
            (self.0 == 0 && context.and_then(|it| it.run_as_non_root) == Some(true))
                || pod.containers().any(|(_, container)| is_unset(container) && is_refused(container))
        };
        match target {
            Target::Pod if context.and_then(|it| it.run_as_user).is_some() => {}
            Target::Pod if pod_refuses() => {
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
    use crate::control::range::Range;
    use crate::control::testing::{check, inject, inject_into};

    fn ranges(min: i64, max: i64) -> Ranges {
        Ranges(vec![Range { min, max }])
    }

    #[test]
    fn judges_every_value_where_it_is_set() {
        let it = RunAsUser { limits: Limits::may(ranges(1000, 2000)), ..RunAsUser::default() };
        check(
            it.clone(),
            r#"{"spec": {"securityContext": {"runAsUser": 7},
                "initContainers": [{"name": "i", "securityContext": {"runAsUser": 999}}],
                "containers": [{"name": "a", "securityContext": {"runAsUser": 1000}}, {"name": "b"},
                               {"name": "c", "securityContext": {"runAsUser": 2001}}],
                "ephemeralContainers": [{"name": "e", "securityContext": {"runAsUser": 0}}]}}"#,
            &[
                "spec.securityContext.runAsUser is 7; must be in 1000-2000 or unset",
                "spec.initContainers[0].securityContext.runAsUser is 999; must be in 1000-2000 or unset",
                "spec.containers[2].securityContext.runAsUser is 2001; must be in 1000-2000 or unset",
                "spec.ephemeralContainers[0].securityContext.runAsUser is 0; must be in 1000-2000 or unset",
            ],
        );
        check(it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn must_asks_for_an_effective_user() {
        let it = RunAsUser { limits: Limits::must(ranges(5, 5)), ..RunAsUser::default() };
        check(
            it.clone(),
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 5}}, {"name": "b"}],
                         "ephemeralContainers": [{"name": "e", "securityContext": {}}]}}"#,
            &[
                "spec.containers[1].securityContext.runAsUser is unset; must be 5",
                "spec.ephemeralContainers[0].securityContext.runAsUser is unset; must be 5",
            ],
        );
        let inherited = r#"{"spec": {"securityContext": {"runAsUser": 5}, "containers": [{"name": "a"}]}}"#;
        check(it.clone(), inherited, &[]);
        check(it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn root_is_told_even_where_it_is_overridden() {
        let it = RunAsUser { forbid_root: true, ..RunAsUser::default() };
        check(
            it.clone(),
            r#"{"spec": {"securityContext": {"runAsUser": 0},
                         "containers": [{"name": "a", "securityContext": {"runAsUser": 1}}]}}"#,
            &["spec.securityContext.runAsUser is 0; must be non-zero or unset"],
        );
        let ranged = RunAsUser { limits: Limits::must(ranges(0, 9)), ..it.clone() };
        check(
            ranged,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": 0}}, {"name": "b"}]}}"#,
            &[
                "spec.containers[0].securityContext.runAsUser is 0; must be in 0-9 and non-zero",
                "spec.containers[1].securityContext.runAsUser is unset; must be in 0-9 and non-zero",
            ],
        );
        let relaxed = RunAsUser { relax_in_user_namespace: true, ..it.clone() };
        let pod = r#"{"spec": {"hostUsers": false, "securityContext": {"runAsUser": 0}, "containers": []}}"#;
        check(relaxed, pod, &[]);
        check(it, pod, &["spec.securityContext.runAsUser is 0; must be non-zero or unset"]);
    }

    #[test]
    fn injects_on_the_pod() {
        let it = InjectRunAsUser(7);
        inject(&it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &["spec.securityContext: {runAsUser: 7}"]);
        inject(&it, r#"{"spec": {"securityContext": {"runAsUser": 0}, "containers": [{"name": "a"}]}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        inject_into(
            &it,
            r#"{"spec": {"containers": [{"name": "a"}], "ephemeralContainers":
                [{"name": "e"}, {"name": "f"}, {"name": "g", "securityContext": {"runAsUser": 1}}]}}"#,
            Target::Ephemeral(&[1, 2, 3]),
            &["spec.ephemeralContainers[1].securityContext.runAsUser = 7"],
        );
    }

    #[test]
    fn never_injects_root_beside_run_as_non_root() {
        let it = InjectRunAsUser(0);
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}, {"name": "b"}]}}"#,
            &["spec.containers[1].securityContext.runAsUser = 0"],
        );
        let strict = r#"{"spec": {"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "a"}],
                                  "ephemeralContainers": [{"name": "e"}]}}"#;
        inject(&it, strict, &[]);
        inject_into(&it, strict, Target::Ephemeral(&[0]), &[]);
        inject(&InjectRunAsUser(1), strict, &["spec.securityContext: {runAsUser: 1}"]);
    }
}
