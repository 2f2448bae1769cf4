//! `decide`: the one engine. A policy set and a request in, a decision out; pure, synchronous and deterministic.

pub mod fix;
pub mod injection;
pub mod pod_security;
pub mod request;

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::control::finding::Identity;
use crate::control::{AnyControl, Finding, Findings, TooMany};
use crate::pod::{ContainerList, Edit, PodView};
use crate::policy::{Mode, Policy, PolicySet, Selected, Workloads};

pub use pod_security::{Exempt, PodSecurityDecision};
pub use request::{Operation, Request, Stage};

/// The outcome of one request.
#[derive(Debug, Default)]
pub struct Decision<'s> {
    /// Every finding of every selected policy, each once.
    pub findings: Vec<Judged<'s>>,
    /// What was injected (when mutating), or would have been (for what is judged as if it had).
    pub injected: Vec<Injected<'s>>,
    /// The policies that concern the Pod.
    pub policies: Vec<&'s Policy>,
    /// What the namespace's Pod Security labels say of it, if the set looks at them.
    pub pod_security: Option<PodSecurityDecision>,
}

/// A finding, and what it leads to.
#[derive(Debug)]
pub struct Judged<'s> {
    /// What was found.
    pub finding: Finding,
    /// The strictest mode in which a policy asks for it.
    pub mode: Mode,
    /// The strictest mode that a Pod made from this template would meet; for a Pod the same as `mode`.
    pub pod_mode: Mode,
    /// The policies that ask for it in that mode.
    pub policies: Vec<&'s Policy>,
    /// The policies that ask for it in `pod_mode`.
    pub pod_policies: Vec<&'s Policy>,
    /// The object broke it before this update: it is told, not rejected.
    pub existed: bool,
    /// The suggested fix has been tried: it removes the finding and brings no other.
    pub fix_is_proven: bool,
}

/// One injected value.
#[derive(Debug)]
pub struct Injected<'s> {
    /// What and where.
    pub edit: Edit<'static>,
    /// By which policy.
    pub policy: &'s str,
}

// === impl Decision ===

impl Decision<'_> {
    /// True unless a finding rejects the object.
    #[must_use]
    pub fn allowed(&self) -> bool {
        let by_labels = self
            .pod_security
            .as_ref()
            .is_some_and(|it| it.rejected().is_some());
        !by_labels && !self.findings.iter().any(Judged::rejects)
    }
}

// === impl Judged ===

impl<'s> Judged<'s> {
    fn of(finding: Finding, asked: &[(&'s Policy, Mode)], is_workload: bool) -> Self {
        let capped = |policy: &Policy, mode: Mode| match policy.workloads {
            Workloads::UpTo(most) if is_workload => mode.min(most),
            _ => mode,
        };
        let (pod_mode, pod_policies) = strictest(asked.iter().copied());
        let (mode, policies) = strictest(
            asked
                .iter()
                .map(|&(policy, mode)| (policy, capped(policy, mode))),
        );
        Self {
            finding,
            mode,
            policies,
            pod_mode,
            pod_policies,
            existed: false,
            fix_is_proven: false,
        }
    }

    fn merge(&mut self, other: Self) {
        merge(
            (&mut self.mode, &mut self.policies),
            (other.mode, other.policies),
        );
        merge(
            (&mut self.pod_mode, &mut self.pod_policies),
            (other.pod_mode, other.pod_policies),
        );
    }

    /// True if a Pod made from this template would be rejected for it, and the template is not.
    #[must_use]
    pub fn dooms_pods(&self) -> bool {
        self.pod_mode == Mode::Enforce && self.mode != Mode::Enforce
    }

    /// True if this finding alone rejects the object.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.mode == Mode::Enforce && !self.existed
    }
}

/// The strictest mode, and who asks for it.
fn strictest<'s>(
    asked: impl Iterator<Item = (&'s Policy, Mode)> + Clone,
) -> (Mode, Vec<&'s Policy>) {
    let strictest = asked
        .clone()
        .map(|(_, mode)| mode)
        .max()
        .unwrap_or(Mode::Audit);
    let policies = asked
        .filter(|(_, mode)| *mode == strictest)
        .map(|(policy, _)| policy);
    (strictest, policies.collect())
}

/// The same of two such.
fn merge<'s>(one: (&mut Mode, &mut Vec<&'s Policy>), other: (Mode, Vec<&'s Policy>)) {
    let ((mode, policies), (other_mode, others)) = (one, other);
    match (*mode).cmp(&other_mode) {
        Ordering::Less => (*mode, *policies) = (other_mode, others),
        Ordering::Equal => {
            policies.extend(others);
            policies.sort_by(|one, two| one.name.cmp(&two.name));
        }
        Ordering::Greater => {}
    }
}

/// Decides one request.
///
/// # Errors
/// If more is wrong with the object than podgate keeps: it is not to be admitted then, in whatever mode the policies
/// are.
pub fn decide<'s>(set: &'s PolicySet, request: &Request<'_>) -> Result<Decision<'s>, TooMany> {
    let mut decision = by_policies(set, request)?;
    if request.stage != Stage::Mutate
        && let Some(source) = set.pod_security()
    {
        decision.pod_security = pod_security::judge(source, request, &decision.policies)?;
    }
    Ok(decision)
}

fn by_policies<'s>(set: &'s PolicySet, request: &Request<'_>) -> Result<Decision<'s>, TooMany> {
    if !request.is_judged() {
        return Ok(Decision::default());
    }
    let selected = Selected {
        namespace: request.namespace,
        namespace_labels: request.namespace_labels,
        user: request.user,
        groups: request.groups,
        pod: request.pod,
    };
    let is_workload = request.kind.is_workload();
    let mut policies: Vec<&Policy> = Vec::with_capacity(set.policies().len());
    policies.extend(set.policies().iter().filter(|policy| {
        !(is_workload && policy.workloads == Workloads::Ignore)
            && policy.matching.selects(&selected)
    }));
    let mut decision = Decision {
        policies,
        ..Decision::default()
    };
    if decision.policies.is_empty() {
        return Ok(decision);
    }
    if request.stage == Stage::Mutate && is_workload {
        // Its Pods get what is missing; the template stays as its owner wrote it.
        return Ok(decision);
    }
    let injects = request.stage != Stage::Validate || is_workload;
    let after = if injects {
        let (pod, injected) = injection::run(&decision.policies, request);
        decision.injected = injected;
        pod
    } else {
        None
    };
    if request.stage == Stage::Mutate {
        return Ok(decision);
    }
    let pod = after.as_ref().unwrap_or(request.pod);
    decision.findings = judge(set, &decision.policies, request, pod)?;
    if decision.findings.is_empty() {
        return Ok(decision);
    }
    if let Some(old) = request
        .old
        .filter(|_| request.operation == Operation::Update)
    {
        let (injected, _) = if is_workload {
            injection::run_on(&decision.policies, old)
        } else {
            (None, Vec::new())
        };
        let before = judge(
            set,
            &decision.policies,
            request,
            injected.as_ref().unwrap_or(old),
        )?;
        let before: HashSet<Identity<'_>> = before.iter().map(|it| it.finding.identity()).collect();
        for judged in &mut decision.findings {
            judged.existed = before.contains(&judged.finding.identity());
        }
    }
    let asking: Vec<&Policy> = decision
        .findings
        .iter()
        .flat_map(|it| &it.policies)
        .copied()
        .collect();
    let controls: Vec<&AnyControl> = set.asked(&asking).map(|(_, control)| control).collect();
    fix::prove(&controls, pod, &mut decision.findings);
    Ok(decision)
}

/// The findings of the selected policies, in the order of the controls, equal ones merged.
/// A control that several policies share is checked once.
fn judge<'s>(
    set: &'s PolicySet,
    policies: &[&'s Policy],
    request: &Request<'_>,
    pod: &PodView<'_>,
) -> Result<Vec<Judged<'s>>, TooMany> {
    let mut judged: Vec<Judged<'s>> = Vec::new();
    let mut findings = Findings::default();
    for (at, control) in set.asked(policies) {
        control.check(pod, &mut findings);
        findings.checked()?;
        if findings.is_empty() {
            continue;
        }
        let asked: Vec<(&Policy, Mode)> = policies
            .iter()
            .filter_map(|policy| Some((*policy, policy.mode_of(at)?)))
            .collect();
        for finding in findings.drain() {
            judged.push(Judged::of(finding, &asked, request.kind.is_workload()));
        }
    }
    if judged.len() < 2 {
        return Ok(judged);
    }
    // Two policies with different parameters may still find the same.
    let mut merged: Vec<Judged<'s>> = Vec::with_capacity(judged.len());
    let mut known: HashMap<OwnedIdentity, usize> = HashMap::with_capacity(judged.len());
    for it in judged {
        match known.entry(OwnedIdentity::of(&it.finding)) {
            Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(it);
            }
            Entry::Occupied(entry) => merged[*entry.get()].merge(it),
        }
    }
    // Stable: findings of one control stay in the order of the Pod.
    merged.sort_by_key(|it| rank(it.finding.control));
    Ok(merged)
}

/// [`Finding::identity`], for keeping.
#[derive(PartialEq, Eq, Hash)]
struct OwnedIdentity(&'static str, Option<ContainerList>, [String; 4]);

impl OwnedIdentity {
    fn of(finding: &Finding) -> Self {
        let (control, list, name, field, current, required) = finding.identity();
        Self(
            control,
            list,
            [name, field, current, required].map(str::to_owned),
        )
    }
}

fn rank(control: &str) -> usize {
    crate::control::NAMES
        .iter()
        .position(|name| *name == control)
        .unwrap_or(usize::MAX)
}
