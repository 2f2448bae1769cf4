//! What `check` and `audit` found, as every format is written from it.
//!
//! Owned and plain, so that a run can be saved as JSON, read again, and compared with a later one. The JSON is an
//! interface: names and shapes change only with `apiVersion`, and every list is in an order that depends on the content
//! alone.

mod build;
mod count;
mod item;
mod place;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::Mode;

pub use item::{Item, items};
pub use place::span_of;

/// The `apiVersion` of [`Results`].
pub const API_VERSION: &str = "podgate.dev/v1alpha1";
/// The `kind` of [`Results`].
pub const KIND: &str = "Results";
/// The [`Finding::source`] that is no path.
pub const ANNOTATION: &str = "annotation";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// [`API_VERSION`]
    pub api_version: String,
    /// [`KIND`]
    pub kind: String,
    /// How it was made, and whether all was seen.
    pub run: Run,
    /// What the lists below hold, counted.
    pub summary: Summary,
    /// How far each namespace is from the next level; empty where it was not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// Everything that was judged: by file and place for manifests, by namespace, kind and name for a cluster.
    pub objects: Vec<Object>,
    /// What was not judged, on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// What should have been judged and could not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Failure>,
}

/// How a run was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// `check` or `audit`.
    pub command: String,
    /// The version of podgate.
    pub version: String,
    /// When it began, as RFC 3339; absent from `check`, whose results depend on files alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// True if everything that was asked for was judged, and written.
    pub complete: bool,
    /// Fingerprint of the policy set.
    pub policy_set: String,
    /// The names of its policies.
    pub policies: Vec<String>,
    /// The version of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What was asked for, in words: `all namespaces`, `namespace shop`, `app=web`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// Every finding counts as if its policy were in mode enforce.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_enforce: bool,
    /// What an earlier run was that this one is compared with: when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Counts. An object counts once, by the worst that is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What was read, by resource: Pods that belong to a workload are here and not in `judged`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scanned: BTreeMap<String, u64>,
    /// Objects judged.
    pub judged: u64,
    /// Of these: would be rejected.
    pub rejected: u64,
    /// Workloads that would be admitted, and their Pods would not.
    pub pods_rejected: u64,
    /// Would be admitted with a warning.
    pub warned: u64,
    /// Would be recorded.
    pub recorded: u64,
    /// Nothing stands against them.
    pub clean: u64,
    /// Not judged on purpose.
    pub skipped: u64,
    /// Could not be judged.
    pub errors: u64,
    /// Findings, in all modes.
    pub findings: u64,
    /// Findings of the earlier run that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<u64>,
}

/// Levels as [`Namespace`] names them, from the loosest.
pub const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];

/// What a namespace could be held to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its `pod-security.kubernetes.io` labels, without that prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The workloads in it.
    pub workloads: u64,
    /// The strictest of [`LEVELS`] that would reject nothing of what runs.
    pub ready_for: String,
    /// The next stricter one, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What stands in its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<Obstacle>,
}

/// A workload that the next level would reject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The controls it breaks.
    pub controls: Vec<String>,
}

/// One object, and what was found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// Empty if unknown.
    pub namespace: String,
    /// Its name; for one that has none yet, what its name will begin with.
    pub name: String,
    /// Its uid in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Where it stands in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// How many running Pods of it were judged; 0 means its template was.
    #[serde(default)]
    pub pods: u64,
    /// The worst that is said of it.
    pub fate: Fate,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What would be written into it, or into the Pods of its template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injected: Vec<Injected>,
}

/// What would happen to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// Nothing stands against it.
    Clean,
    /// Admitted and recorded.
    Recorded,
    /// Admitted with a warning.
    Warned,
    /// A workload that would be admitted, and its Pods would not.
    PodsRejected,
    /// Rejected.
    Rejected,
}

/// One control broken at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The control.
    pub control: String,
    /// What it means for this object.
    #[serde(with = "mode")]
    pub mode: Mode,
    /// What it means for a Pod made from it; the same for a Pod.
    #[serde(with = "mode")]
    pub pod_mode: Mode,
    /// The policies that ask for it in that mode.
    pub policies: Vec<String>,
    /// Those that ask for it in `podMode`.
    pub pod_policies: Vec<String>,
    /// The loosest of [`LEVELS`] that forbids it, if any of them does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// The container it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The volume it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The field below the container or volume, or the whole path in the Pod: `securityContext.privileged`.
    pub field: String,
    /// The exact path, in the object or, if `inPod` says so, in the Pod of that name.
    pub path: String,
    /// The first of the running Pods that break it, where the template does not say where to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_pod: Option<String>,
    /// The value as it is; `unset` if there is none.
    pub current: String,
    /// Where the value came from, if not from the field itself: `spec.securityContext`, `annotation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is required, to be read behind "must be".
    pub required: String,
    /// The YAML that mends it, if that has been tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// How many running Pods break it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pods: u64,
    /// Where it stands in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Compared with an earlier run: it was not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
}

/// A container, by its list and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// `initContainers`, `containers` or `ephemeralContainers`.
    pub list: String,
    /// Its name.
    pub name: String,
}

/// A value that would be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// Where, in the object.
    pub path: String,
    /// What.
    pub value: serde_json::Value,
    /// By which policy.
    pub policy: String,
}

/// A place in a file; lines and columns count from 1, columns in characters, the end is behind the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file as it was named; `<stdin>` for standard input.
    pub file: String,
    /// 0 if the whole file is meant, which could not be read.
    pub line: usize,
    /// 0 likewise.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// Where it ends.
    pub end_column: usize,
}

/// What was not judged, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// What: `ConfigMap shop/settings`, `Pods that have ended`.
    pub what: String,
    /// Why.
    pub why: String,
    /// How many.
    pub count: u64,
    /// Where it stands in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// What could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What: `list of pods in namespace shop`, `Deployment shop/web`, a file.
    pub what: String,
    /// Why.
    pub why: String,
    /// Where it stands in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(it: &u64) -> bool {
    *it == 0
}

/// [`Mode`] as text.
mod mode {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::policy::Mode;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(mode)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Mode, D::Error> {
        let text = String::deserialize(deserializer)?;
        [Mode::Audit, Mode::Warn, Mode::Enforce]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no mode")))
    }
}
