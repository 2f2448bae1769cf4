//! What the namespace's Pod Security labels lead to, step by step as Pod Security Admission does it.
//!
//! Beside the policies, not among them: each of the three modes has a level and a version of its own, an update of a
//! Pod is judged as a whole if it matters at all, workloads are not rejected unless that was asked for, and exemptions
//! come first.

use std::collections::HashSet;

use crate::control::finding::Identity;
use crate::control::{AnyControl, Finding, Subject, TooMany};
use crate::pod::{ContainerList, Kind, PodView};
use crate::policy::source::pod_security::{LabelError, LevelVersion, PodSecurity, Templates};
use crate::policy::{Mode, Policy};

use super::request::{Operation, Request, is_ignored};
use super::{Judged, fix, injection};

/// The outcome of one request that the labels concern.
#[derive(Debug, Default)]
pub struct PodSecurityDecision {
    /// Why nothing was judged.
    pub exempt: Option<Exempt>,
    /// What a Pod had to fulfil; `None` for a workload.
    pub enforced: Option<LevelVersion>,
    /// What is wrong with the labels.
    pub errors: Vec<LabelError>,
    /// Why the labels are not known, of a workload that is admitted all the same.
    pub unknown: Option<String>,
    /// What is rejected, once more with fixes that have been tried, if that was asked for.
    pub explained: Vec<Judged<'static>>,
    /// The Pods of this workload will be rejected, and that is to be told.
    pub dooms_pods: bool,
    /// What each level and version that was asked for found, each once.
    judged: Vec<(LevelVersion, Vec<Finding>)>,
    /// What rejects the object itself, or else would reject its Pods.
    enforce: Option<(LevelVersion, Vec<Finding>)>,
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
    /// What the object is rejected for.
    #[must_use]
    pub fn rejected(&self) -> Option<(LevelVersion, &[Finding])> {
        self.enforced_findings().filter(|_| !self.dooms_pods)
    }

    /// What the Pods of a workload will be rejected for, which is not rejected itself.
    #[must_use]
    pub fn doomed(&self) -> Option<(LevelVersion, &[Finding])> {
        self.enforced_findings().filter(|_| self.dooms_pods)
    }

    /// What is recorded.
    #[must_use]
    pub fn recorded(&self) -> Option<(LevelVersion, &[Finding])> {
        self.broken(self.audit)
    }

    /// What is told; nothing if the object is rejected.
    #[must_use]
    pub fn warned(&self) -> Option<(LevelVersion, &[Finding])> {
        self.broken(self.warn).filter(|_| self.rejected().is_none())
    }

    /// Of a workload whose namespace's labels cannot be known: it is recorded.
    #[must_use]
    pub fn unknown(why: String) -> Self {
        Self {
            unknown: Some(why),
            ..Self::default()
        }
    }

    fn exempt(why: Exempt) -> Self {
        Self {
            exempt: Some(why),
            ..Self::default()
        }
    }

    fn enforced_findings(&self) -> Option<(LevelVersion, &[Finding])> {
        let (asked, findings) = self.enforce.as_ref()?;
        Some((*asked, findings.as_slice())).filter(|(_, findings)| !findings.is_empty())
    }

    fn broken(&self, mode: Option<usize>) -> Option<(LevelVersion, &[Finding])> {
        let (asked, findings) = self.judged.get(mode?)?;
        Some((*asked, findings.as_slice())).filter(|(_, findings)| !findings.is_empty())
    }
}

/// Who is exempt before anything is known of the namespace or the object.
#[must_use]
pub fn exempt(source: &PodSecurity, namespace: &str, user: &str) -> Option<Exempt> {
    let exemptions = source.exemptions();
    if exemptions.has_namespace(namespace) {
        return Some(Exempt::Namespace);
    }
    exemptions.has_user(user).then_some(Exempt::User)
}

/// True if the labels have nothing to say about requests like this one.
#[must_use]
pub fn is_out_of_scope(kind: Kind, subresource: &str, operation: Operation) -> bool {
    let is_ignored = if kind == Kind::Pod {
        is_ignored(kind, subresource)
    } else {
        !subresource.is_empty()
    };
    is_ignored || operation == Operation::Other
}

/// What the labels lead to. `None` if they have nothing to say: about this request, or because they are not known.
/// `policies` are those that concern the object, whose injections the Pods of a template will get.
pub(super) fn judge(
    source: &PodSecurity,
    request: &Request<'_>,
    policies: &[&Policy],
) -> Result<Option<PodSecurityDecision>, TooMany> {
    if is_out_of_scope(request.kind, request.subresource, request.operation) {
        return Ok(None);
    }
    if let Some(why) = exempt(source, request.namespace, request.user) {
        return Ok(Some(PodSecurityDecision::exempt(why)));
    }
    let is_pod = request.kind == Kind::Pod;
    let Some(labels) = request.namespace_labels else {
        return Ok(None);
    };
    let (modes, errors) = source.modes(labels);
    if errors.is_empty() && modes.is_privileged() {
        let enforced = is_pod.then_some(LevelVersion::PRIVILEGED);
        return Ok(enforced.map(|it| PodSecurityDecision {
            enforced: Some(it),
            ..PodSecurityDecision::default()
        }));
    }
    let is_enforced = is_pod || source.options().workloads != Templates::Upstream;
    let asks = |mode: LevelVersion| mode.level.is_some();
    let is_asked = asks(modes.audit) || asks(modes.warn) || (is_enforced && asks(modes.enforce));
    if !is_pod && errors.is_empty() && !is_asked {
        return Ok(None);
    }
    if !request.is_judged() {
        return Ok(None);
    }
    let runtime_class = request.pod.spec.runtime_class_name.as_deref();
    if source
        .exemptions()
        .has_runtime_class(runtime_class.unwrap_or_default())
    {
        return Ok(Some(PodSecurityDecision::exempt(Exempt::RuntimeClass)));
    }
    let mut it = PodSecurityDecision {
        errors,
        enforced: is_pod.then_some(modes.enforce),
        ..PodSecurityDecision::default()
    };
    let judging = Judging { source, request };
    let (template, _) = if !is_pod && is_enforced {
        injection::run_on(policies, request.pod)
    } else {
        (None, Vec::new())
    };
    let enforced_pod = template.as_ref().unwrap_or(request.pod);
    if is_pod {
        it.enforce = Some((modes.enforce, judging.pod(modes.enforce)?));
    } else if is_enforced {
        let (findings, rejects) = judging.template(modes.enforce, enforced_pod, policies)?;
        it.enforce = Some((modes.enforce, findings));
        it.dooms_pods = !rejects;
    }
    let known = it.enforce.iter().filter(|_| is_pod).cloned();
    let mut judged: Vec<_> = known.collect();
    let mut place = |asked: LevelVersion| -> Result<usize, TooMany> {
        if let Some(known) = judged.iter().position(|(known, _)| *known == asked) {
            return Ok(known);
        }
        judged.push((asked, judging.pod(asked)?));
        Ok(judged.len() - 1)
    };
    it.audit = Some(place(modes.audit)?);
    it.warn = Some(place(modes.warn)?);
    it.judged = judged;
    if source.options().explain {
        it.explained = it
            .rejected()
            .map(|rejected| judging.explain(rejected, enforced_pod))
            .unwrap_or_default();
    }
    Ok(Some(it))
}

/// One request under the labels.
struct Judging<'r> {
    source: &'r PodSecurity,
    request: &'r Request<'r>,
}

// === impl Judging ===

impl Judging<'_> {
    fn controls(&self, asked: LevelVersion) -> &[AnyControl] {
        let controls = |level| self.source.controls(level, asked.version.known());
        asked.level.map_or(&[], controls)
    }

    fn check(&self, asked: LevelVersion, pod: &PodView<'_>) -> Result<Vec<Finding>, TooMany> {
        fix::check_all(self.controls(asked), pod)
    }

    /// What is wrong with the Pod or template as it is.
    fn pod(&self, asked: LevelVersion) -> Result<Vec<Finding>, TooMany> {
        let mut findings = self.check(asked, self.request.pod)?;
        let is_debugging =
            self.request.subresource == "ephemeralcontainers" && self.request.old.is_some();
        if is_debugging && self.source.options().added_only {
            let added = self.request.added_ephemeral();
            findings.retain(|it| {
                matches!(&it.subject, Subject::Container { at, .. }
                    if at.list == ContainerList::Ephemeral && added.contains(&at.index))
            });
        }
        Ok(findings)
    }

    /// What will be wrong with the Pods of the template, whose injections have run, and whether that rejects it: only
    /// what this update brings does.
    fn template(
        &self,
        asked: LevelVersion,
        pod: &PodView<'_>,
        policies: &[&Policy],
    ) -> Result<(Vec<Finding>, bool), TooMany> {
        let findings = self.check(asked, pod)?;
        if self.source.options().workloads != Templates::Enforce {
            return Ok((findings, false));
        }
        let updates = self.request.operation == Operation::Update;
        let Some(old) = self.request.old.filter(|_| updates) else {
            return Ok((findings, true));
        };
        let (after, _) = injection::run_on(policies, old);
        let before = self.check(asked, after.as_ref().unwrap_or(old))?;
        let before: HashSet<Identity<'_>> = before.iter().map(Finding::identity).collect();
        let is_new = |it: &&Finding| !before.contains(&it.identity());
        let new: Vec<Finding> = findings.iter().filter(is_new).cloned().collect();
        Ok(if new.is_empty() {
            (findings, false)
        } else {
            (new, true)
        })
    }

    /// The findings with fixes that have been tried.
    fn explain(
        &self,
        (asked, findings): (LevelVersion, &[Finding]),
        pod: &PodView<'_>,
    ) -> Vec<Judged<'static>> {
        let judged = findings.iter().cloned();
        let mut judged: Vec<Judged<'static>> = judged.map(Judged::by_labels).collect();
        let controls: Vec<&AnyControl> = self.controls(asked).iter().collect();
        fix::prove(&controls, pod, &mut judged);
        judged.sort_by_key(|it| super::rank(it.finding.control));
        judged
    }
}

// === impl Judged ===

impl Judged<'static> {
    /// A finding that no policy asks for.
    fn by_labels(finding: Finding) -> Self {
        Self {
            finding,
            mode: Mode::Enforce,
            policies: Vec::new(),
            pod_mode: Mode::Enforce,
            pod_policies: Vec::new(),
            existed: false,
            fix_is_proven: false,
        }
    }
}
