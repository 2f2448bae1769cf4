//! Who owns whom, up to the top: a Deployment, not its `ReplicaSet`s and Pods; a `CronJob`, not its Jobs.

use std::collections::HashMap;

use crate::pod::listed::{Listed, Owner};

/// The longest chain that is followed; a Pod's Job's `CronJob` is at its second step.
const MAX_DEPTH: usize = 8;

/// An object that owns others, or might.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OwnerRef {
    pub(super) namespace: String,
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// The controllers of the workloads that have been seen, by uid.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<String, OwnerRef>);

// === impl OwnerRef ===

impl OwnerRef {
    /// The controller of an object. A node owns the mirrors of its static Pods, and is no workload.
    pub(super) fn of(listed: &Listed<'_>) -> Option<Self> {
        let it = listed.controller().filter(|it| &*it.kind != "Node")?;
        Some(Self::new(&listed.metadata.namespace, it))
    }

    fn new(namespace: &str, it: &Owner<'_>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            api_version: it.api_version.to_string(),
            kind: it.kind.to_string(),
            name: it.name.to_string(),
            uid: it.uid.to_string(),
        }
    }
}

// === impl Owners ===

impl Owners {
    /// Remembers who controls this object.
    pub(super) fn add(&mut self, listed: &Listed<'_>) {
        if let Some(owner) = OwnerRef::of(listed) {
            self.0.insert(listed.metadata.uid.to_string(), owner);
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The last of the owners that can be told.
    pub(super) fn top(&self, of: OwnerRef) -> OwnerRef {
        let mut top = of;
        for _ in 0..MAX_DEPTH {
            match self.0.get(&top.uid) {
                Some(owner) => top = owner.clone(),
                None => break,
            }
        }
        top
    }
}
