//! `decide`: the one engine. A policy set and a request in, a decision out; pure, synchronous and deterministic.

pub mod fix;
pub mod injection;
pub mod request;

use crate::control::{Finding, Findings};
use crate::pod::{Edit, PodView};
use crate::policy::{Mode, Policy, PolicySet, Selected, Workloads};

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
        !self.findings.iter().any(Judged::rejects)
    }
}

// === impl Judged ===

impl Judged<'_> {
    /// True if this finding alone rejects the object.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.mode == Mode::Enforce && !self.existed
    }
}

/// Decides one request.
#[must_use]
pub fn decide<'s>(set: &'s PolicySet, request: &Request<'_>) -> Decision<'s> {
    if !request.is_judged() {
        return Decision::default();
    }
    let selected = Selected {
        namespace: request.namespace,
        namespace_labels: request.namespace_labels,
        user: request.user,
        groups: request.groups,
        pod: request.pod,
    };
    let is_workload = request.kind.is_workload();
    let policies: Vec<&Policy> = set
        .policies()
        .iter()
        .filter(|policy| {
            !(is_workload && policy.workloads == Workloads::Ignore)
                && policy.matching.selects(&selected)
        })
        .collect();
    let mut decision = Decision {
        policies,
        ..Decision::default()
    };
    if decision.policies.is_empty() {
        return decision;
    }
    let injects = match request.stage {
        Stage::Mutate => true,
        Stage::Validate => is_workload,
        Stage::Whole => true,
    };
    let after = if injects {
        let (pod, injected) = injection::run(&decision.policies, request);
        decision.injected = injected;
        pod
    } else {
        None
    };
    if request.stage == Stage::Mutate {
        return decision;
    }
    let pod = after.as_ref().unwrap_or(request.pod);
    decision.findings = judge(set, &decision.policies, request, pod);
    if decision.findings.is_empty() {
        return decision;
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
        );
        for judged in &mut decision.findings {
            judged.existed = before.iter().any(|it| it.finding.is_same(&judged.finding));
        }
    }
    fix::prove(set, pod, &mut decision.findings);
    decision
}

/// The findings of the selected policies, in the order of the controls, equal ones merged.
/// A control that several policies share is checked once.
fn judge<'s>(
    set: &'s PolicySet,
    policies: &[&'s Policy],
    request: &Request<'_>,
    pod: &PodView<'_>,
) -> Vec<Judged<'s>> {
    let mut checked: Vec<Option<Vec<Finding>>> = vec![None; set.checks().len()];
    let mut judged: Vec<(usize, Judged<'s>)> = Vec::new();
    for policy in policies {
        for &(at, mode) in &policy.checks {
            let pod_mode = mode;
            let mode = match policy.workloads {
                Workloads::UpTo(most) if request.kind.is_workload() => mode.min(most),
                _ => mode,
            };
            let control = &set.checks()[at];
            let findings = checked[at].get_or_insert_with(|| {
                let mut findings = Findings::default();
                control.check(pod, &mut findings);
                findings.into_vec()
            });
            for finding in findings.iter() {
                match judged
                    .iter_mut()
                    .find(|(_, it)| it.finding.is_same(finding))
                {
                    None => judged.push((
                        rank(finding.control),
                        Judged {
                            finding: finding.clone(),
                            mode,
                            pod_mode,
                            policies: vec![policy],
                            existed: false,
                            fix_is_proven: false,
                        },
                    )),
                    Some((_, it)) => {
                        it.pod_mode = it.pod_mode.max(pod_mode);
                        if it.mode < mode {
                            it.mode = mode;
                            it.policies = vec![policy];
                        } else if it.mode == mode {
                            it.policies.push(policy);
                        }
                    }
                }
            }
        }
    }
    // Stable: findings of one control stay in the order of the Pod.
    judged.sort_by_key(|(rank, _)| *rank);
    judged.into_iter().map(|(_, it)| it).collect()
}

fn rank(control: &str) -> usize {
    crate::control::NAMES
        .iter()
        .position(|name| *name == control)
        .unwrap_or(usize::MAX)
}
