//! What one list has given so far, object by object.

use std::collections::BTreeMap;

use crate::output::results::{Failure, Skipped};
use crate::pod::Kind;
use crate::pod::listed::Listed;

use super::judge::{Judge, Labels};
use super::owners::OwnerRef;
use super::rollup::Rollup;

/// Thrown away if the list has to be begun again.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rollup: Rollup,
    pub(super) namespaces: BTreeMap<String, Labels>,
    pub(super) seen: u64,
    pub(super) skipped: Vec<Skipped>,
    pub(super) failures: Vec<Failure>,
}

// === impl Batch ===

impl Batch {
    /// Adds a namespace.
    pub(super) fn namespace(&mut self, text: &str) {
        let Some(it) = self.decode("a namespace", text) else {
            return;
        };
        let labels = it.metadata.labels.iter();
        let labels = labels.map(|(key, value)| (key.to_string(), value.to_string()));
        self.namespaces
            .insert(it.metadata.name.to_string(), labels.collect());
    }

    /// Adds what manages an object, without judging that.
    pub(super) fn owner(&mut self, kind: Kind, text: &str) {
        if let Some(it) = self.decode(kind.name(), text) {
            self.rollup.owners.add(&it);
        }
    }

    /// Judges a Pod.
    pub(super) fn pod(&mut self, judge: &Judge, namespaces: &BTreeMap<String, Labels>, text: &str) {
        let Some(listed) = self.decode("a Pod", text) else {
            return;
        };
        if listed.has_ended() {
            return self.skip("Pods", "they have ended");
        }
        let labels = namespaces.get(&*listed.metadata.namespace);
        match judge.judge(Kind::Pod, &listed, labels, text) {
            Ok(Some(mut judged)) => {
                if let Some(owner) = OwnerRef::of(&listed) {
                    self.rollup.pods.entry(owner).or_default().add(judged);
                } else {
                    judged.object.pods = 1;
                    self.rollup.own.push(judged);
                }
            }
            Ok(None) => {}
            Err(error) => self.fail(&named(Kind::Pod, &listed), &error.to_string()),
        }
    }

    /// Judges a workload, unless another object manages it.
    pub(super) fn workload(
        &mut self,
        kind: Kind,
        judge: &Judge,
        namespaces: &BTreeMap<String, Labels>,
        text: &str,
    ) {
        let Some(listed) = self.decode(kind.name(), text) else {
            return;
        };
        if let Some(owner) = OwnerRef::of(&listed) {
            self.rollup.owners.add(&listed);
            if Kind::from_type(&owner.api_version, &owner.kind).is_none() {
                let why = format!(
                    "{} manages them, which podgate does not know: only their Pods are judged",
                    owner.kind
                );
                self.skip(kind.resource(), &why);
            }
            return;
        }
        let labels = namespaces.get(&*listed.metadata.namespace);
        match judge.judge(kind, &listed, labels, text) {
            Ok(Some(judged)) => self.rollup.own.push(judged),
            Ok(None) => self.skip(kind.resource(), "they have no Pod template"),
            Err(error) => self.fail(&named(kind, &listed), &error.to_string()),
        }
    }

    pub(super) fn fail(&mut self, what: &str, why: &str) {
        self.failures.push(failure(what, why));
    }

    fn skip(&mut self, what: &str, why: &str) {
        add_skipped(&mut self.skipped, what, why, 1);
    }

    fn decode<'t>(&mut self, what: &str, text: &'t str) -> Option<Listed<'t>> {
        Listed::decode(text)
            .inspect_err(|error| self.fail(what, &format!("its metadata cannot be read: {error}")))
            .ok()
    }
}

/// Counts more of the same together.
pub(super) fn add_skipped(skipped: &mut Vec<Skipped>, what: &str, why: &str, count: u64) {
    match skipped
        .iter_mut()
        .find(|it| it.what == what && it.why == why)
    {
        Some(known) => known.count += count,
        None => skipped.push(Skipped {
            what: what.to_owned(),
            why: why.to_owned(),
            count,
            place: None,
        }),
    }
}

pub(super) fn failure(what: &str, why: &str) -> Failure {
    Failure {
        what: what.to_owned(),
        why: why.to_owned(),
        place: None,
    }
}

fn named(kind: Kind, listed: &Listed<'_>) -> String {
    let it = &listed.metadata;
    format!("{} {}/{}", kind.name(), it.namespace, it.name)
}
