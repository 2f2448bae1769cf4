//! `appArmor`: what a program may reach is limited by a profile of the node.
//!
//! Pod Security Standards, baseline. Looks at `appArmorProfile` of the Pod and of every container, and at every
//! annotation `container.apparmor.security.beta.kubernetes.io/…`, even one for a container that is not there; a
//! forbidden value is a finding even where it is overridden, an empty annotation is none.
//! Parameters: `allowed` (profiles, default `RuntimeDefault` and `Localhost/*`), `required` (every container must have
//! an effective profile; an annotation counts, since the API server copies it; not asked of Windows Pods).

use super::finding::{Finding, Findings, Subject};
use super::profile::{Pattern, list, read_one};
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::Node;
use crate::pod::effective::APP_ARMOR_ANNOTATION;
use crate::pod::view::{ContainerList, Profile};
use crate::pod::{Change, ContainerRef, Edit, PodView};

const FIELD: &str = "securityContext.appArmorProfile";

/// Only these profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppArmor {
    /// Which profiles may be set.
    pub allowed: Vec<Pattern>,
    /// Every container must have one.
    pub required: bool,
}

impl Default for AppArmor {
    fn default() -> Self {
        Self {
            allowed: vec![Pattern::Type("RuntimeDefault"), Pattern::Localhost("*".to_owned())],
            required: false,
        }
    }
}

impl AppArmor {
    fn allows(&self, profile: &Profile<'_>) -> bool {
        self.allowed.iter().any(|pattern| pattern.allows(profile))
    }

    fn required(&self) -> String {
        format!("{}{}", list(&self.allowed), if self.required { "" } else { " or unset" })
    }

    /// The profile to suggest, if the policy allows it.
    fn suggestion(&self) -> Option<Change<'static>> {
        let default = Profile::of_type("RuntimeDefault");
        self.allows(&default).then_some(Change::AppArmor(default))
    }
}

impl Control for AppArmor {
    const NAME: &'static str = "appArmor";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
            required: fields.optional("required", problems).unwrap_or(base.required),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if let Some(profile) = pod.spec.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref())
            && !self.allows(profile)
        {
            let field = format!("spec.{FIELD}");
            let mut finding = Finding::new(Self::NAME, Subject::Pod, field, profile.notation(), self.required());
            finding.fix = self.suggestion().map(Edit::pod);
            findings.push(finding);
        }
        for (key, value) in &pod.metadata.annotations {
            let profile = Profile::from_annotation(value);
            if key.starts_with(APP_ARMOR_ANNOTATION) && !value.is_empty() && !self.allows(&profile) {
                let field = format!("metadata.annotations[{}]", &**key);
                findings.push(Finding::new(Self::NAME, Subject::Pod, field, profile.notation(), self.required()));
            }
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.app_armor_profile.as_ref());
            let subject = || Subject::container(at, container);
            if let Some(profile) = own {
                if !self.allows(profile) {
                    let mut finding = Finding::new(Self::NAME, subject(), FIELD, profile.notation(), self.required());
                    finding.fix = self.suggestion().map(|change| Edit::container(at, change));
                    findings.push(finding);
                }
            } else if self.required && !pod.is_windows() && pod.app_armor(container).is_none() {
                let mut finding = Finding::new(Self::NAME, subject(), FIELD, "unset", self.required());
                finding.fix = self.suggestion().map(Edit::pod);
                findings.push(finding);
            }
        }
    }
}

/// `inject: {appArmorProfile: RuntimeDefault}`: on the Pod if it has none. On a node without AppArmor every Pod that
/// names a profile fails, `RuntimeDefault` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectAppArmor(pub Profile<'static>);

impl Injection for InjectAppArmor {
    const NAME: &'static str = "appArmorProfile";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        read_one(node, problems).map(Self)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        match target {
            Target::Pod => {
                let has = pod.spec.security_context.as_ref().is_some_and(|it| it.app_armor_profile.is_some());
                // Beside an annotation that it can copy to the container the API server takes a field on the Pod;
                // beside any other it refuses the Pod.
                let is_copied = |value: &str| {
                    matches!(value, "unconfined" | "runtime/default")
                        || value.strip_prefix("localhost/").is_some_and(|path| !path.is_empty())
                };
                let mut annotations = pod.metadata.annotations.iter();
                if !has && annotations.all(|(key, value)| !key.starts_with(APP_ARMOR_ANNOTATION) || is_copied(value)) {
                    edits.push(Edit::pod(Change::AppArmor(self.0.clone())));
                }
            }
            Target::Ephemeral(added) => {
                for &index in added {
                    let at = ContainerRef { list: ContainerList::Ephemeral, index };
                    let Some(container) = pod.container(at) else { continue };
                    let key = format!("{APP_ARMOR_ANNOTATION}{}", &*container.name);
                    if pod.app_armor(container).is_none() && pod.annotation(&key).is_none() {
                        edits.push(Edit::container(at, Change::AppArmor(self.0.clone())));
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

    const ALLOWED: &str = "RuntimeDefault or Localhost/*";

    fn annotated(container: &str, value: &str) -> String {
        format!(
            r#"{{"metadata": {{"annotations": {{"{APP_ARMOR_ANNOTATION}{container}": "{value}"}}}}, "spec": {{"containers": [{{"name": "a"}}]}}}}"#
        )
    }

    #[test]
    fn fields_are_judged_at_the_pod_and_in_every_list() {
        let bad = r#"{"appArmorProfile": {"type": "Unconfined"}}"#;
        let pod = format!(
            r#"{{"spec": {{"securityContext": {bad}, "initContainers": [{{"name": "i", "securityContext": {bad}}}],
                "containers": [{{"name": "a"}}, {{"name": "b", "securityContext": {bad}}}],
                "ephemeralContainers": [{{"name": "e", "securityContext": {bad}}}]}}}}"#
        );
        let lines = ["spec", "spec.initContainers[0]", "spec.containers[1]", "spec.ephemeralContainers[0]"]
            .map(|at| format!("{at}.securityContext.appArmorProfile is Unconfined; must be {ALLOWED} or unset"));
        check(AppArmor::default(), &pod, &lines.each_ref().map(String::as_str));
    }

    #[test]
    fn annotations_are_judged_even_for_containers_that_are_not_there() {
        let told = format!("metadata.annotations[{APP_ARMOR_ANNOTATION}x] is Unconfined; must be {ALLOWED} or unset");
        check(AppArmor::default(), &annotated("x", "unconfined"), &[&told]);
        for value in ["", "runtime/default", "localhost/p"] {
            check(AppArmor::default(), &annotated("a", value), &[]);
        }
    }

    #[test]
    fn an_annotation_counts_where_a_profile_is_required_but_windows_needs_none() {
        let required = AppArmor { required: true, ..AppArmor::default() };
        check(required.clone(), &annotated("a", "runtime/default"), &[]);
        let unset = format!("spec.containers[0].securityContext.appArmorProfile is unset; must be {ALLOWED}");
        check(required.clone(), &annotated("a", ""), &[&unset]);
        check(required, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn injects_nothing_that_the_api_server_would_refuse() {
        let it = InjectAppArmor(Profile::of_type("RuntimeDefault"));
        let yaml = "spec.securityContext: {appArmorProfile: {type: RuntimeDefault}}";
        inject(&it, r#"{"spec": {"containers": [{"name": "a"}]}}"#, &[yaml]);
        for value in ["unconfined", "runtime/default", "localhost/p"] {
            inject(&it, &annotated("a", value), &[yaml]);
        }
        for value in ["", "localhost/", "nonsense"] {
            inject(&it, &annotated("a", value), &[]);
        }
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        inject_into(
            &it,
            r#"{"spec": {"containers": [], "ephemeralContainers": [{"name": "e"}]}}"#,
            Target::Ephemeral(&[0]),
            &["spec.ephemeralContainers[0].securityContext.appArmorProfile = {type: RuntimeDefault}"],
        );
    }
}
