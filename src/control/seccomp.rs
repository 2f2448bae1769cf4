//! `seccomp`: the kernel calls a container may make are filtered.
//!
//! Pod Security Standards, baseline (nothing `Unconfined`) and restricted (`required` too). Looks at `seccompProfile`
//! of the Pod and of every container. A forbidden value is a finding even where it is overridden.
//! Parameters: `allowed` (profiles, `*` in a `Localhost/` path stands for anything; `[RuntimeDefault, Localhost/*]`
//! if not said otherwise), `required` (every container needs a profile, its own or the Pod's), `legacyAnnotations`:
//! `ignore` them, as API servers since 1.27 do; `check` that none names a forbidden profile; `honor` them, which
//! also lets an allowed one count for `required`, as older API servers do; or look `only` at them, at the Pod's and at
//! those of its containers, as Pod Security Standards before v1.19; `skipWindows` (nothing is asked of a Pod for
//! Windows; `true` if not said otherwise, `false` for baseline and for restricted before v1.25).

use super::finding::{Finding, Findings, Subject};
use super::profile::{self, Pattern};
use super::{Control, Fields, Injection, Problem, Problems, Target};
use crate::document::{FromNode, Node, one_of};
use crate::pod::effective::{SECCOMP_CONTAINER_ANNOTATION, SECCOMP_POD_ANNOTATION};
use crate::pod::view::Profile;
use crate::pod::{Change, Edit, PodView};

const FIELD: &str = "securityContext.seccompProfile";

/// Which seccomp profiles a container may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seccomp {
    /// Allowed if set.
    pub allowed: Vec<Pattern>,
    /// Every container needs one.
    pub required: bool,
    /// What annotations from before the field are worth.
    pub legacy_annotations: LegacyAnnotations,
    /// Nothing is asked of a Pod for Windows.
    pub skip_windows: bool,
}

/// What annotations from before the field are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LegacyAnnotations {
    /// Nothing, as for API servers since 1.27.
    #[default]
    Ignore,
    /// A forbidden one is a finding.
    Check,
    /// The same, and an allowed one counts for `required`.
    Honor,
    /// They are all that counts, as before there was a field.
    Only,
}

impl Default for Seccomp {
    fn default() -> Self {
        Self { allowed: profile::standard(), required: false, legacy_annotations: LegacyAnnotations::Ignore, skip_windows: true }
    }
}

impl Control for Seccomp {
    const NAME: &'static str = "seccomp";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let it = Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
            required: fields.optional("required", problems).unwrap_or(base.required),
            legacy_annotations: fields.optional("legacyAnnotations", problems).unwrap_or(base.legacy_annotations),
            skip_windows: fields.optional("skipWindows", problems).unwrap_or(base.skip_windows),
        };
        if it.required && it.allowed.is_empty() {
            problems.push(Problem::new(fields.span(), "a seccomp profile is required, but none is allowed"));
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.skip_windows && pod.is_windows() {
            return;
        }
        if self.legacy_annotations == LegacyAnnotations::Only {
            self.check_annotations(pod, findings);
            return;
        }
        let is_required = self.required;
        let required = || match profile::list(&self.allowed) {
            list if is_required => list,
            list if list.is_empty() => "unset".to_owned(),
            list => format!("{list} or unset"),
        };
        let is_forbidden = |it: &&Profile<'_>| !profile::any_allows(&self.allowed, it);
        // The API server refuses the field on a Windows Pod, whatever it says.
        let fix = || profile::fix(&self.allowed).filter(|_| !pod.is_windows());
        let pod_fix = || {
            let fix = fix().filter(|it| agrees(pod, SECCOMP_POD_ANNOTATION, it));
            fix.map(|it| Edit::pod(Change::Seccomp(it)))
        };

        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
        if let Some(bad) = on_pod.filter(is_forbidden) {
            let current = format!("{:?}", bad.notation());
            let mut finding = Finding::new(Self::NAME, Subject::Pod, format!("spec.{FIELD}"), current, required())
                .values([&*bad.kind]);
            finding.fix = pod_fix();
            findings.push(finding);
        }
        if self.legacy_annotations != LegacyAnnotations::Ignore {
            self.check_annotations(pod, findings);
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
            let subject = || Subject::container(at, container);
            if let Some(bad) = own.filter(is_forbidden) {
                let mut finding =
                    Finding::new(Self::NAME, subject(), FIELD, format!("{:?}", bad.notation()), required())
                        .values([&*bad.kind]);
                finding.fix = fix()
                    .filter(|it| agrees(pod, &container_key(&container.name), it))
                    .map(|it| Edit::container(at, Change::Seccomp(it)));
                findings.push(finding);
            }
            // A forbidden annotation is a finding already.
            let by_annotation = || {
                self.legacy_annotations == LegacyAnnotations::Honor && pod.seccomp_annotation(container).is_some()
            };
            if is_required && own.is_none() && on_pod.is_none() && !by_annotation() {
                let mut finding = Finding::new(Self::NAME, subject(), FIELD, "unset", required());
                finding.fix = pod_fix();
                findings.push(finding);
            }
        }
    }
}

impl Seccomp {
    fn check_annotations(&self, pod: &PodView<'_>, findings: &mut Findings) {
        // The standards before v1.19 do not look at annotations of containers that are not there.
        let counts = |name: &str| {
            self.legacy_annotations != LegacyAnnotations::Only || pod.containers().any(|(_, it)| *it.name == *name)
        };
        let is_seccomp = |key: &str| {
            key == SECCOMP_POD_ANNOTATION || key.strip_prefix(SECCOMP_CONTAINER_ANNOTATION).is_some_and(counts)
        };
        for (key, value) in pod.metadata.annotations.iter().filter(|(key, _)| is_seccomp(key)) {
            if !profile::any_allows(&self.allowed, &Profile::from_annotation(value)) {
                let allowed = profile::annotation_list(&self.allowed);
                let required = format!("{allowed} or unset");
                let required = required.strip_prefix(" or ").unwrap_or(&required);
                let field = format!("metadata.annotations[{}]", &**key);
                let finding = Finding::new(Self::NAME, Subject::Pod, field, format!("{:?}", &**value), required);
                findings.push(finding.values([&**key, &**value]));
            }
        }
    }
}

/// `inject: {seccompProfile: RuntimeDefault}`: on the Pod, if it has none; containers with one of their own keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectSeccomp(pub Profile<'static>);

impl Injection for InjectSeccomp {
    const NAME: &'static str = "seccompProfile";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        profile::read_one(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let change = || Change::Seccomp(self.0.clone());
        if let Target::Pod = target {
            let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
            if on_pod.is_none() && agrees(pod, SECCOMP_POD_ANNOTATION, &self.0) {
                edits.push(Edit::pod(change()));
            }
            return;
        }
        for (at, container) in target.containers(pod) {
            if pod.seccomp(container).is_none() && agrees(pod, &container_key(&container.name), &self.0) {
                edits.push(Edit::container(at, change()));
            }
        }
    }
}

fn container_key(name: &str) -> String {
    format!("{SECCOMP_CONTAINER_ANNOTATION}{name}")
}

/// The API server refuses a field that contradicts its annotation.
fn agrees(pod: &PodView<'_>, key: &str, profile: &Profile<'_>) -> bool {
    pod.annotation(key).is_none_or(|value| Profile::from_annotation(value) == *profile)
}

impl FromNode for LegacyAnnotations {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let choices = [("ignore", Self::Ignore), ("check", Self::Check), ("honor", Self::Honor), ("only", Self::Only)];
        one_of(node, "legacyAnnotations", &choices, problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    fn required() -> Seccomp {
        Seccomp { required: true, ..Seccomp::default() }
    }

    fn runtime_default() -> InjectSeccomp {
        InjectSeccomp(Profile::of_type("RuntimeDefault"))
    }

    #[test]
    fn a_forbidden_value_is_told_even_where_it_is_overridden() {
        check(
            Seccomp::default(),
            r#"{"spec": {
                "securityContext": {"seccompProfile": {"type": "Unconfined"}},
                "initContainers": [{"name": "i", "securityContext": {"seccompProfile": {"type": "New"}}}],
                "containers": [
                    {"name": "a", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, {"name": "b"},
                    {"name": "c", "securityContext":
                        {"seccompProfile": {"type": "Localhost", "localhostProfile": "x/y"}}}],
                "ephemeralContainers": [
                    {"name": "e", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}}"#,
            &[
                "spec.securityContext.seccompProfile is \"Unconfined\"; must be RuntimeDefault or Localhost/* or unset",
                "spec.initContainers[0].securityContext.seccompProfile is \"New\"; \
                 must be RuntimeDefault or Localhost/* or unset",
                "spec.ephemeralContainers[0].securityContext.seccompProfile is \"Unconfined\"; \
                 must be RuntimeDefault or Localhost/* or unset",
            ],
        );
    }

    #[test]
    fn required_counts_the_own_profile_and_the_pods() {
        let missing = "spec.containers[0].securityContext.seccompProfile is unset; must be RuntimeDefault or Localhost/*";
        check(required(), r#"{"spec": {"containers": [{"name": "a"}]}}"#, &[missing]);
        check(
            required(),
            r#"{"spec": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                         "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]}}"#,
            &[],
        );
        check(
            required(),
            r#"{"spec": {"containers": [
                {"name": "a"}, {"name": "b", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}]}}"#,
            &[missing],
        );
    }

    #[test]
    fn windows_pods_are_skipped_unless_a_policy_says_otherwise() {
        let pod = r#"{"spec": {"os": {"name": "windows"}, "securityContext": {"seccompProfile": {"type": "Unconfined"}},
                                "containers": [{"name": "a"}]}}"#;
        let finding = "spec.securityContext.seccompProfile is \"Unconfined\"; must be RuntimeDefault or Localhost/*";
        check(required(), pod, &[]);
        check(Seccomp { skip_windows: false, ..required() }, pod, &[finding]);
    }

    #[test]
    fn before_there_was_a_field_only_annotations_of_what_is_there_counted() {
        let it = Seccomp { legacy_annotations: LegacyAnnotations::Only, ..required() };
        let pod = r#"{"metadata": {"annotations": {
            "seccomp.security.alpha.kubernetes.io/pod": "docker/default",
            "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
            "container.seccomp.security.alpha.kubernetes.io/gone": "unconfined"}},
            "spec": {"containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}}"#;
        check(it, pod, &["metadata.annotations[container.seccomp.security.alpha.kubernetes.io/a] is \"unconfined\"; \
            must be runtime/default or localhost/* or unset"]);
    }

    #[test]
    fn only_the_listed_local_profiles() {
        let one = Seccomp { allowed: vec![Pattern::Localhost("team/*".into())], ..Seccomp::default() };
        check(
            one,
            r#"{"spec": {"containers": [
                {"name": "a", "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "team/a"}}},
                {"name": "b", "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "b"}}}]}}"#,
            &["spec.containers[1].securityContext.seccompProfile is \"Localhost/b\"; must be Localhost/team/* or unset"],
        );
        check(
            Seccomp { allowed: vec![], ..Seccomp::default() },
            r#"{"spec": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}, "containers": []}}"#,
            &["spec.securityContext.seccompProfile is \"RuntimeDefault\"; must be unset"],
        );
    }

    #[test]
    fn annotations_count_as_the_policy_says() {
        let pod = r#"{
            "metadata": {"annotations": {
                "seccomp.security.alpha.kubernetes.io/pod": "docker/default",
                "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
                "container.seccomp.security.alpha.kubernetes.io/unknown": "unconfined"}},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}"#;
        let [one, two] = ["a", "unknown"].map(|name| {
            format!(
                "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/{name}] is \"unconfined\"; \
                 must be runtime/default or localhost/* or unset"
            )
        });
        let of = |index| {
            format!("spec.containers[{index}].securityContext.seccompProfile is unset; must be RuntimeDefault or Localhost/*")
        };
        check(required(), pod, &[&of(0), &of(1)]);
        check(
            Seccomp { legacy_annotations: LegacyAnnotations::Check, ..required() },
            pod,
            &[&one, &two, &of(0), &of(1)],
        );
        check(Seccomp { legacy_annotations: LegacyAnnotations::Honor, ..required() }, pod, &[&one, &two]);
    }

    #[test]
    fn injects_on_the_pod_unless_its_annotation_says_otherwise() {
        let it = runtime_default();
        let expected = ["spec.securityContext: {seccompProfile: {type: RuntimeDefault}}"];
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}}"#,
            &expected,
        );
        inject(&it, r#"{"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        for (key, value, expected) in [
            ("seccomp.security.alpha.kubernetes.io/pod", "unconfined", &[][..]),
            ("seccomp.security.alpha.kubernetes.io/pod", "", &[]),
            ("seccomp.security.alpha.kubernetes.io/pod", "docker/default", &expected),
            ("container.seccomp.security.alpha.kubernetes.io/a", "unconfined", &expected),
        ] {
            let pod = format!(
                r#"{{"metadata": {{"annotations": {{"{key}": "{value}"}}}}, "spec": {{"containers": [{{"name": "a"}}]}}}}"#
            );
            inject(&it, &pod, expected);
        }
    }

    #[test]
    fn injects_into_added_containers_without_a_profile() {
        let it = runtime_default();
        inject_into(
            &it,
            r#"{"metadata": {"annotations": {"container.seccomp.security.alpha.kubernetes.io/g": "unconfined"}},
                "spec": {"containers": [{"name": "a"}],
                         "ephemeralContainers": [{"name": "e"}, {"name": "f"}, {"name": "g"}]}}"#,
            Target::Ephemeral(&[1, 2]),
            &["spec.ephemeralContainers[1].securityContext.seccompProfile = {type: RuntimeDefault}"],
        );
        inject_into(
            &it,
            r#"{"spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}},
                         "ephemeralContainers": [{"name": "e"}]}}"#,
            Target::Ephemeral(&[0]),
            &[],
        );
    }
}
