//! What is asked of `decide`, and whether it has to be judged at all.

use std::collections::BTreeMap;

use crate::pod::view::ContainerList;
use crate::pod::{Kind, PodView, Text};

/// Which half of admission asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The mutating webhook: only injections.
    Mutate,
    /// The validating webhook: a Pod is judged as it is, a template as if injection had run.
    Validate,
    /// Both at once, for manifests: everything is judged as if injection had run.
    Whole,
}

/// What is done with the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed one.
    Update,
    /// Deletion and connections: nothing of podgate's business.
    Other,
}

/// One request, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which half of admission asks.
    pub stage: Stage,
    /// What is done.
    pub operation: Operation,
    /// The kind of the object.
    pub kind: Kind,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// The namespace's name.
    pub namespace: &'a str,
    /// Its labels; `None` if they cannot be known.
    pub namespace_labels: Option<&'a BTreeMap<String, String>>,
    /// The requester.
    pub user: &'a str,
    /// The requester's groups.
    pub groups: &'a [Text<'a>],
    /// The Pod or template.
    pub pod: &'a PodView<'a>,
    /// The one before, on updates.
    pub old: Option<&'a PodView<'a>>,
}

/// Subresources of Pods that carry no Pod, or change nothing that a control reads. Any other is judged as a Pod.
pub const IGNORED_POD_SUBRESOURCES: [&str; 8] = [
    "attach",
    "binding",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "status",
];
/// The same for workloads.
pub const IGNORED_WORKLOAD_SUBRESOURCES: [&str; 2] = ["scale", "status"];

/// True if a subresource of this kind carries nothing to judge.
#[must_use]
pub fn is_ignored(kind: Kind, subresource: &str) -> bool {
    let ignored: &[&str] = if kind.is_workload() {
        &IGNORED_WORKLOAD_SUBRESOURCES
    } else {
        &IGNORED_POD_SUBRESOURCES
    };
    ignored.contains(&subresource)
}

// === impl Request ===

impl Request<'_> {
    /// True if the request creates or changes something that controls read.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        match self.operation {
            Operation::Other => false,
            _ if is_ignored(self.kind, self.subresource) => false,
            Operation::Create => true,
            Operation::Update if self.kind.is_workload() => true,
            Operation::Update => self.old.is_none_or(|old| is_significant(old, self.pod)),
        }
    }

    /// Positions of the ephemeral containers that this request adds.
    #[must_use]
    pub fn added_ephemeral(&self) -> Vec<usize> {
        let old = self
            .old
            .map(|old| &*old.spec.ephemeral_containers)
            .unwrap_or_default();
        let is_old = |name: &Text<'_>| old.iter().any(|it| it.name == *name);
        let all = &self.pod.spec.ephemeral_containers;
        all.iter()
            .enumerate()
            .filter(|(_, it)| !is_old(&it.name))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Pod Security Admission's rule of which Pod updates matter: a container more or less, another image,
/// an ephemeral container added or its image changed.
fn is_significant(old: &PodView<'_>, new: &PodView<'_>) -> bool {
    let differs = |list| {
        let (old, new): (&[_], &[_]) = (old.list(list), new.list(list));
        old.len() != new.len() || old.iter().zip(new).any(|(old, new)| old.image != new.image)
    };
    differs(ContainerList::Regular)
        || differs(ContainerList::Init)
        || new.spec.ephemeral_containers.iter().any(|it| {
            let before = old
                .spec
                .ephemeral_containers
                .iter()
                .find(|old| old.name == it.name);
            before.is_none_or(|old| old.image != it.image)
        })
}
