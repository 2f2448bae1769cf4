//! Findings of Pods, gathered under the workload that makes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::control::NAMES;
use crate::output::results::{Fate, Finding, Namespace, Object};
use crate::pod::Kind;
use crate::policy::Mode;

use super::judge::{Judged, Labels, Parts};
use super::owners::{OwnerRef, Owners};
use super::readiness::{Breaks, Workloads};

/// What the Pods of one owner break.
#[derive(Debug, Default)]
pub(super) struct FromPods {
    pods: u64,
    findings: BTreeMap<Key, Finding>,
    breaks: Breaks,
}

/// What makes findings of two Pods the same, in the order in which they are told.
type Key = (
    usize,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    String,
    Mode,
);

/// All that was judged.
#[derive(Default)]
pub(super) struct Rollup {
    /// Pods without an owner, and workloads by their template.
    pub(super) own: Vec<Judged>,
    /// Pods by the one that manages them.
    pub(super) pods: HashMap<OwnerRef, FromPods>,
    pub(super) owners: Owners,
}

// === impl FromPods ===

impl FromPods {
    /// Adds one Pod.
    pub(super) fn add(&mut self, judged: Judged) {
        self.pods += 1;
        let Judged { object, breaks, .. } = judged;
        for (all, broken) in self.breaks.iter_mut().zip(breaks) {
            all.extend(broken);
        }
        let name = object.name;
        for finding in object.findings {
            let finding = Finding {
                pods: 1,
                in_pod: Some(name.clone()),
                ..finding
            };
            self.take(finding);
        }
    }

    fn merge(&mut self, other: Self) {
        self.pods += other.pods;
        for (all, broken) in self.breaks.iter_mut().zip(other.breaks) {
            all.extend(broken);
        }
        for finding in other.findings.into_values() {
            self.take(finding);
        }
    }

    fn take(&mut self, finding: Finding) {
        let rank = NAMES.iter().position(|name| *name == finding.control);
        let key = (
            rank.unwrap_or(usize::MAX),
            finding.container.as_ref().map(|it| it.list.clone()),
            finding.container.as_ref().map(|it| it.name.clone()),
            finding.volume.clone(),
            finding.field.clone(),
            finding.current.clone(),
            finding.pod_mode,
        );
        match self.findings.get_mut(&key) {
            None => {
                self.findings.insert(key, finding);
            }
            Some(known) => {
                known.pods += finding.pods;
                // `None` does not occur here; a Pod always has a name.
                if finding.in_pod < known.in_pod {
                    known.in_pod = finding.in_pod;
                }
            }
        }
    }
}

// === impl Rollup ===

impl Rollup {
    /// Adds what another list has given.
    pub(super) fn merge(&mut self, other: Self) {
        self.own.extend(other.own);
        self.owners.extend(other.owners);
        for (owner, pods) in other.pods {
            self.pods.entry(owner).or_default().merge(pods);
        }
    }

    /// The objects, each topmost owner once, and the namespaces.
    pub(super) fn finish(
        self,
        namespaces: &BTreeMap<String, Labels>,
    ) -> (Vec<Object>, Vec<Namespace>) {
        let mut by_top: BTreeMap<OwnerRef, FromPods> = BTreeMap::new();
        for (controller, from_pods) in self.pods {
            by_top
                .entry(self.owners.top(controller))
                .or_default()
                .merge(from_pods);
        }
        // Anybody can write any uid into an owner reference: it must not put other Pods out of sight.
        let mut by_uid: BTreeMap<(String, String), (OwnerRef, FromPods)> = BTreeMap::new();
        for (owner, pods) in by_top {
            let key = (owner.namespace.clone(), owner.uid.clone());
            let (_, known) = by_uid
                .entry(key)
                .or_insert_with(|| (owner, FromPods::default()));
            known.merge(pods);
        }
        let mut objects = Vec::new();
        let mut workloads: BTreeMap<String, Workloads> = namespaces
            .keys()
            .map(|name| (name.clone(), Workloads::default()))
            .collect();
        let mut add = |object: Object, breaks: Breaks| {
            let of_namespace = workloads.entry(object.namespace.clone()).or_default();
            of_namespace.add(&object.kind, &object.name, breaks);
            objects.push(object);
        };
        for Judged {
            object,
            breaks,
            parts,
        } in self.own
        {
            let uid = object.uid.clone().unwrap_or_default();
            match by_uid.remove(&(object.namespace.clone(), uid)) {
                Some((_, pods)) => {
                    let (object, breaks) = of_pods(object, pods, Some(&parts));
                    add(object, breaks);
                }
                None => add(object, breaks.map(BTreeSet::from_iter)),
            }
        }
        for (owner, pods) in by_uid.into_values() {
            let object = Object {
                api_version: owner.api_version,
                kind: owner.kind,
                namespace: owner.namespace,
                name: owner.name,
                uid: Some(owner.uid).filter(|it| !it.is_empty()),
                place: None,
                pods: 0,
                fate: Fate::Clean,
                findings: Vec::new(),
                injected: Vec::new(),
            };
            let (object, breaks) = of_pods(object, pods, None);
            add(object, breaks);
        }
        let namespaces = workloads
            .into_iter()
            .map(|(name, workloads)| workloads.namespace(&name, namespaces.get(&name)))
            .collect();
        (objects, namespaces)
    }
}

/// The workload by what its Pods break, each at the place of its template where that is to be found.
fn of_pods(workload: Object, pods: FromPods, parts: Option<&Parts>) -> (Object, Breaks) {
    let kind = Kind::from_type(&workload.api_version, &workload.kind);
    let place = kind.zip(parts);
    let findings = pods.findings.into_values().map(|finding| match place {
        Some((kind, parts)) => parts.place(kind, finding),
        None => finding,
    });
    let mut object = Object {
        pods: pods.pods,
        findings: findings.collect(),
        injected: Vec::new(),
        ..workload
    };
    object.fate = object.worst();
    (object, pods.breaks)
}

// === impl Parts ===

impl Parts {
    /// The finding of a Pod as one of the template, if what it is about stands there.
    fn place(&self, kind: Kind, finding: Finding) -> Finding {
        let base = match (&finding.container, &finding.volume) {
            (None, None) => Some(String::new()),
            (Some(it), _) => {
                let (_, names) = self.list(&it.list).unwrap_or_default();
                let at = names.iter().position(|name| *name == it.name);
                at.map(|at| format!("spec.{}[{at}].", it.list))
            }
            (None, Some(volume)) => {
                let at = self.volumes.iter().position(|name| name == volume);
                at.map(|at| format!("spec.volumes[{at}]."))
            }
        };
        let Some(base) = base else {
            return finding;
        };
        let in_template = |path: &str| kind.path(path);
        let path = in_template(format!("{base}{}", finding.field).trim_end_matches('.'));
        let fix = finding.fix.map(|fix| match fix.strip_prefix("spec") {
            Some(rest) => format!("{}{rest}", in_template("spec")),
            None => fix,
        });
        let source = finding.source.map(|source| {
            if source.starts_with("spec.") {
                in_template(&source)
            } else {
                source
            }
        });
        Finding {
            path,
            fix,
            source,
            in_pod: None,
            ..finding
        }
    }

    fn list(&self, list: &str) -> Option<(&'static str, &[String])> {
        let found = self.containers.iter().find(|(known, _)| *known == list)?;
        Some((found.0, &found.1))
    }
}
