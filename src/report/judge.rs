//! One object of the cluster, judged by the policies and by the levels.

use std::collections::BTreeMap;

use crate::control::TooMany;
use crate::decision::{Decision, Operation, Request, Stage, decide};
use crate::output::{self, results};
use crate::pod::listed::Listed;
use crate::pod::object::{Object, ObjectError};
use crate::pod::{Kind, PodView, json};
use crate::policy::level::Version;
use crate::policy::source::pod_security::Templates;
use crate::policy::{Mode, Options, PolicySet};

/// The labels of a namespace.
pub(super) type Labels = BTreeMap<String, String>;

/// By what is judged.
#[derive(Debug)]
pub struct Judge {
    set: PolicySet,
    levels: PolicySet,
    as_enforce: bool,
}

/// An object that has been judged.
pub(super) struct Judged {
    pub(super) object: results::Object,
    /// The controls that each level finds broken: baseline, restricted.
    pub(super) breaks: [Vec<&'static str>; 2],
    /// Where its parts stand, for Pods that were made from it.
    pub(super) parts: Parts,
}

/// The names of containers and volumes of a template, in their order.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) containers: Vec<(&'static str, Vec<String>)>,
    pub(super) volumes: Vec<String>,
}

/// Why an object cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum JudgeError {
    #[error("its metadata cannot be read: {0}")]
    Metadata(#[from] json::Error),
    #[error("it cannot be read: {0}")]
    Object(#[from] ObjectError),
    #[error("it cannot be judged: {0}")]
    TooMany(#[from] TooMany),
}

// === impl Judge ===

impl Judge {
    /// By these policies, and in the question of levels by those of this version. `as_enforce` takes every policy to be
    /// in mode enforce.
    #[must_use]
    pub fn new(set: PolicySet, version: Version, as_enforce: bool) -> Self {
        // Of a workload whose labels would have its Pods rejected, the report has to say so.
        let options = Options {
            workloads: Templates::Warn,
            ..Options::default()
        };
        Self {
            set: set.with_pod_security_options(options),
            levels: PolicySet::of_levels(version),
            as_enforce,
        }
    }

    /// The policies.
    #[must_use]
    pub fn set(&self) -> &PolicySet {
        &self.set
    }

    /// True if every policy is taken to be in mode enforce.
    #[must_use]
    pub fn as_enforce(&self) -> bool {
        self.as_enforce
    }

    /// Judges one item of a list; nothing for a workload without a template, which makes no Pods.
    pub(super) fn judge(
        &self,
        kind: Kind,
        listed: &Listed<'_>,
        labels: Option<&Labels>,
        text: &str,
    ) -> Result<Option<Judged>, JudgeError> {
        let object = Object::decode(kind, text)?;
        let Some(pod) = &object.pod else {
            return Ok(None);
        };
        let named = output::Object {
            kind,
            namespace: &listed.metadata.namespace,
            name: &listed.metadata.name,
            owner: None,
        };
        let decision = decide(&self.set, &request(&named, labels, pod))?;
        let api_version = match kind.group() {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        };
        let uid = Some(&*listed.metadata.uid).filter(|it| !it.is_empty());
        let mut judged = results::Object::of(&named, &api_version, uid, &decision);
        let breaks = self.grade(&named, labels, pod, &decision, &mut judged)?;
        if self.as_enforce {
            enforce(&mut judged);
        }
        Ok(Some(Judged {
            object: judged,
            breaks,
            parts: Parts::of(pod),
        }))
    }

    /// What the levels say of the Pod that the policies' injections leave.
    fn grade(
        &self,
        named: &output::Object<'_>,
        labels: Option<&Labels>,
        pod: &PodView<'_>,
        decision: &Decision<'_>,
        judged: &mut results::Object,
    ) -> Result<[Vec<&'static str>; 2], TooMany> {
        let mut after = None;
        for injected in &decision.injected {
            let after = after.get_or_insert_with(|| pod.clone());
            injected.edit.apply(after);
        }
        let pod = after.as_ref().unwrap_or(pod);
        let by_level = decide(&self.levels, &request(named, labels, pod))?;
        judged.grade(&by_level);
        Ok(["baseline", "restricted"].map(|level| {
            let broken = by_level.findings.iter().filter(|it| {
                let mut policies = it.policies.iter();
                policies.any(|policy| policy.name == level)
            });
            let mut controls: Vec<&'static str> = broken.map(|it| it.finding.control).collect();
            controls.dedup();
            controls
        }))
    }
}

fn request<'r>(
    named: &output::Object<'r>,
    labels: Option<&'r Labels>,
    pod: &'r PodView<'r>,
) -> Request<'r> {
    Request {
        stage: Stage::Validate,
        operation: Operation::Create,
        kind: named.kind,
        subresource: "",
        namespace: named.namespace,
        namespace_labels: labels,
        user: "",
        groups: &[],
        pod,
        old: None,
    }
}

/// Every finding as if its policy were in mode enforce.
fn enforce(object: &mut results::Object) {
    for finding in &mut object.findings {
        finding.pod_mode = Mode::Enforce;
        if object.kind == Kind::Pod.name() {
            finding.mode = Mode::Enforce;
        }
    }
    object.fate = object.worst();
}

// === impl Parts ===

impl Parts {
    fn of(pod: &PodView<'_>) -> Self {
        let mut containers: Vec<(&'static str, Vec<String>)> = Vec::new();
        for (at, container) in pod.containers() {
            let name = container.name.to_string();
            match containers.last_mut() {
                Some((list, names)) if *list == at.list.field() => names.push(name),
                _ => containers.push((at.list.field(), vec![name])),
            }
        }
        let volumes = pod.spec.volumes.iter().map(|it| it.name.to_string());
        Self {
            containers,
            volumes: volumes.collect(),
        }
    }
}
