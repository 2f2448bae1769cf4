//! `runtimeClass`: which container runtime runs the Pod.
//!
//! `PodSecurityPolicy`. Looks at `spec.runtimeClassName`.
//! Parameters: `allowed` (names, in which `*` stands for anything; an empty list: it must be unset), `required` (it
//! must be set). One of them has to be said. Windows Pods are judged like any other.

use super::finding::{Finding, Findings, Subject};
use super::profile::matches_glob;
use super::{Control, Fields, Injection, Problems, Target};
use crate::document::{FromNode, Node, Problem};
use crate::pod::{Change, Edit, PodView, Text};

/// Certain runtimes run Pods only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeClass {
    /// The allowed names; `None` is any, an empty list none.
    pub allowed: Option<Vec<String>>,
    /// There has to be one.
    pub required: bool,
}

impl Control for RuntimeClass {
    const NAME: &'static str = "runtimeClass";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let known = problems.len();
        let it = Self {
            allowed: fields.optional("allowed", problems).or(base.allowed),
            required: fields.optional("required", problems).unwrap_or(base.required),
        };
        if problems.len() > known {
            return it;
        }
        match &it.allowed {
            None if !it.required => problems.push(
                Problem::new(fields.span(), "without allowed or required nothing is checked")
                    .hint("say allowed or required"),
            ),
            Some(names) if names.is_empty() && it.required => problems.push(
                Problem::new(fields.span(), "a runtime class is required but none is allowed")
                    .hint("name one in allowed"),
            ),
            _ => {}
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let current = match pod.spec.runtime_class_name.as_deref() {
            Some(name) if !self.allows(name) => format!("{name:?}"),
            None if self.required => "unset".to_owned(),
            _ => return,
        };
        let finding =
            Finding::new(Self::NAME, Subject::Pod, "spec.runtimeClassName", current, self.required());
        let name = self.allowed.iter().flatten().find(|name| !name.contains('*'));
        let fix = name.map(|name| Edit::pod(Change::RuntimeClass(Text::from(name.clone()))));
        findings.push(Finding { fix, ..finding });
    }
}

// === impl RuntimeClass ===

impl RuntimeClass {
    fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|it| it.iter().any(|pattern| matches_glob(pattern, name)))
    }

    fn required(&self) -> String {
        let Some(allowed) = &self.allowed else {
            return "set".to_owned();
        };
        let mut choices: Vec<_> = allowed.iter().map(|name| format!("{name:?}")).collect();
        if !self.required {
            choices.push("unset".to_owned());
        }
        choices.join(" or ")
    }
}

/// `inject: {runtimeClassName: gvisor}`: on a Pod that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectRuntimeClass(pub String);

impl Injection for InjectRuntimeClass {
    const NAME: &'static str = "runtimeClassName";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let name = String::from_node(node, problems)?;
        if !is_subdomain(&name) {
            let problem = Problem::new(node.span, format!("{name:?} is no name of a RuntimeClass"));
            problems.push(problem.hint("lower-case letters, digits, '-' and '.'; a letter or digit at both ends"));
            return None;
        }
        Some(Self(name))
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if matches!(target, Target::Pod) && pod.spec.runtime_class_name.is_none() {
            edits.push(Edit::pod(Change::RuntimeClass(Text::from(self.0.clone()))));
        }
    }
}

/// True for what the API server takes as the name of a `RuntimeClass`.
fn is_subdomain(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_word) && label.ends_with(is_word) && label.chars().all(|c| is_word(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};

    const UNSET: &str = r#"{"spec": {"containers": [{"name": "a"}]}}"#;
    const KATA: &str = r#"{"spec": {"runtimeClassName": "kata", "containers": [{"name": "a"}]}}"#;

    fn control(allowed: Option<&[&str]>, required: bool) -> RuntimeClass {
        let allowed = allowed.map(|names| names.iter().map(ToString::to_string).collect());
        RuntimeClass { allowed, required }
    }

    #[test]
    fn allows_what_is_listed() {
        check(control(Some(&["kata"]), false), KATA, &[]);
        check(control(Some(&["*"]), true), KATA, &[]);
        let other = control(Some(&["gvisor", "runc"]), false);
        check(other.clone(), KATA, &[r#"spec.runtimeClassName is "kata"; must be "gvisor" or "runc" or unset"#]);
        check(other, UNSET, &[]);
        check(control(Some(&[]), false), KATA, &[r#"spec.runtimeClassName is "kata"; must be unset"#]);
        check(control(Some(&[]), false), UNSET, &[]);
    }

    #[test]
    fn may_be_required() {
        check(control(None, true), UNSET, &["spec.runtimeClassName is unset; must be set"]);
        check(control(None, true), KATA, &[]);
        check(control(Some(&["gvisor"]), true), UNSET, &[r#"spec.runtimeClassName is unset; must be "gvisor""#]);
    }

    #[test]
    fn injects_on_a_new_pod_that_has_none() {
        let it = InjectRuntimeClass("gvisor".to_owned());
        inject(&it, UNSET, &["spec: {runtimeClassName: gvisor}"]);
        inject(&it, KATA, &[]);
        inject_into(&it, UNSET, Target::Ephemeral(&[0]), &[]);
    }

    #[test]
    fn a_name_is_what_the_api_server_takes() {
        assert!(is_subdomain("a-1.b"));
        for bad in ["", "A", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
    }
}
