//! A namespace of one test: what it applies there, reads back, and finds in the audit log.

use std::{
    fs,
    hash::BuildHasher,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::kubectl::{Kubectl, Output};

/// Letters that Kubernetes uses in generated names: none that spell words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A namespace with a readable random name. Nothing removes it: the control plane lives no longer than the tests.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub name: String,
    kubectl: Kubectl,
    audit_log: PathBuf,
}

// === impl Namespace ===

impl Namespace {
    /// Creates `prefix-xxxxx` with these labels, and the service account that Pods need there.
    #[track_caller]
    pub fn create(
        kubectl: &Kubectl,
        audit_log: &Path,
        prefix: &str,
        labels: &[(&str, &str)],
    ) -> Self {
        Self::named(kubectl, audit_log, &random_name(prefix), labels)
    }

    /// As [`Self::create`], with exactly this name.
    #[track_caller]
    pub fn named(kubectl: &Kubectl, audit_log: &Path, name: &str, labels: &[(&str, &str)]) -> Self {
        kubectl
            .run_with_input(&["create", "-f", "-"], &list(objects(name, labels)))
            .expect_success();
        Self::existing(kubectl, audit_log, name)
    }

    /// As [`Self::create`], where a controller gives every namespace its service account.
    #[track_caller]
    pub fn create_bare(
        kubectl: &Kubectl,
        audit_log: &Path,
        prefix: &str,
        labels: &[(&str, &str)],
    ) -> Self {
        let name = random_name(prefix);
        let [namespace, _] = objects(&name, labels);
        kubectl
            .run_with_input(&["create", "-f", "-"], &namespace.to_string())
            .expect_success();
        Self::existing(kubectl, audit_log, &name)
    }

    /// One that is there already.
    pub fn existing(kubectl: &Kubectl, audit_log: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kubectl: kubectl.clone(),
            audit_log: audit_log.to_owned(),
        }
    }

    /// `kubectl apply -f -` in this namespace.
    pub fn apply(&self, manifest: &str) -> Output {
        self.kubectl_with_input(&["apply", "-f", "-"], manifest)
    }

    /// `kubectl create -f -` in this namespace: adds no annotation, so the object is stored as it was sent.
    pub fn create_from(&self, manifest: &str) -> Output {
        self.kubectl_with_input(&["create", "-f", "-"], manifest)
    }

    /// kubectl with these arguments in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with_input(arguments, "")
    }

    /// kubectl with these arguments in this namespace and `input` on its standard input.
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let in_namespace: Vec<&str> = ["--namespace", &self.name]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        self.kubectl.run_with_input(&in_namespace, input)
    }

    /// An object as the API server has it stored.
    #[track_caller]
    pub fn get_json(&self, resource: &str, name: &str) -> Value {
        self.kubectl(&["get", resource, name, "--output", "json"])
            .json()
    }

    /// Replaces a subresource of an object, such as `ephemeralcontainers` of a Pod, through the raw API.
    pub fn replace_subresource(&self, path: &str, body: &Value) -> Output {
        let url = format!("/api/v1/namespaces/{}/{path}", self.name);
        self.kubectl_with_input(&["replace", "--raw", &url, "-f", "-"], &body.to_string())
    }

    /// Audit events about Pods and workloads in this namespace, oldest first.
    /// Their `annotations` are where webhooks' audit annotations and patches end up.
    pub fn audit_events(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.audit_log).expect("the audit log can be read");
        log.lines()
            // Another request may be half written at the end.
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["objectRef"]["namespace"] == *self.name)
            .collect()
    }

    /// The text with this namespace's random name replaced by `NAMESPACE`, for comparing exact output.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.name, "NAMESPACE")
    }
}

/// A namespace and the service account in it.
///
/// The controller that makes the service account in a real cluster is not running, and the admission plugin for
/// service accounts refuses every Pod without it.
pub fn objects(name: &str, labels: &[(&str, &str)]) -> [Value; 2] {
    let labels: serde_json::Map<String, Value> = labels
        .iter()
        .map(|(key, value)| ((*key).into(), json!(value)))
        .collect();
    let metadata = json!({"name": name, "labels": labels});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    [namespace, default_service_account(name)]
}

/// Several objects for one `kubectl create -f -`.
pub fn list(items: impl Into<Vec<Value>>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items.into()}).to_string()
}

/// The service account that a namespace is given by a controller in a real cluster.
pub fn default_service_account(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})
}

/// `prefix-xxxxx`, as Kubernetes generates names.
pub fn random_name(prefix: &str) -> String {
    let mut bits = std::collections::hash_map::RandomState::new().hash_one(prefix);
    let mut name = format!("{prefix}-");
    for _ in 0..5 {
        let letters = ALPHABET.len() as u64;
        name.push(char::from(
            ALPHABET[usize::try_from(bits % letters).expect("small")],
        ));
        bits /= letters;
    }
    name
}
