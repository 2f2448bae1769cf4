//! Pods of the probe, and what they say.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::image::PROBE_ROOT;
use crate::cluster::harness::{Namespace, await_until};

/// How long a Pod may take to start, or to say why it does not.
const LIMIT: &str = "--timeout=28s";

/// What one container told of itself.
#[derive(Debug)]
pub struct Told {
    of: String,
    values: BTreeMap<String, String>,
}

/// A Pod with one container of the probe, to be changed.
pub fn probe(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container("probe")]},
    })
}

/// A container of the probe, as bare as can be.
pub fn container(name: &str) -> Value {
    json!({"name": name, "image": PROBE_ROOT, "imagePullPolicy": "Never"})
}

/// Returns when the Pod is ready.
#[track_caller]
pub fn await_ready(namespace: &Namespace, pod: &str) {
    await_condition(namespace, pod, "--for=condition=Ready");
}

pub fn is_ready(namespace: &Namespace, pod: &str) -> bool {
    let ready = r#"--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
    namespace.kubectl(&["get", "pod", pod, ready]).stdout == "True"
}

/// Returns when the first container waits, for this reason; its message.
#[track_caller]
pub fn await_waiting(namespace: &Namespace, pod: &str, reason: &str) -> String {
    let waiting = ".status.containerStatuses[0].state.waiting";
    await_condition(
        namespace,
        pod,
        &format!("--for=jsonpath={{{waiting}.reason}}={reason}"),
    );
    let message = format!("--output=jsonpath={{{waiting}.message}}");
    namespace.kubectl(&["get", "pod", pod, &message]).stdout
}

#[track_caller]
pub fn await_condition(namespace: &Namespace, pod: &str, condition: &str) {
    let waited = namespace.kubectl(&["wait", &format!("pod/{pod}"), condition, LIMIT]);
    let describe = || namespace.kubectl(&["describe", "pod", pod]);
    assert!(waited.succeeded(), "{waited}\n{}", describe());
}

/// What a container of the Pod told; waits until it has.
#[track_caller]
pub fn told(namespace: &Namespace, pod: &str, container: &str) -> Told {
    let mut text = String::new();
    await_until(&format!("{pod}/{container} tells what it got"), || {
        let output = namespace.kubectl(&["logs", pod, "--container", container]);
        text = output.stdout;
        text.contains("told: all")
    });
    let values = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().replace('\t', " ")));
    Told {
        of: format!("container {container} of {pod}"),
        values: values.collect(),
    }
}

// === impl Told ===

impl Told {
    /// Fails the test unless it told all of these.
    #[track_caller]
    pub fn expect(&self, expected: &[(&str, &str)]) {
        for &(name, value) in expected {
            let told = self.values.get(name).map(String::as_str);
            assert_eq!(told, Some(value), "{name}: {self}");
        }
    }

    /// Fails the test if it told any of these.
    #[track_caller]
    pub fn expect_not(&self, unexpected: &[(&str, &str)]) {
        for &(name, value) in unexpected {
            let told = self.values.get(name).map(String::as_str);
            assert!(told.is_some() && told != Some(value), "{name}: {self}");
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} told {:#?}", self.of, self.values)
    }
}
