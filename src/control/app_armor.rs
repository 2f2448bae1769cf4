//! `appArmor`: what AppArmor lets a container do is not more than the runtime's default.
//!
//! Pod Security Standards, baseline. Looks at `appArmorProfile` of the Pod and of every container, and at every
//! annotation `container.apparmor.security.beta.kubernetes.io/<container>`, whether or not there is such a container.
//! Unset, and an annotation without a value, are allowed. A forbidden value is a finding even where it is overridden.
//! Parameters: `allowed` (profiles, `*` in a `Localhost/` path stands for anything; `[RuntimeDefault, Localhost/*]`
//! if not said otherwise), `required` (every container needs a profile: its own, its annotation's or the Pod's; not
//! asked of a Pod for Windows).

use super::finding::{Finding, Findings, Subject};
use super::profile::{self, Pattern};
use super::{Control, Fields, Injection, Problem, Problems, Target};
use crate::document::Node;
use crate::pod::effective::APP_ARMOR_ANNOTATION;
use crate::pod::view::Profile;
use crate::pod::{Change, Edit, PodView, Text};

const FIELD: &str = "securityContext.appArmorProfile";

/// Which AppArmor profiles a container may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppArmor {
    /// Allowed if set.
    pub allowed: Vec<Pattern>,
    /// Every container needs one.
    pub required: bool,
}

impl Default for AppArmor {
    fn default() -> Self {
        Self { allowed: profile::standard(), required: false }
    }
}

impl Control for AppArmor {
    const NAME: &'static str = "appArmor";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let it = Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
            required: fields.optional("required", problems).unwrap_or(base.required),
        };
        if it.required && it.allowed.is_empty() {
            problems.push(Problem::new(fields.span(), "an AppArmor profile is required, but none is allowed"));
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let is_required = self.required && !pod.is_windows();
        let or_unset = |list: String| match list.as_str() {
            "" => "unset".to_owned(),
            list => format!("{list} or unset"),
        };
        let required = || match profile::list(&self.allowed) {
            list if is_required => list,
            list => or_unset(list),
        };
        let is_forbidden = |it: &&Profile<'_>| !profile::any_allows(&self.allowed, it);
        // The API server refuses the field on a Windows Pod, whatever it says.
        let fix = || profile::fix(&self.allowed).filter(|_| !pod.is_windows());
        let pod_fix = || fix().filter(|_| accepts_on_pod(pod)).map(|it| Edit::pod(Change::AppArmor(it)));

        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref());
        if let Some(bad) = on_pod.filter(is_forbidden) {
            let current = format!("{:?}", bad.notation());
            let mut finding = Finding::new(Self::NAME, Subject::Pod, format!("spec.{FIELD}"), current, required())
                .values([&*bad.kind]);
            finding.fix = pod_fix();
            findings.push(finding);
        }
        for (key, value) in annotations(pod) {
            if !value.is_empty() && of_annotation(value).as_ref().is_none_or(|it| is_forbidden(&it)) {
                let field = format!("metadata.annotations[{}]", &**key);
                let required = or_unset(profile::annotation_list(&self.allowed));
                let finding = Finding::new(Self::NAME, Subject::Pod, field, format!("{:?}", &**value), required);
                findings.push(finding.values([&**key, &**value]));
            }
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref());
            let subject = || Subject::container(at, container);
            if let Some(bad) = own.filter(is_forbidden) {
                let mut finding =
                    Finding::new(Self::NAME, subject(), FIELD, format!("{:?}", bad.notation()), required())
                        .values([&*bad.kind]);
                let agrees = |it: &Profile<'_>| {
                    let annotation = pod.annotation(&container_key(&container.name));
                    annotation.is_none_or(|value| of_annotation(value).is_some_and(|other| other == *it))
                };
                finding.fix = fix().filter(agrees).map(|it| Edit::container(at, Change::AppArmor(it)));
                findings.push(finding);
            }
            if is_required && pod.app_armor(container).is_none() {
                let mut finding = Finding::new(Self::NAME, subject(), FIELD, "unset", required());
                finding.fix = pod_fix();
                findings.push(finding);
            }
        }
    }
}

/// `inject: {appArmorProfile: RuntimeDefault}`: on the Pod, if it has none; containers with a profile of their own,
/// be it by annotation, keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectAppArmor(pub Profile<'static>);

impl Injection for InjectAppArmor {
    const NAME: &'static str = "appArmorProfile";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        profile::read_one(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let change = || Change::AppArmor(self.0.clone());
        if let Target::Pod = target {
            let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref());
            if on_pod.is_none() && accepts_on_pod(pod) {
                edits.push(Edit::pod(change()));
            }
            return;
        }
        for (at, container) in target.containers(pod) {
            let has_annotation = || pod.annotation(&container_key(&container.name)).is_some();
            if pod.app_armor(container).is_none() && !has_annotation() {
                edits.push(Edit::container(at, change()));
            }
        }
    }
}

fn container_key(name: &str) -> String {
    format!("{APP_ARMOR_ANNOTATION}{name}")
}

/// Every AppArmor annotation, whether or not there is such a container.
fn annotations<'v>(pod: &'v PodView<'_>) -> impl Iterator<Item = (&'v Text<'v>, &'v Text<'v>)> {
    pod.metadata.annotations.iter().filter(|(key, _)| key.starts_with(APP_ARMOR_ANNOTATION))
}

/// What an annotation means; `docker/default` is a word of seccomp's alone.
fn of_annotation<'a>(value: &Text<'a>) -> Option<Profile<'a>> {
    Some(Profile::from_annotation(value)).filter(|_| &**value != "docker/default")
}

/// The API server takes a field on the Pod beside annotations only if each of them names a profile.
fn accepts_on_pod(pod: &PodView<'_>) -> bool {
    annotations(pod).all(|(_, value)| match &**value {
        "runtime/default" | "unconfined" => true,
        other => other.strip_prefix("localhost/").is_some_and(|path| !path.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    fn annotated(value: &str, spec: &str) -> String {
        let key = container_key("a");
        format!(r#"{{"metadata": {{"annotations": {{"{key}": "{value}"}}}}, "spec": {spec}}}"#)
    }

    #[test]
    fn looks_at_the_pod_and_every_container_list() {
        let pod = r#"{"spec": {
            "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
            "initContainers": [{"name": "i", "securityContext": {"appArmorProfile": {"type": "Unconfined"}}}],
            "containers": [
                {"name": "a", "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}, {"name": "b"},
                {"name": "c", "securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "x"}}}],
            "ephemeralContainers": [{"name": "e", "securityContext": {"appArmorProfile": {"type": "New"}}}]}}"#;
        let rest = "must be RuntimeDefault or Localhost/* or unset";
        let expected = [
            format!("spec.securityContext.appArmorProfile is \"Unconfined\"; {rest}"),
            format!("spec.initContainers[0].securityContext.appArmorProfile is \"Unconfined\"; {rest}"),
            format!("spec.ephemeralContainers[0].securityContext.appArmorProfile is \"New\"; {rest}"),
        ];
        let expected = expected.each_ref().map(String::as_str);
        check(AppArmor::default(), pod, &expected);
        let windows = pod.replace(r#"{"spec": {"#, r#"{"spec": {"os": {"name": "windows"}, "#);
        check(AppArmor { required: true, ..AppArmor::default() }, &windows, &expected);
    }

    #[test]
    fn looks_at_annotations_of_unknown_containers_too() {
        let spec = r#"{"containers": [{"name": "b"}]}"#;
        for value in ["", "runtime/default", "localhost/", "localhost/x"] {
            check(AppArmor::default(), &annotated(value, spec), &[]);
        }
        for value in ["unconfined", "docker/default", "nonsense"] {
            let expected = format!(
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/a] is \"{value}\"; \
                 must be runtime/default or localhost/* or unset"
            );
            check(AppArmor::default(), &annotated(value, spec), &[&expected]);
        }
    }

    #[test]
    fn required_counts_the_own_profile_the_annotations_and_the_pods() {
        let required = AppArmor { required: true, ..AppArmor::default() };
        let missing = |index| {
            format!("spec.containers[{index}].securityContext.appArmorProfile is unset; must be RuntimeDefault or Localhost/*")
        };
        let two = r#"{"containers": [{"name": "a"}, {"name": "b"}]}"#;
        check(required.clone(), &annotated("runtime/default", two), &[&missing(1)]);
        check(required.clone(), &format!(r#"{{"spec": {two}}}"#), &[&missing(0), &missing(1)]);
        check(required.clone(), &annotated("", two), &[&missing(0), &missing(1)]);
        check(
            required.clone(),
            r#"{"spec": {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
                         "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]}}"#,
            &[],
        );
        check(required, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn injects_on_the_pod_beside_annotations_that_name_a_profile() {
        let it = InjectAppArmor(Profile::of_type("RuntimeDefault"));
        let expected = ["spec.securityContext: {appArmorProfile: {type: RuntimeDefault}}"];
        let spec = r#"{"containers": [{"name": "a"}]}"#;
        inject(&it, &format!(r#"{{"spec": {spec}}}"#), &expected);
        for value in ["unconfined", "runtime/default", "localhost/x"] {
            inject(&it, &annotated(value, spec), &expected);
        }
        for value in ["", "localhost/", "nonsense", "docker/default"] {
            inject(&it, &annotated(value, spec), &[]);
        }
        inject(&it, r#"{"spec": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn injects_into_added_containers_without_a_profile() {
        let it = InjectAppArmor(Profile::of_type("RuntimeDefault"));
        let spec = r#"{"ephemeralContainers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#;
        let expected = ["spec.ephemeralContainers[1].securityContext.appArmorProfile = {type: RuntimeDefault}"];
        inject_into(&it, &annotated("", spec), Target::Ephemeral(&[0, 1]), &expected);
        inject_into(
            &it,
            r#"{"spec": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}},
                         "ephemeralContainers": [{"name": "e"}]}}"#,
            Target::Ephemeral(&[0]),
            &[],
        );
    }
}
