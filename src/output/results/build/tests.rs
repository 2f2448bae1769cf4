use std::collections::BTreeMap;

use super::*;
use crate::decision::{Operation, Request, Stage, decide};
use crate::pod::{PodView, json};
use crate::policy::PolicySet;
use crate::policy::level::Version;

const POLICIES: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: node}
spec: {mode: enforce, workloads: warn, controls: {hostNamespaces: {}, privileged: {}, volumes: {forbidden: [hostPath]}}}
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: user}
spec: {mode: warn, controls: {runAsNonRoot: {}, runAsGroup: {mode: audit, ranges: [{min: 1000, max: 2000}]}}, inject: {hostUsers: false}}
";

const POD: &str = r#"{"spec": {
    "hostPID": true,
    "securityContext": {"runAsNonRoot": false, "runAsGroup": 7},
    "volumes": [{"name": "node", "hostPath": {"path": "/"}}],
    "initContainers": [{"name": "init", "securityContext": {"privileged": true}}],
    "containers": [{"name": "app"}]
}}"#;

fn set(text: &str) -> PolicySet {
    PolicySet::load("policies", &[("p.yaml".to_owned(), text.to_owned())]).unwrap()
}

fn judged(set: &PolicySet, kind: Kind, labels: &[(&str, &str)], grade: bool) -> Object {
    let pod: PodView<'_> = json::from_str(POD).unwrap();
    let labels: BTreeMap<String, String> = labels
        .iter()
        .map(|(key, value)| {
            (
                format!("pod-security.kubernetes.io/{key}"),
                (*value).to_owned(),
            )
        })
        .collect();
    let request = Request {
        stage: Stage::Whole,
        operation: Operation::Create,
        kind,
        subresource: "",
        namespace: "shop",
        namespace_labels: Some(&labels),
        user: "",
        groups: &[],
        pod: &pod,
        old: None,
    };
    let object = output::Object {
        kind,
        namespace: "shop",
        name: "web",
        owner: None,
    };
    let mut it = Object::of(&object, "v1", Some("1-2"), &decide(set, &request).unwrap());
    if grade {
        let levels = PolicySet::of_levels(Version::LATEST);
        it.grade(&decide(&levels, &request).unwrap());
    }
    it
}

fn lines(object: &Object) -> Vec<String> {
    let line = |it: &Finding| {
        let who = it
            .container
            .as_ref()
            .map(|it| format!("{}/{} ", it.list, it.name));
        let volume = it.volume.as_ref().map(|it| format!("volume {it} "));
        let modes = format!(
            "{}/{} by {}/{}",
            it.mode,
            it.pod_mode,
            it.policies.join("+"),
            it.pod_policies.join("+")
        );
        let source = it.source.as_ref().map(|it| format!(" from {it}"));
        format!(
            "{modes}: {}{}{} is {}{} [{}] {}",
            who.or(volume).unwrap_or_default(),
            it.control,
            it.path
                .strip_prefix(&it.field)
                .map_or_else(|| format!(" {}", it.path), |_| String::new()),
            it.current,
            source.unwrap_or_default(),
            it.level.as_deref().unwrap_or_default(),
            it.fix.as_deref().unwrap_or("-")
        )
    };
    object.findings.iter().map(line).collect()
}

#[test]
fn a_finding_has_its_place_its_source_its_level_and_its_fix() {
    let it = judged(&set(POLICIES), Kind::Deployment, &[], true);
    assert_eq!(
        lines(&it),
        [
            "warn/enforce by node/node: initContainers/init privileged spec.template.spec.initContainers[0].securityContext.privileged is true [baseline] securityContext: {privileged: false}",
            "warn/enforce by node/node: hostNamespaces spec.template.spec.hostPID is true [baseline] spec.template.spec: {hostPID: false}",
            "warn/enforce by node/node: volume node volumes spec.template.spec.volumes[0].hostPath is {path: \"/\"} [baseline] -",
            "warn/warn by user/user: runAsNonRoot spec.template.spec.securityContext.runAsNonRoot is false [restricted] spec.template.spec.securityContext: {runAsNonRoot: true}",
            "audit/audit by user/user: runAsGroup spec.template.spec.securityContext.runAsGroup is 7 [] spec.template.spec.securityContext: {runAsGroup: 1000}",
        ]
    );
    assert_eq!(
        (it.fate, it.worst()),
        (Fate::PodsRejected, Fate::PodsRejected)
    );
    assert_eq!(
        (it.kind.as_str(), it.uid.as_deref()),
        ("Deployment", Some("1-2"))
    );
    assert_eq!(it.injected.len(), 0, "hostUsers would contradict hostPID");
}

#[test]
fn the_fate_is_that_of_the_worst_finding() {
    let set = set(POLICIES);
    assert_eq!(judged(&set, Kind::Pod, &[], false).fate, Fate::Rejected);
    let fate = |controls: &str, mode: &str| {
        let text = format!(
            "{{apiVersion: podgate.dev/v1alpha1, kind: PodPolicy, metadata: {{name: a}}, spec: {{mode: {mode}, controls: {{{controls}}}}}}}"
        );
        let set = self::set(&text);
        [Kind::Pod, Kind::Job].map(|kind| judged(&set, kind, &[], false).fate)
    };
    assert_eq!(fate("hostPorts: {}", "enforce"), [Fate::Clean; 2]);
    assert_eq!(fate("privileged: {}", "audit"), [Fate::Recorded; 2]);
    assert_eq!(fate("privileged: {}", "warn"), [Fate::Warned; 2]);
    assert_eq!(
        fate("privileged: {}", "enforce"),
        [Fate::Rejected, Fate::PodsRejected]
    );
}

#[test]
fn labels_of_the_namespace_are_a_policy_among_the_others() {
    let set = set(POLICIES).with_pod_security();
    let labels = [("enforce", "baseline"), ("warn", "restricted")];
    let it = judged(&set, Kind::Pod, &labels, false);
    let of = |control: &str| {
        let found = it.findings.iter().filter(|it| it.control == control);
        found
            .map(|it| (it.mode, it.policies.join("+")))
            .collect::<Vec<_>>()
    };
    let label = "pod-security.kubernetes.io/enforce=baseline:latest";
    assert_eq!(
        of("hostNamespaces"),
        [(Mode::Enforce, format!("node+{label}"))]
    );
    // Told only if the labels do not reject.
    assert_eq!(of("runAsNonRoot"), [(Mode::Warn, "user".to_owned())]);
    assert_eq!(it.fate, Fate::Rejected);

    let it = judged(&set, Kind::Pod, &labels[1..], false);
    let found = it.findings.iter().find(|it| it.control == "seccomp");
    let policies = found.map(|it| (it.mode, it.policies.clone()));
    let label = "pod-security.kubernetes.io/warn=restricted:latest";
    assert_eq!(policies, Some((Mode::Warn, vec![label.to_owned()])));
}

#[test]
fn each_object_counts_once_by_the_worst() {
    let results = super::super::testing::manifests();
    let it = &results.summary;
    let counts = [
        it.judged,
        it.rejected,
        it.pods_rejected,
        it.warned,
        it.recorded,
        it.clean,
    ];
    assert_eq!(counts, [5, 1, 1, 1, 1, 1]);
    assert_eq!([it.skipped, it.errors, it.findings], [1, 2, 6]);
    assert!(!results.run.complete && results.rejects());
    assert_eq!(
        results.sentence(),
        "5 judged: 1 would be rejected, 1 would have their Pods rejected; 2 further findings. 1 skipped, 2 could not be judged"
    );
}
