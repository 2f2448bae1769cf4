//! `seccomp`: system calls are filtered.
//!
//! Pod Security Standards: baseline forbids `Unconfined`, restricted also requires a profile. Looks at
//! `seccompProfile` of the Pod and of every container; a forbidden value is a finding even where it is overridden.
//! Parameters: `allowed` (profiles, default `RuntimeDefault` and `Localhost/*`), `required` (every container must have
//! an effective profile; not asked of Windows Pods), `legacyAnnotations`: `ignore` (the default: without effect since
//! 1.27), `check` (a forbidden value in one is a finding too), `honor` (an allowed one also counts for `required`).

use super::finding::{Finding, Findings, Subject};
use super::profile::{Pattern, list, read_one};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{Node, one_of};
use crate::pod::effective::{SECCOMP_CONTAINER_ANNOTATION, SECCOMP_POD_ANNOTATION};
use crate::pod::view::{ContainerList, Profile};
use crate::pod::{Change, ContainerRef, Edit, PodView};

const FIELD: &str = "securityContext.seccompProfile";

/// What the annotations of before 1.19 are good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LegacyAnnotations {
    /// They are not looked at.
    #[default]
    Ignore,
    /// A forbidden value is a finding.
    Check,
    /// That, and an allowed value counts as a profile.
    Honor,
}

/// Only these profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seccomp {
    /// Which profiles may be set.
    pub allowed: Vec<Pattern>,
    /// Every container must have one.
    pub required: bool,
    /// What annotations are good for.
    pub legacy_annotations: LegacyAnnotations,
}

impl Default for Seccomp {
    fn default() -> Self {
        Self {
            allowed: vec![Pattern::Type("RuntimeDefault"), Pattern::Localhost("*".to_owned())],
            required: false,
            legacy_annotations: LegacyAnnotations::Ignore,
        }
    }
}

impl Seccomp {
    fn allows(&self, profile: &Profile<'_>) -> bool {
        self.allowed.iter().any(|pattern| pattern.allows(profile))
    }

    fn forbidden(&self, subject: Subject, field: &str, profile: &Profile<'_>) -> Finding {
        let optional = if self.required { "" } else { " or unset" };
        let required = format!("{}{optional}", list(&self.allowed));
        Finding::new(Self::NAME, subject, field, profile.notation(), required)
    }

    /// The profile to suggest, if the policy allows it.
    fn suggestion(&self) -> Option<Change<'static>> {
        let default = Profile::of_type("RuntimeDefault");
        self.allows(&default).then_some(Change::Seccomp(default))
    }

    fn check_annotations(&self, pod: &PodView<'_>, findings: &mut Findings) {
        for (key, value) in &pod.metadata.annotations {
            let is_seccomp = &**key == SECCOMP_POD_ANNOTATION || key.starts_with(SECCOMP_CONTAINER_ANNOTATION);
            let profile = Profile::from_annotation(value);
            if is_seccomp && !self.allows(&profile) {
                findings.push(self.forbidden(Subject::Pod, &format!("metadata.annotations[{}]", &**key), &profile));
            }
        }
    }
}

impl Control for Seccomp {
    const NAME: &'static str = "seccomp";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        const ANNOTATIONS: &[(&str, LegacyAnnotations)] = &[
            ("ignore", LegacyAnnotations::Ignore),
            ("check", LegacyAnnotations::Check),
            ("honor", LegacyAnnotations::Honor),
        ];
        Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
            required: fields.optional("required", problems).unwrap_or(base.required),
            legacy_annotations: fields
                .node("legacyAnnotations")
                .and_then(|node| one_of(node, "use of annotations", ANNOTATIONS, problems))
                .unwrap_or(base.legacy_annotations),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if let Some(profile) = pod.spec.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref())
            && !self.allows(profile)
        {
            let mut finding = self.forbidden(Subject::Pod, &format!("spec.{FIELD}"), profile);
            finding.fix = self.suggestion().map(Edit::pod);
            findings.push(finding);
        }
        if self.legacy_annotations != LegacyAnnotations::Ignore {
            self.check_annotations(pod, findings);
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
            let subject = || Subject::container(at, container);
            if let Some(profile) = own {
                if !self.allows(profile) {
                    let mut finding = self.forbidden(subject(), FIELD, profile);
                    finding.fix = self.suggestion().map(|change| Edit::container(at, change));
                    findings.push(finding);
                }
                continue;
            }
            let honored = self.legacy_annotations == LegacyAnnotations::Honor
                && pod.seccomp_annotation(container).is_some_and(|profile| self.allows(&profile));
            if self.required && !pod.is_windows() && pod.seccomp(container).is_none() && !honored {
                let mut finding = Finding::new(Self::NAME, subject(), FIELD, "unset", list(&self.allowed));
                finding.fix = self.suggestion().map(Edit::pod);
                findings.push(finding);
            }
        }
    }
}

/// `inject: {seccompProfile: RuntimeDefault}`: on the Pod if it has none, so that what `kubectl debug` adds later
/// inherits it; containers with a profile of their own keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectSeccomp(pub Profile<'static>);

impl Injection for InjectSeccomp {
    const NAME: &'static str = "seccompProfile";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        read_one(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        // The API server refuses a field beside an annotation that means something else.
        let contradicts = |key: &str| pod.annotation(key).is_some_and(|value| Profile::from_annotation(value) != self.0);
        match target {
            Target::Pod => {
                let has = pod.spec.security_context.as_ref().is_some_and(|it| it.seccomp_profile.is_some());
                if !has && !contradicts(SECCOMP_POD_ANNOTATION) {
                    edits.push(Edit::pod(Change::Seccomp(self.0.clone())));
                }
            }
            Target::Ephemeral(added) => {
                for &index in added {
                    let at = ContainerRef { list: ContainerList::Ephemeral, index };
                    let Some(container) = pod.container(at) else { continue };
                    let key = format!("{SECCOMP_CONTAINER_ANNOTATION}{}", &*container.name);
                    if pod.seccomp(container).is_none() && !contradicts(&key) {
                        edits.push(Edit::container(at, Change::Seccomp(self.0.clone())));
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

    const REQUIRED: &str = "RuntimeDefault or Localhost/*";

    fn required() -> Seccomp {
        Seccomp { required: true, ..Seccomp::default() }
    }

    #[test]
    fn a_container_inherits_from_the_pod_and_a_forbidden_value_is_told_even_if_overridden() {
        let pod = r#"{"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}, "containers": [
            {"name": "a", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
            {"name": "b", "securityContext": {"seccompProfile": {"type": "Quantum"}}}]}}"#;
        check(
            required(),
            pod,
            &[
                &format!("spec.securityContext.seccompProfile is Unconfined; must be {REQUIRED}"),
                &format!("spec.containers[1].securityContext.seccompProfile is Quantum; must be {REQUIRED}"),
            ],
        );
        let pod = r#"{"spec": {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}},
                      "initContainers": [{"name": "i"}], "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]}}"#;
        check(required(), pod, &[]);
    }

    #[test]
    fn every_list_needs_one_where_it_is_required_but_not_on_windows() {
        let containers = r#""initContainers": [{"name": "i"}], "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]"#;
        let lines: Vec<_> = ["initContainers", "containers", "ephemeralContainers"]
            .map(|list| format!("spec.{list}[0].securityContext.seccompProfile is unset; must be {REQUIRED}"))
            .into();
        let expected: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(required(), &format!(r#"{{"spec": {{{containers}}}}}"#), &expected);
        check(Seccomp::default(), &format!(r#"{{"spec": {{{containers}}}}}"#), &[]);
        check(required(), &format!(r#"{{"spec": {{"os": {{"name": "windows"}}, {containers}}}}}"#), &[]);
    }

    #[test]
    fn annotations_count_as_far_as_the_policy_says() {
        let pod = |value: &str| {
            format!(
                r#"{{"metadata": {{"annotations": {{"{SECCOMP_POD_ANNOTATION}": "{value}"}}}}, "spec": {{"containers": [{{"name": "a"}}]}}}}"#
            )
        };
        let with = |legacy_annotations, required| Seccomp { required, legacy_annotations, ..Seccomp::default() };
        check(with(LegacyAnnotations::Ignore, false), &pod("unconfined"), &[]);
        let told = format!("metadata.annotations[{SECCOMP_POD_ANNOTATION}] is Unconfined; must be {REQUIRED} or unset");
        check(with(LegacyAnnotations::Check, false), &pod("unconfined"), &[&told]);
        check(with(LegacyAnnotations::Honor, true), &pod("runtime/default"), &[]);
        let unset = format!("spec.containers[0].securityContext.seccompProfile is unset; must be {REQUIRED}");
        check(with(LegacyAnnotations::Check, true), &pod("runtime/default"), &[&unset]);
    }

    #[test]
    fn injects_on_the_pod_and_on_added_ephemeral_containers() {
        let it = InjectSeccomp(Profile::of_type("RuntimeDefault"));
        let yaml = "spec.securityContext: {seccompProfile: {type: RuntimeDefault}}";
        inject(&it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &[yaml]);
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}}"#,
            &[yaml],
        );
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        let annotated = |value: &str| {
            format!(
                r#"{{"metadata": {{"annotations": {{"{SECCOMP_POD_ANNOTATION}": "{value}"}}}}, "spec": {{"containers": []}}}}"#
            )
        };
        inject(&it, &annotated("unconfined"), &[]);
        inject(&it, &annotated("runtime/default"), &[yaml]);
        inject_into(
            &it,
            r#"{"spec": {"containers": [], "ephemeralContainers": [{"name": "old"}, {"name": "new"}]}}"#,
            Target::Ephemeral(&[1]),
            &["spec.ephemeralContainers[1].securityContext.seccompProfile = {type: RuntimeDefault}"],
        );
    }
}
