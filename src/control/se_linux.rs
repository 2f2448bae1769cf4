//! `seLinux`: containers run under an SELinux label that confines them.
//!
//! Pod Security Standards, baseline. Looks at `seLinuxOptions` of the Pod and of every container, each place by itself.
//! Parameters: `allowedTypes` (which `type` may be set; unset and empty always may; default any), `allowUser` and
//! `allowRole` (may `user` and `role` be set; default true). The level is free.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode as _, Node, Problem};
use crate::pod::view::{ContainerList, SeLinuxOptions};
use crate::pod::{Change, ContainerRef, Edit, PodView, Text};

const FIELD: &str = "securityContext.seLinuxOptions";

/// Only these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeLinux {
    /// `None`: any.
    pub allowed_types: Option<Vec<String>>,
    /// `user` may be set.
    pub allow_user: bool,
    /// `role` may be set.
    pub allow_role: bool,
}

impl Default for SeLinux {
    fn default() -> Self {
        Self { allowed_types: None, allow_user: true, allow_role: true }
    }
}

impl SeLinux {
    fn check_at(&self, subject: &Subject, base: &str, options: &SeLinuxOptions<'_>, findings: &mut Findings) {
        let is_set = |it: &Option<Text<'_>>| it.as_ref().filter(|it| !it.is_empty()).map(|it| format!("{:?}", &**it));
        if let (Some(allowed), Some(kind)) = (&self.allowed_types, options.kind.as_deref())
            && !kind.is_empty()
            && !allowed.iter().any(|it| it == kind)
        {
            let required = if allowed.is_empty() { "unset".to_owned() } else { format!("unset or {}", allowed.join(" or ")) };
            findings.push(Finding::new(Self::NAME, subject.clone(), format!("{base}.type"), format!("{kind:?}"), required));
        }
        for (name, value, may) in [("user", &options.user, self.allow_user), ("role", &options.role, self.allow_role)] {
            if let Some(value) = is_set(value).filter(|_| !may) {
                findings.push(Finding::new(Self::NAME, subject.clone(), format!("{base}.{name}"), value, "unset"));
            }
        }
    }
}

impl Control for SeLinux {
    const NAME: &'static str = "seLinux";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            allowed_types: fields.optional("allowedTypes", problems).or(base.allowed_types),
            allow_user: fields.optional("allowUser", problems).unwrap_or(base.allow_user),
            allow_role: fields.optional("allowRole", problems).unwrap_or(base.allow_role),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if let Some(options) = pod.spec.security_context.as_ref().and_then(|it| it.se_linux_options.as_ref()) {
            self.check_at(&Subject::Pod, &format!("spec.{FIELD}"), options, findings);
        }
        for (at, container) in pod.containers() {
            if let Some(options) = container.security_context.as_ref().and_then(|it| it.se_linux_options.as_ref()) {
                self.check_at(&Subject::container(at, container), FIELD, options, findings);
            }
        }
    }
}

/// `inject: {seLinuxOptions: {…}}`: on the Pod if it has none, as `PodSecurityPolicy` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectSeLinux(pub SeLinuxOptions<'static>);

impl Injection for InjectSeLinux {
    const NAME: &'static str = "seLinuxOptions";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let mut text = |name| fields.node(name).and_then(|it| String::from_node(it, problems)).map(Text::from);
        let (user, role, kind, level) = (text("user"), text("role"), text("type"), text("level"));
        fields.finish(problems);
        if user.is_none() && role.is_none() && kind.is_none() && level.is_none() {
            problems.push(Problem::new(node.span, "nothing to inject").hint("give a user, role, type or level"));
            return None;
        }
        Some(Self(SeLinuxOptions { user, role, kind, level }))
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        match target {
            Target::Pod => {
                if pod.spec.security_context.as_ref().is_none_or(|it| it.se_linux_options.is_none()) {
                    edits.push(Edit::pod(Change::SeLinux(self.0.clone())));
                }
            }
            Target::Ephemeral(added) => {
                for &index in added {
                    let at = ContainerRef { list: ContainerList::Ephemeral, index };
                    if pod.container(at).is_some_and(|it| pod.se_linux(it).is_none()) {
                        edits.push(Edit::container(at, Change::SeLinux(self.0.clone())));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    #[test]
    fn each_place_is_judged_by_itself() {
        let strict =
            SeLinux { allowed_types: Some(vec!["container_t".to_owned()]), allow_user: false, allow_role: false };
        let options = |fields: &str| format!(r#"{{"seLinuxOptions": {{{fields}}}}}"#);
        let bad = options(r#""type": "spc_t", "user": "root", "role": "sysadm_r", "level": "s0:c1""#);
        let good = options(r#""type": "container_t", "user": "", "level": "s0""#);
        let pod = format!(
            r#"{{"spec": {{"securityContext": {bad}, "initContainers": [{{"name": "i", "securityContext": {bad}}}],
                "containers": [{{"name": "a", "securityContext": {good}}}], "ephemeralContainers": [{{"name": "e", "securityContext": {bad}}}]}}}}"#
        );
        let lines: Vec<String> = ["spec", "spec.initContainers[0]", "spec.ephemeralContainers[0]"]
            .iter()
            .flat_map(|at| {
                [
                    format!("{at}.{FIELD}.type is \"spc_t\"; must be unset or container_t"),
                    format!("{at}.{FIELD}.user is \"root\"; must be unset"),
                    format!("{at}.{FIELD}.role is \"sysadm_r\"; must be unset"),
                ]
            })
            .collect();
        check(strict, &pod, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        check(SeLinux::default(), &pod, &[]);
    }

    #[test]
    fn injects_where_there_is_none() {
        let it = InjectSeLinux(SeLinuxOptions { level: Some(Text::from("s0:c1,c2")), ..SeLinuxOptions::default() });
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a"}]}}"#,
            &[r#"spec.securityContext: {seLinuxOptions: {level: "s0:c1,c2"}}"#],
        );
        inject(&it, r#"{"spec": {"securityContext": {"seLinuxOptions": {}}, "containers": []}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": []}}"#, &[]);
        inject_into(
            &it,
            r#"{"spec": {"containers": [], "ephemeralContainers": [{"name": "e"}]}}"#,
            Target::Ephemeral(&[0]),
            &[r#"spec.ephemeralContainers[0].securityContext.seLinuxOptions = {level: "s0:c1,c2"}"#],
        );
    }
}
