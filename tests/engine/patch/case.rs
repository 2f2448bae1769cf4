//! One case: policies that inject, and a review of a Pod that is created or gets ephemeral containers.

use std::fmt;

use podgate::policy::PolicySet;
use serde_json::{Value, json};

use super::choices::Choices;
use super::pods;
use super::policies::{self, Injects, MOST};
use crate::support::{create, update};

pub(crate) struct Case {
    pub(crate) injections: Vec<Injects>,
    /// As the API server sends it to the mutating half.
    pub(crate) pod: Value,
    /// The Pod before, if ephemeral containers are being added to it.
    pub(crate) old: Option<Value>,
    /// Another order of the policies.
    pub(crate) order: [usize; MOST],
}

const NAMES: [&str; MOST] = ["a", "b", "c"];
const ORDER: [usize; MOST] = [0, 1, 2];

// === impl Case ===

impl Case {
    pub(crate) fn new(bytes: &[u8], conflicts: bool) -> Self {
        let it = &mut Choices::new(bytes);
        let injections = policies::injections(it, conflicts);
        let mut order = ORDER;
        it.shuffle(&mut order);
        let adds = it.once_in(3);
        let added = [it.once_in(2), !it.once_in(4), !it.once_in(4)];
        let pod = pods::pod(it);
        let old = adds.then(|| without(&pod, added));
        Self {
            injections,
            pod,
            old,
            order,
        }
    }

    /// The review of that object.
    pub(crate) fn review(&self, pod: &Value) -> Value {
        let Some(old) = &self.old else {
            return create("", "pods", pod);
        };
        let mut review = update("", "pods", old, pod);
        review["request"]["subResource"] = json!("ephemeralcontainers");
        review
    }

    /// The policies, which only inject.
    pub(crate) fn set(&self) -> PolicySet {
        policies::set(&self.injections, NAMES, ORDER, false)
    }

    /// The policies in another order, by the same names.
    pub(crate) fn reordered(&self) -> PolicySet {
        policies::set(&self.injections, NAMES, self.order, false)
    }

    /// The policies by other names.
    pub(crate) fn renamed(&self) -> PolicySet {
        policies::set(
            &self.injections,
            self.order.map(|at| NAMES[at]),
            ORDER,
            false,
        )
    }

    /// The policies, each with the controls that its injections satisfy.
    pub(crate) fn judging(&self) -> PolicySet {
        policies::set(&self.injections, NAMES, ORDER, true)
    }

    /// The same and what ships with podgate.
    pub(crate) fn judging_all(&self) -> PolicySet {
        let restricted = "---\napiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: z}\n\
                          spec: {mode: enforce, level: restricted, controls: {volumes: {}, appArmor: {required: true}}}\n";
        crate::support::policies(
            &(policies::yaml(&self.injections, NAMES, ORDER, true) + restricted),
        )
    }

    /// Positions of the ephemeral containers that are being added; `None` if all is new.
    pub(crate) fn added(&self) -> Option<Vec<usize>> {
        let old = names(self.old.as_ref()?);
        let new = names(&self.pod).into_iter().enumerate();
        Some(
            new.filter(|(_, name)| !old.contains(name))
                .map(|(index, _)| index)
                .collect(),
        )
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "policies:\n{}",
            policies::yaml(&self.injections, NAMES, ORDER, true)
        )?;
        write!(f, "order: {:?}\npod: {}\n", self.order, self.pod)?;
        self.old
            .as_ref()
            .map_or(Ok(()), |old| writeln!(f, "old: {old}"))
    }
}

/// The Pod before these of its ephemeral containers came.
fn without(pod: &Value, added: [bool; 3]) -> Value {
    let mut old = pod.clone();
    if let Some(list) = old["spec"]["ephemeralContainers"].as_array_mut() {
        let mut added = added.into_iter();
        list.retain(|_| added.next() == Some(false));
    }
    old
}

fn names(pod: &Value) -> Vec<&Value> {
    pod["spec"]["ephemeralContainers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["name"])
        .collect()
}
