//! The Pods that a namespace has already, under a level that is about to be enforced: warnings, as Pod Security
//! Admission gives them, in its order and with its limit.

use std::collections::HashSet;

use crate::control::Findings;
use crate::output::pod_security::{MAX_EXISTING, existing, violations};
use crate::pod::listed::Listed;
use crate::pod::{PodView, json};
use crate::policy::PodSecurity;
use crate::policy::source::pod_security::LevelVersion;

/// The Pods that have been judged so far.
#[derive(Debug)]
pub struct Existing<'s> {
    source: &'s PodSecurity,
    namespace: String,
    asked: LevelVersion,
    /// The first Pod of each controller, and those that have none.
    first: Judged,
    /// The others.
    further: Judged,
    controllers: HashSet<String>,
}

/// Pods in the order of the list.
#[derive(Debug, Default)]
struct Judged {
    count: usize,
    /// Of those that break the level: the position, the name, and why.
    broken: Vec<(usize, String, String)>,
}

// === impl Existing ===

impl<'s> Existing<'s> {
    pub(super) fn new(source: &'s PodSecurity, namespace: &str, asked: LevelVersion) -> Self {
        Self {
            source,
            namespace: namespace.to_owned(),
            asked,
            first: Judged::default(),
            further: Judged::default(),
            controllers: HashSet::new(),
        }
    }

    /// Whose Pods they are.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Judges one more Pod.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn add(&mut self, pod: &str) -> Result<(), json::Error> {
        let listed = Listed::decode(pod)?;
        let pod: PodView<'_> = json::from_str(pod)?;
        let runtime_class = pod.spec.runtime_class_name.as_deref().unwrap_or_default();
        if self.source.exemptions().has_runtime_class(runtime_class) {
            return Ok(());
        }
        let is_first = listed
            .controller()
            .is_none_or(|it| self.controllers.insert(it.uid.to_string()));
        let list = if is_first {
            &mut self.first
        } else {
            &mut self.further
        };
        list.count += 1;
        let Some(level) = self.asked.level else {
            return Ok(());
        };
        let version = self.asked.version.known();
        let mut findings = Findings::default();
        for control in self.source.controls(level, version) {
            control.check(&pod, &mut findings);
        }
        if !findings.is_empty() {
            let reasons: Vec<String> = violations(level, version, &findings.into_vec())
                .into_iter()
                .map(|it| it.reason)
                .collect();
            let name = listed.metadata.name.to_string();
            list.broken.push((list.count - 1, name, reasons.join(", ")));
        }
        Ok(())
    }

    /// What is told of them, `unlisted` being how many were not looked at.
    #[must_use]
    pub fn warnings(&self, unlisted: usize) -> Vec<String> {
        let total = self.first.count + self.further.count;
        let checked = total.min(MAX_EXISTING);
        let first = self.first.broken.iter();
        let further = self.further.broken.iter();
        let broken = first
            .map(|(at, name, reasons)| (*at, name, reasons))
            .chain(further.map(|(at, name, reasons)| (self.first.count + at, name, reasons)))
            .filter(|(at, _, _)| *at < checked)
            .map(|(_, name, reasons)| (name.as_str(), reasons.as_str()));
        existing(
            &self.namespace,
            self.asked,
            broken,
            checked,
            total + unlisted,
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::level::Level;
    use crate::policy::source::pod_security::{Exemptions, Modes, Written};

    const RESTRICTED: LevelVersion = LevelVersion {
        level: Some(Level::Restricted),
        version: Written::Latest,
    };

    fn pod(name: &str, controller: Option<&str>, spec: &serde_json::Value) -> String {
        let owners = controller
            .map(|uid| json!({"uid": uid, "kind": "ReplicaSet", "name": uid, "controller": true}));
        let owners: Vec<_> = owners.into_iter().collect();
        json!({"metadata": {"name": name, "ownerReferences": owners}, "spec": spec}).to_string()
    }

    fn open() -> serde_json::Value {
        json!({"hostPID": true, "containers": [{"name": "a"}], "securityContext": {
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}})
    }

    const OPEN: &str =
        "host namespaces, allowPrivilegeEscalation != false, unrestricted capabilities";

    #[test]
    fn equal_pods_are_one_line_and_the_lines_are_sorted() {
        let exemptions = Exemptions {
            runtime_classes: vec!["gvisor".to_owned()],
            ..Exemptions::default()
        };
        let source = PodSecurity::new(Modes::PRIVILEGED, exemptions);
        let mut it = Existing::new(&source, "shop", RESTRICTED);
        let mut sealed = open();
        sealed["hostPID"] = json!(false);
        let mut exempt = open();
        exempt["runtimeClassName"] = json!("gvisor");
        for pod in [
            pod("z", None, &open()),
            pod("b", Some("rs"), &open()),
            pod("a", Some("rs"), &open()),
            pod("n", None, &sealed),
            pod("exempt", None, &exempt),
        ] {
            it.add(&pod).expect("it is a Pod");
        }
        assert_eq!(
            it.warnings(0),
            [
                "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \"restricted:latest\"",
                &format!("a (and 2 other pods): {OPEN}"),
                "n: allowPrivilegeEscalation != false, unrestricted capabilities",
            ]
        );
    }

    #[test]
    fn beyond_the_limit_every_controller_still_has_one_pod_looked_at() {
        let source = PodSecurity::default();
        let mut it = Existing::new(&source, "shop", RESTRICTED);
        let mut sealed = open();
        sealed["hostPID"] = json!(false);
        for at in 0..MAX_EXISTING + 5 {
            it.add(&pod(&format!("many-{at:04}"), Some("many"), &open()))
                .expect("it is a Pod");
        }
        it.add(&pod("late", Some("other"), &sealed))
            .expect("it is a Pod");
        it.add(&pod("bare", None, &sealed)).expect("it is a Pod");
        assert_eq!(
            it.warnings(10),
            [
                "new PodSecurity enforce level only checked against the first 3000 of 3017 existing pods",
                "existing pods in namespace \"shop\" violate the new PodSecurity enforce level \"restricted:latest\"",
                "bare (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities",
                &format!("many-0000 (and 2997 other pods): {OPEN}"),
            ]
        );
    }

    #[test]
    fn nothing_is_said_of_pods_that_fulfil_it() {
        let source = PodSecurity::default();
        let it = Existing::new(&source, "shop", RESTRICTED);
        assert!(it.warnings(0).is_empty());
        assert_eq!(it.warnings(2).len(), 1, "but that they were not seen is");
    }
}
