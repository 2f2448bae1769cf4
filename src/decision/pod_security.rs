//! What the namespace's Pod Security labels lead to, step by step as Pod Security Admission does it.
//!
//! Beside the policies, not among them: each of the three modes has a level and a version of its own, an update of a
//! Pod is judged as a whole if it matters at all, workloads are never rejected, and exemptions come first.

use crate::control::{Finding, Findings};
use crate::pod::{Kind, PodView};
use crate::policy::source::pod_security::{LabelError, LevelVersion, PodSecurity};

use super::request::{Operation, Request, is_ignored};

/// The outcome of one request that the labels concern.
#[derive(Debug, Default)]
pub struct PodSecurityDecision {
    /// Why nothing was judged.
    pub exempt: Option<Exempt>,
    /// What a Pod had to fulfil; `None` for a workload.
    pub enforced: Option<LevelVersion>,
    /// What is wrong with the labels.
    pub errors: Vec<LabelError>,
    /// What each level and version that was asked for found, each once.
    judged: Vec<(LevelVersion, Vec<Finding>)>,
    enforce: Option<usize>,
    audit: Option<usize>,
    warn: Option<usize>,
}

/// Why nothing was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exempt {
    /// The namespace is listed.
    Namespace,
    /// The requester is listed.
    User,
    /// The Pod's runtime class is listed.
    RuntimeClass,
}

// === impl PodSecurityDecision ===

impl PodSecurityDecision {
    /// What the Pod is rejected for.
    #[must_use]
    pub fn rejected(&self) -> Option<(LevelVersion, &[Finding])> {
        self.broken(self.enforce)
    }

    /// What is recorded.
    #[must_use]
    pub fn recorded(&self) -> Option<(LevelVersion, &[Finding])> {
        self.broken(self.audit)
    }

    /// What is told; nothing if the Pod is rejected.
    #[must_use]
    pub fn warned(&self) -> Option<(LevelVersion, &[Finding])> {
        self.broken(self.warn).filter(|_| self.rejected().is_none())
    }

    fn exempt(why: Exempt) -> Self {
        Self {
            exempt: Some(why),
            ..Self::default()
        }
    }

    fn broken(&self, mode: Option<usize>) -> Option<(LevelVersion, &[Finding])> {
        let (asked, findings) = self.judged.get(mode?)?;
        Some((*asked, findings.as_slice())).filter(|(_, findings)| !findings.is_empty())
    }

    /// The place of what is found there.
    fn judge(
        &mut self,
        source: &PodSecurity,
        asked: LevelVersion,
        pod: &PodView<'_>,
    ) -> Option<usize> {
        if let Some(known) = self.judged.iter().position(|(it, _)| *it == asked) {
            return Some(known);
        }
        let mut findings = Findings::default();
        for control in source.controls(asked.level?, asked.version.known()) {
            control.check(pod, &mut findings);
        }
        self.judged.push((asked, findings.into_vec()));
        Some(self.judged.len() - 1)
    }
}

/// What the labels lead to. `None` if they have nothing to say: about this request, or because they are not known.
pub(super) fn judge(source: &PodSecurity, request: &Request<'_>) -> Option<PodSecurityDecision> {
    let is_pod = request.kind == Kind::Pod;
    let is_ignored = if is_pod {
        is_ignored(request.kind, request.subresource)
    } else {
        !request.subresource.is_empty()
    };
    if is_ignored || request.operation == Operation::Other {
        return None;
    }
    let exemptions = source.exemptions();
    let is_listed =
        |list: &[String], name: &str| !name.is_empty() && list.iter().any(|it| it == name);
    if is_listed(&exemptions.namespaces, request.namespace) {
        return Some(PodSecurityDecision::exempt(Exempt::Namespace));
    }
    if is_listed(&exemptions.usernames, request.user) {
        return Some(PodSecurityDecision::exempt(Exempt::User));
    }
    let (modes, errors) = source.modes(request.namespace_labels?);
    if errors.is_empty() && modes.is_privileged() {
        let enforced = is_pod.then_some(LevelVersion::PRIVILEGED);
        return enforced.map(|it| PodSecurityDecision {
            enforced: Some(it),
            ..PodSecurityDecision::default()
        });
    }
    if !is_pod && errors.is_empty() && modes.audit.level.is_none() && modes.warn.level.is_none() {
        return None;
    }
    if !request.is_judged() {
        return None;
    }
    let runtime_class = request
        .pod
        .spec
        .runtime_class_name
        .as_deref()
        .unwrap_or_default();
    if is_listed(&exemptions.runtime_classes, runtime_class) {
        return Some(PodSecurityDecision::exempt(Exempt::RuntimeClass));
    }
    let mut it = PodSecurityDecision {
        errors,
        ..PodSecurityDecision::default()
    };
    if is_pod {
        it.enforced = Some(modes.enforce);
        it.enforce = it.judge(source, modes.enforce, request.pod);
    }
    it.audit = it.judge(source, modes.audit, request.pod);
    it.warn = it.judge(source, modes.warn, request.pod);
    Some(it)
}
