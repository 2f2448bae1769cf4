//! Pods and workloads of all kinds, made as controllers make them, with violations planted in some; and what an audit at
//! baseline has to find.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::harness::{Cluster, default_service_account, random_name};

/// Owners that make their Pods themselves.
const DIRECT: [(&str, &str); 4] = [
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("v1", "ReplicationController"),
    ("batch/v1", "Job"),
];
/// Pods of each workload that has any.
const PODS: usize = 17;

/// What was made.
pub(super) struct Plan {
    pub(super) prefix: String,
    pub(super) namespaces: Vec<String>,
    /// By namespace, kind and name: Pods, and findings.
    pub(super) expected: BTreeMap<[String; 3], (u64, Vec<String>)>,
    /// What is in one namespace.
    pub(super) scanned: Value,
}

/// True for the namespaces in which nothing is planted.
pub(super) fn is_clean(namespace: usize) -> bool {
    namespace % 5 == 4
}

/// The Pod that nobody owns, in which something is planted.
pub(super) fn bare_name() -> &'static str {
    "bare"
}

/// One workload, before it is made.
struct Wanted {
    api_version: &'static str,
    kind: &'static str,
    name: String,
    bad: bool,
    /// What stands between it and its Pods.
    between: Option<(&'static str, &'static str)>,
    has_pods: bool,
}

// === impl Plan ===

impl Plan {
    /// In each namespace: two Deployments with Pods and one without, a `CronJob`, one each of the four that make Pods
    /// themselves, a `PodTemplate`, and two Pods of nobody, of which one has ended.
    pub(super) fn make(cluster: &Cluster, prefix: &str, count: usize) -> Self {
        let prefix = random_name(prefix);
        let namespaces: Vec<String> = (0..count).map(|at| format!("{prefix}-{at:02}")).collect();
        let objects = namespaces.iter().map(|name| {
            let it = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            ("/api/v1/namespaces".to_owned(), it)
        });
        cluster.create_all(objects);
        let accounts = namespaces.iter().map(|name| {
            let path = format!("/api/v1/namespaces/{name}/serviceaccounts");
            (path, default_service_account(name))
        });
        cluster.create_all(accounts);

        let mut expected = BTreeMap::new();
        let mut wanted: Vec<(&String, Wanted)> = Vec::new();
        for (at, namespace) in namespaces.iter().enumerate() {
            for it in workloads(at) {
                wanted.push((namespace, it));
            }
        }
        let owners = cluster.create_all(
            wanted
                .iter()
                .map(|(namespace, it)| (path(it.api_version, it.kind, namespace), it.object())),
        );
        let between: Vec<usize> = (0..wanted.len())
            .filter(|at| wanted[*at].1.between.is_some())
            .collect();
        let middle = cluster.create_all(between.iter().map(|at| {
            let (namespace, it) = &wanted[*at];
            let (api_version, kind) = it.between.unwrap();
            let mut object = it.object_of(api_version, kind);
            object["metadata"]["ownerReferences"] = json!([controller(&owners[*at])]);
            (path(api_version, kind, namespace), object)
        }));
        let mut pods = Vec::new();
        for (at, (namespace, it)) in wanted.iter().enumerate() {
            let middle = between
                .iter()
                .position(|of| *of == at)
                .map(|at| &middle[at]);
            let owner = middle.unwrap_or(&owners[at]);
            let count = if it.has_pods { PODS } else { 0 };
            for number in 0..count {
                let mut pod = json!({"apiVersion": "v1", "kind": "Pod"});
                pod["metadata"] = json!({"name": format!("{}-{}-{number:02}", it.name, it.kind.to_lowercase()),
                    "labels": {"app": it.name}, "ownerReferences": [controller(owner)]});
                pod["spec"] = spec(it.bad, "Always");
                pods.push((format!("/api/v1/namespaces/{namespace}/pods"), pod));
            }
            let template = match it.kind {
                "PodTemplate" => "template.",
                "CronJob" => "spec.jobTemplate.spec.template.",
                _ => "spec.template.",
            };
            let findings = it.bad.then(|| {
                format!("privileged {template}spec.containers[1].securityContext.privileged")
            });
            expected.insert(
                [(*namespace).clone(), it.kind.to_owned(), it.name.clone()],
                (
                    u64::try_from(count).unwrap(),
                    findings.into_iter().collect(),
                ),
            );
        }
        for (at, namespace) in namespaces.iter().enumerate() {
            let path = format!("/api/v1/namespaces/{namespace}/pods");
            let bad = !is_clean(at);
            let pod = |name: &str, bad| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec(bad, "Never")});
            pods.push((path.clone(), pod(bare_name(), bad)));
            pods.push((path, pod("ended", true)));
            let findings =
                bad.then(|| "privileged spec.containers[1].securityContext.privileged".to_owned());
            expected.insert(
                [namespace.clone(), "Pod".to_owned(), bare_name().to_owned()],
                (1, findings.into_iter().collect()),
            );
        }
        let made = pods.len() / count;
        cluster.create_all(pods);
        let ended = json!({"status": {"phase": "Succeeded"}});
        cluster.patch_all(namespaces.iter().map(|namespace| {
            (
                format!("/api/v1/namespaces/{namespace}/pods/ended/status"),
                ended.clone(),
            )
        }));
        Self {
            prefix,
            namespaces,
            expected,
            scanned: json!({
                "pods": made, "deployments": 3, "statefulsets": 1, "daemonsets": 1, "cronjobs": 1,
                "replicasets": 3, "jobs": 2, "replicationcontrollers": 1, "podtemplates": 1,
            }),
        }
    }
}

fn workloads(namespace: usize) -> Vec<Wanted> {
    let bad = |number: usize| !is_clean(namespace) && (namespace + number).is_multiple_of(3);
    let name = |number: usize| format!("web-{number}");
    let mut all = Vec::new();
    for number in 0..3 {
        all.push(Wanted {
            api_version: "apps/v1",
            kind: "Deployment",
            name: name(number),
            bad: bad(number),
            between: Some(("apps/v1", "ReplicaSet")),
            has_pods: number < 2,
        });
    }
    all.push(Wanted {
        api_version: "batch/v1",
        kind: "CronJob",
        name: name(3),
        bad: bad(3),
        between: Some(("batch/v1", "Job")),
        has_pods: true,
    });
    for (number, (api_version, kind)) in (4..).zip(DIRECT) {
        all.push(Wanted {
            api_version,
            kind,
            name: name(number),
            bad: bad(number),
            between: None,
            has_pods: number < 7,
        });
    }
    all.push(Wanted {
        api_version: "v1",
        kind: "PodTemplate",
        name: name(8),
        bad: bad(8),
        between: None,
        has_pods: false,
    });
    all
}

// === impl Wanted ===

impl Wanted {
    fn object(&self) -> Value {
        self.object_of(self.api_version, self.kind)
    }

    fn object_of(&self, api_version: &str, kind: &str) -> Value {
        let app = json!({"app": self.name});
        let restart = if matches!(kind, "Job" | "CronJob") {
            "Never"
        } else {
            "Always"
        };
        let template = json!({"metadata": {"labels": app}, "spec": spec(self.bad, restart)});
        let selector = json!({"matchLabels": app});
        let mut it = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": self.name, "labels": app}});
        match kind {
            "PodTemplate" => it["template"] = template,
            "CronJob" => {
                it["spec"] = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}});
            }
            "Job" | "ReplicationController" => it["spec"] = json!({"template": template}),
            "StatefulSet" => {
                let spec =
                    json!({"selector": selector, "serviceName": "web", "template": template});
                it["spec"] = spec;
            }
            _ => it["spec"] = json!({"selector": selector, "template": template}),
        }
        it
    }
}

/// Two containers, of which the second may be privileged.
fn spec(bad: bool, restart: &str) -> Value {
    let mut second = json!({"name": "b", "image": "registry.example/b:1"});
    if bad {
        second["securityContext"] = json!({"privileged": true});
    }
    json!({"restartPolicy": restart, "containers": [{"name": "a", "image": "registry.example/a:1"}, second]})
}

fn controller(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true})
}

fn path(api_version: &str, kind: &str, namespace: &str) -> String {
    let root = if api_version == "v1" { "api" } else { "apis" };
    format!(
        "/{root}/{api_version}/namespaces/{namespace}/{}s",
        kind.to_lowercase()
    )
}
