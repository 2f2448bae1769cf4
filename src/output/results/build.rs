//! From a decision to the model: one [`Finding`] for each that was judged, with the fix that has been tried.

use crate::control::{self, NAMES, Subject};
use crate::decision::{Decision, Judged, PodSecurityDecision};
use crate::output::{self, group::Group};
use crate::pod::Kind;
use crate::pod::effective::Origin;
use crate::policy::{Mode, Policy};

use super::{ANNOTATION, Container, Fate, Finding, Injected, LEVELS, Object};

// === impl Object ===

impl Object {
    /// An object as it was judged. Its place, and how many Pods stand behind it, are for the caller to add.
    #[must_use]
    pub fn of(
        object: &output::Object<'_>,
        api_version: &str,
        uid: Option<&str>,
        decision: &Decision<'_>,
    ) -> Self {
        let kind = object.kind;
        let judged = decision.findings.iter();
        let mut findings: Vec<Finding> = judged.map(|it| Finding::of(kind, it)).collect();
        if let Some(by_labels) = &decision.pod_security {
            add_by_labels(kind, by_labels, &mut findings);
        }
        let injected = decision.injected.iter().map(|it| Injected {
            path: kind.path(&it.edit.path()),
            value: it.edit.change.value(),
            policy: it.policy.to_owned(),
        });
        let mut it = Self {
            api_version: api_version.to_owned(),
            kind: kind.name().to_owned(),
            namespace: object.namespace.to_owned(),
            name: object.name.to_owned(),
            uid: uid.map(str::to_owned),
            place: None,
            pods: 0,
            fate: Fate::Clean,
            findings,
            injected: injected.collect(),
        };
        // What it had before an update is told and does not reject.
        it.fate = match it.worst() {
            Fate::Rejected if decision.allowed() => Fate::Warned,
            worst => worst,
        };
        it
    }

    /// The worst that its findings lead to.
    #[must_use]
    pub fn worst(&self) -> Fate {
        let fates = self.findings.iter().map(Finding::fate);
        fates.max().unwrap_or(Fate::Clean)
    }

    /// Writes into each finding the loosest level that forbids the same, as judged by
    /// [`PolicySet::of_levels`](crate::policy::PolicySet::of_levels).
    pub fn grade(&mut self, by_level: &Decision<'_>) {
        let rank = |name: &str| LEVELS.iter().position(|level| *level == name);
        for finding in &mut self.findings {
            let same = by_level.findings.iter().filter(|judged| {
                let it = &judged.finding;
                it.control == finding.control
                    && it.field == finding.field
                    && it.current == finding.current
                    && finding.is_about(&it.subject)
            });
            let levels = same.flat_map(|it| &it.policies);
            let loosest = levels.filter_map(|it| rank(&it.name)).min();
            finding.level = loosest.map(|it| LEVELS[it].to_owned());
        }
    }
}

// === impl Finding ===

impl Finding {
    /// What it means for the object and its Pods.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self.mode {
            Mode::Enforce => Fate::Rejected,
            _ if self.pod_mode == Mode::Enforce => Fate::PodsRejected,
            Mode::Warn => Fate::Warned,
            Mode::Audit => Fate::Recorded,
        }
    }

    fn of(kind: Kind, judged: &Judged<'_>) -> Self {
        let names = |policies: &[&Policy]| policies.iter().map(|it| it.name.clone()).collect();
        let alone = Group {
            members: vec![judged],
        };
        Self {
            mode: judged.mode,
            pod_mode: judged.pod_mode,
            policies: names(&judged.policies),
            pod_policies: names(&judged.pod_policies),
            fix: alone.fix(kind),
            ..Self::found(kind, &judged.finding)
        }
    }

    /// What was found, before anybody says what it leads to.
    fn found(kind: Kind, finding: &control::Finding) -> Self {
        let (container, volume) = match &finding.subject {
            Subject::Pod => (None, None),
            Subject::Volume { name, .. } => (None, Some(name.clone())),
            Subject::Container { at, name } => {
                let list = at.list.field().to_owned();
                let name = name.clone();
                (Some(Container { list, name }), None)
            }
        };
        let source = match finding.origin {
            None | Some(Origin::Container) => None,
            Some(Origin::Pod) => Some(kind.path("spec.securityContext")),
            Some(Origin::Annotation) => Some(ANNOTATION.to_owned()),
        };
        Self {
            control: finding.control.to_owned(),
            mode: Mode::Audit,
            pod_mode: Mode::Audit,
            policies: Vec::new(),
            pod_policies: Vec::new(),
            level: None,
            container,
            volume,
            field: finding.field.clone(),
            path: kind.path(&finding.path()),
            in_pod: None,
            current: finding.current.clone(),
            source,
            required: finding.required.clone(),
            fix: None,
            pods: 0,
            place: None,
            new: false,
        }
    }

    fn is_about(&self, subject: &Subject) -> bool {
        match (subject, &self.container, &self.volume) {
            (Subject::Pod, None, None) => true,
            (Subject::Volume { name, .. }, None, Some(own)) => name == own,
            (Subject::Container { at, name }, Some(own), None) => {
                at.list.field() == own.list && *name == own.name
            }
            _ => false,
        }
    }

    /// The same place and value; what is required of it may be put differently.
    fn is_same(&self, other: &Self) -> bool {
        self.control == other.control && self.path == other.path && self.current == other.current
    }
}

/// Adds what the namespace's labels say, as findings of a policy that is named after the label and its value. Where a
/// policy has found the same, the stricter mode counts, as between policies.
fn add_by_labels(kind: Kind, by_labels: &PodSecurityDecision, findings: &mut Vec<Finding>) {
    for (mode, broken) in [
        (Mode::Enforce, by_labels.rejected()),
        (Mode::Warn, by_labels.warned()),
        (Mode::Audit, by_labels.recorded()),
    ] {
        let Some((asked, found)) = broken else {
            continue;
        };
        let name = format!("pod-security.kubernetes.io/{mode}={asked}");
        for finding in found.iter().map(|it| Finding::found(kind, it)) {
            let it = known_or_new(findings, finding);
            stricter((&mut it.mode, &mut it.policies), mode, &name);
            stricter((&mut it.pod_mode, &mut it.pod_policies), mode, &name);
        }
    }
    // To the workload itself the labels say nothing of it: only its Pods will hear.
    if let Some((asked, found)) = by_labels.doomed() {
        let name = format!("pod-security.kubernetes.io/enforce={asked}");
        for finding in found.iter().map(|it| Finding::found(kind, it)) {
            let it = known_or_new(findings, finding);
            stricter(
                (&mut it.pod_mode, &mut it.pod_policies),
                Mode::Enforce,
                &name,
            );
        }
    }
    // Stable: findings of one control stay in the order of the Pod.
    findings.sort_by_key(|it| NAMES.iter().position(|name| *name == it.control));
}

/// The same finding, if there is one, else this.
fn known_or_new(findings: &mut Vec<Finding>, finding: Finding) -> &mut Finding {
    let known = findings.iter().position(|it| it.is_same(&finding));
    let at = known.unwrap_or_else(|| {
        findings.push(finding);
        findings.len() - 1
    });
    &mut findings[at]
}

fn stricter(known: (&mut Mode, &mut Vec<String>), mode: Mode, name: &str) {
    let (known, names) = known;
    if mode > *known {
        names.clear();
    }
    if mode >= *known {
        *known = mode;
        names.push(name.to_owned());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
