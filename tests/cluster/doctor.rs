//! `podgate doctor` of an install on a real API server: whole, and then broken in one way after another.
//!
//! There is no kubelet: the Deployment, its Pods and nodes are written by hand, and the replica that answers is a process
//! behind a Service that stands for this machine. What needs a kubelet, or an address that is not this machine's own, is
//! therefore unknown here, and said to be.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::harness::{Cluster, ClusterError, Gate, Kubectl, await_until, cluster_in};

/// What cannot be seen without kubelets.
const BLIND: [&str; 6] = [
    "--skip",
    "readiness",
    "--skip",
    "policy-set",
    "--skip",
    "served-certificate",
];
const NAMESPACE: &str = "podgate-system";

/// podgate, as `manifests/` installs it.
struct Install {
    cluster: &'static Cluster,
    gate: Gate<'static>,
}

/// The install, for one test at a time: there can be only one, and each breaks it.
#[track_caller]
fn install() -> Option<MutexGuard<'static, Install>> {
    static CLUSTER: OnceLock<Result<Cluster, ClusterError>> = OnceLock::new();
    static INSTALL: OnceLock<Mutex<Install>> = OnceLock::new();
    let cluster = cluster_in(&CLUSTER)?;
    let install = INSTALL.get_or_init(|| Mutex::new(Install::new(cluster)));
    Some(install.lock().unwrap_or_else(PoisonError::into_inner))
}

// === impl Install ===

impl Install {
    #[track_caller]
    fn new(cluster: &'static Cluster) -> Self {
        let gate = cluster
            .gate("doctor")
            .policies_from("policies")
            .arguments(&["--pod-security-labels"])
            .judging_everything()
            .start();
        let kubectl = cluster.kubectl();
        let run = |arguments: &[&str]| {
            kubectl.run(arguments).expect_success();
        };
        for part in ["deployment", "pdb"] {
            run(&["create", "-f", &format!("manifests/base/gate/{part}.yaml")]);
        }
        let policies = [
            "create",
            "configmap",
            "podgate-policies",
            "--from-file=policies/",
        ];
        run(&[&["--namespace", NAMESPACE], &policies[..]].concat());
        let replicas = json!({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        status(kubectl, "deployment", "podgate", &replicas);
        let disruptions = json!({"expectedPods": 2, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1});
        status(kubectl, "poddisruptionbudget", "podgate", &disruptions);
        let template = kubectl
            .run(&[
                "get",
                "deployment",
                "podgate",
                "--namespace",
                NAMESPACE,
                "--output=json",
            ])
            .json()["spec"]["template"]
            .clone();
        for number in [1, 2] {
            let (node, name) = (format!("n{number}"), format!("podgate-{number}"));
            let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
            create(kubectl, &object);
            let info = json!({"nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "v1.37.2", "machineID": "", "operatingSystem": "linux",
                "osImage": "", "systemUUID": "",
            }});
            status(kubectl, "node", &node, &info);
            let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
            pod["metadata"]["name"] = json!(name);
            pod["metadata"]["namespace"] = json!(NAMESPACE);
            pod["spec"]["nodeName"] = json!(node);
            create(kubectl, &pod);
            let running =
                json!({"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]});
            status(kubectl, "pod", &name, &running);
        }
        Self { cluster, gate }
    }

    fn doctor(&self, arguments: &[&str]) -> Seen {
        Seen::of(&self.cluster.kubectl().kubeconfig, arguments)
    }

    /// Breaks an object by a JSON patch, waits for the observations, and mends it again.
    #[track_caller]
    fn broken(&self, object: &str, patch: &Value, expected: &[&str]) {
        let kubectl = self.cluster.kubectl();
        let in_namespace = ["--namespace", NAMESPACE];
        let run = |arguments: &[&str]| kubectl.run(&[&in_namespace, arguments].concat());
        let mut before = run(&["get", object, "--output=json"]).json();
        run(&[
            "patch",
            object,
            "--type=json",
            "--patch",
            &patch.to_string(),
        ])
        .expect_success();
        let mut seen = self.doctor(&BLIND);
        // The API server goes by the old configuration for one or two seconds.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !expected.iter().all(|it| seen.has(it)) && std::time::Instant::now() < deadline {
            seen = self.doctor(&BLIND);
        }
        for field in ["resourceVersion", "generation", "uid", "managedFields"] {
            before["metadata"].as_object_mut().unwrap().remove(field);
        }
        kubectl
            .run_with_input(&["replace", "-f", "-"], &before.to_string())
            .expect_success();
        for it in expected {
            assert!(seen.has(it), "{it}\nis not in {:#?}", seen.lines());
        }
        self.await_health();
    }

    #[track_caller]
    fn await_health(&self) {
        await_until("the install is whole again", || {
            self.doctor(&BLIND).status == Some(0)
        });
    }
}

/// What the doctor said.
struct Seen {
    status: Option<i32>,
    diagnosis: Value,
}

// === impl Seen ===

impl Seen {
    #[track_caller]
    fn of(kubeconfig: &Path, arguments: &[&str]) -> Self {
        let output = run(kubeconfig, &[arguments, &["--output=json"]].concat());
        let diagnosis = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        Self {
            status: output.status.code(),
            diagnosis,
        }
    }

    /// Each observation in a line.
    fn lines(&self) -> Vec<String> {
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let all = self.diagnosis["observations"].as_array().unwrap().iter();
        all.map(|it| {
            let [severity, check, place, what] =
                ["severity", "check", "where", "what"].map(|field| text(&it[field]));
            format!("{severity} {check}: {place}: {what}")
        })
        .collect()
    }

    fn has(&self, start: &str) -> bool {
        self.lines().iter().any(|it| it.starts_with(start))
    }

    /// Those that are not fine.
    fn bad(&self) -> Vec<String> {
        let is_bad = |it: &String| !it.starts_with("ok ") && !it.starts_with("note ");
        self.lines().into_iter().filter(is_bad).collect()
    }
}

fn run(kubeconfig: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podgate"))
        .args(["doctor", "--timeout=5s", "--kubeconfig"])
        .arg(kubeconfig)
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn create(kubectl: &Kubectl, object: &Value) {
    kubectl
        .run_with_input(&["create", "-f", "-"], &object.to_string())
        .expect_success();
}

#[track_caller]
fn status(kubectl: &Kubectl, kind: &str, name: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    let arguments = [
        "patch",
        kind,
        name,
        "--namespace",
        NAMESPACE,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    kubectl.run(&arguments).expect_success();
}

#[test]
fn a_whole_install_is_healthy_and_what_cannot_be_seen_is_named() {
    let Some(install) = install() else { return };

    let all = install.doctor(&["--verbose"]);
    assert_eq!(all.status, Some(2), "{:#?}", all.lines());
    // No kubelet answers, and the API server goes to no address of its own machine.
    for pod in ["podgate-1", "podgate-2"] {
        for check in ["readiness", "policy-set", "served-certificate"] {
            assert!(
                all.has(&format!(
                    "unknown {check}: Pod {NAMESPACE}/{pod}: cannot be looked at: "
                )),
                "{:#?}",
                all.lines()
            );
        }
    }
    assert_eq!(all.bad().len(), 6, "{:#?}", all.bad());

    let seen = install.doctor(&BLIND);
    assert_eq!(seen.bad(), Vec::<String>::new());
    assert_eq!(seen.status, Some(0));
    assert_eq!(seen.diagnosis["complete"], true);
    for expected in [
        "ok reachability: dry run of a Pod in namespace default: the API server has an answer",
        "ok enforcement: dry run of a Pod in namespace default: a Pod with hostPID is rejected",
        "ok policies: ConfigMap podgate-system/podgate-policies: 3 load, set ",
        "ok gate-rights: ",
        "ok rules: ValidatingWebhookConfiguration podgate: ",
        "note service: Service podgate-system/podgate: it stands for the host localhost",
    ] {
        assert!(
            seen.has(expected),
            "{expected}\nis not in {:#?}",
            seen.lines()
        );
    }

    let text = run(&install.cluster.kubectl().kubeconfig, &BLIND);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("0 errors, 0 warnings, "), "{text}");
    assert!(!text.contains("\nok: "), "{text}");
}

#[test]
fn a_registration_that_leads_nowhere_is_named() {
    let Some(install) = install() else { return };
    let object = "validatingwebhookconfiguration/podgate";
    let replace = |field: &str, value: Value| json!([{"op": "add", "path": format!("/webhooks/0/{field}"), "value": value}]);
    let reached = "error reachability: dry run of a Pod in namespace default: Internal error occurred: failed calling webhook";

    install.broken(
        object,
        &replace("clientConfig/service/port", json!(1)),
        &[
            "error service: Service podgate-system/podgate: the webhooks call port 1, and it has ",
            reached,
        ],
    );
    install.broken(
        object,
        &replace("clientConfig/service/name", json!("gone")),
        &[
            "error service: Service podgate-system/gone: it is not there",
            reached,
        ],
    );
    install.broken(
        object,
        &replace("clientConfig/caBundle", json!(ca(&[]))),
        &[&format!(
            "{reached} \"gate.podgate.dev\": failed to call webhook: "
        )],
    );
    let expired = [(2020, 2021)];
    install.broken(
        object,
        &replace("clientConfig/caBundle", json!(ca(&expired))),
        &["error ca-bundle: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: no CA of its caBundle is in force: one expired on ", reached],
    );
}

#[test]
fn a_registration_with_a_hole_is_named() {
    let Some(install) = install() else { return };
    let object = "validatingwebhookconfiguration/podgate";
    let gate = "ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev";
    let add = |field: &str, value: Value| json!([{"op": "add", "path": format!("/webhooks/0/{field}"), "value": value}]);

    install.broken(
        object,
        &add(
            "objectSelector",
            json!({"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}),
        ),
        &[&format!(
            "error opt-outs: {gate}: objectSelector selects by skip"
        )],
    );
    install.broken(
        object,
        &add("failurePolicy", json!("Ignore")),
        &[&format!(
            "error failure-policy: {gate}: failurePolicy is Ignore"
        )],
    );
    // Not asked about the namespace of the canary: a Pod that breaks policies gets in.
    install.broken(
        object,
        &add("matchConditions/-", json!({"name": "off", "expression": "request.namespace != 'default'"})),
        &[
            "error enforcement: dry run of a Pod in namespace default: a Pod with hostPID is let in, and the policies reject it",
            &format!("note opt-outs: {gate}: matchCondition off: "),
        ],
    );
}

#[test]
fn a_second_copy_is_named() {
    let Some(install) = install() else { return };
    let kubectl = install.cluster.kubectl();
    let mut copy = kubectl
        .run(&[
            "get",
            "mutatingwebhookconfiguration",
            "podgate",
            "--output=json",
        ])
        .json();
    copy["metadata"] = json!({"name": "podgate-old"});
    create(kubectl, &copy);
    let seen = install.doctor(&[&BLIND[..], &["--fail-on=warning"]].concat());
    let delete = ["delete", "mutatingwebhookconfiguration", "podgate-old"];
    kubectl.run(&delete).expect_success();

    assert!(
        seen.has("warning copies: MutatingWebhookConfiguration podgate-old: it calls the same podgate as well"),
        "{:#?}",
        seen.lines()
    );
    assert_eq!(seen.status, Some(1));
}

#[test]
fn a_gate_that_is_down_is_named() {
    let Some(mut install) = install() else { return };
    install.gate.stop();
    let seen = install.doctor(&BLIND);
    install.gate.start();

    assert_eq!(seen.status, Some(1), "{:#?}", seen.lines());
    let found = seen.diagnosis["observations"].as_array().unwrap();
    let reached = found
        .iter()
        .find(|it| it["check"] == "reachability")
        .unwrap();
    assert!(
        reached["what"]
            .as_str()
            .unwrap()
            .ends_with("connect: connection refused"),
        "{reached}"
    );
    assert!(
        reached["fix"]
            .as_str()
            .unwrap()
            .starts_with("nobody listens there")
    );
    install.await_health();
}

#[test]
fn whoever_may_not_look_hears_which_rights_are_missing() {
    let Some(install) = install() else { return };
    let kubeconfig = install.cluster.kubeconfig_of("doctor");

    let seen = Seen::of(&kubeconfig, &[]);
    assert_eq!(seen.status, Some(2));
    let is_fine = |it: &&String| !it.starts_with("unknown ");
    assert_eq!(
        seen.lines().iter().find(is_fine),
        // Everybody may ask for the version.
        Some(
            &seen
                .lines()
                .into_iter()
                .find(|it| it.starts_with("ok api-server: "))
                .unwrap()
        )
    );
    let rights = seen.lines();
    let rights = rights
        .iter()
        .find(|it| it.starts_with("unknown own-rights: you: "))
        .unwrap();
    for right in [
        "list validatingwebhookconfigurations.admissionregistration.k8s.io",
        "get services in podgate-system",
        "get pods/proxy in podgate-system",
        "create pods/portforward in podgate-system",
        "create pods in default",
        "create subjectaccessreviews.authorization.k8s.io",
    ] {
        assert!(rights.contains(right), "{right} is not in {rights}");
    }

    let kubectl = install.cluster.kubectl();
    kubectl
        .run(&["apply", "-f", "manifests/doctor-rbac.yaml"])
        .expect_success();
    for (kind, namespace) in [
        ("clusterrolebinding", None),
        ("rolebinding", Some(NAMESPACE)),
        ("rolebinding", Some("default")),
    ] {
        let role = match namespace {
            None => "--clusterrole=podgate-doctor",
            Some("default") => "--clusterrole=podgate-doctor-canary",
            Some(_) => "--clusterrole=podgate-doctor-install",
        };
        let mut arguments = vec!["create", kind, "doctor", role, "--user=doctor"];
        arguments.extend(namespace.iter().flat_map(|it| ["--namespace", it]));
        kubectl.run(&arguments).expect_success();
    }
    await_until("the doctor may look", || {
        Seen::of(&kubeconfig, &BLIND).status == Some(0)
    });
    let seen = Seen::of(&kubeconfig, &[]);
    assert!(seen.has("ok own-rights: you: "), "{:#?}", seen.lines());
}

#[test]
fn a_wrong_call_is_said_before_the_cluster_is_asked() {
    let nowhere = Path::new("no/such/kubeconfig");
    let output = run(nowhere, &["--skip", "everything"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(nowhere, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.starts_with("error: cannot use the kubeconfig \"no/such/kubeconfig\""),
        "{text}"
    );
}

/// The base64 of a CA that nobody knows, of these years.
fn ca(years: &[(i32, i32)]) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for (from, until) in years {
        params.not_before = rcgen::date_time_ymd(*from, 1, 1);
        params.not_after = rcgen::date_time_ymd(*until, 1, 1);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    BASE64_STANDARD.encode(params.self_signed(&key).unwrap().pem())
}
