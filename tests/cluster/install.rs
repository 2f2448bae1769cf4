//! podgate installed for real, as README says, into a control plane of its own.
//!
//! What nodes and controllers would do is done here: a process runs in the place of the Pods, the Deployment's status
//! says that it is ready, and a namespace that is deleted goes away. Everything else is what a user types.

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::harness::{Cluster, Deployed, Helm, Namespace, await_until, empty_cluster, helm};
use super::objects::Objects;

const README: &str = include_str!("../../README.md");

/// Breaks the shipped policy "baseline".
pub const PRIVILEGED: &str = "
apiVersion: v1
kind: Pod
metadata: {generateName: privileged-}
spec: {containers: [{name: app, image: registry.example/app:1, securityContext: {privileged: true}}]}
";

/// How long a command of the README may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Whoever runs the Deployment in a real cluster.
pub struct Nodes<'c> {
    cluster: &'c Cluster,
    replica: Option<(Value, Deployed<'c>)>,
    /// This user may not listen on the Service's port, so nothing can run.
    pub powerless: bool,
}

// === impl Nodes ===

impl<'c> Nodes<'c> {
    pub fn of(cluster: &'c Cluster) -> Self {
        Self {
            cluster,
            replica: None,
            powerless: false,
        }
    }

    /// Brings what runs in line with what is stored.
    #[track_caller]
    pub fn follow(&mut self) {
        let wanted = self.deployment();
        let template = wanted
            .as_ref()
            .map(|it| it["spec"]["template"].clone())
            .unwrap_or_default();
        let running = self.replica.as_ref().map(|(it, _)| it.clone());
        if running.unwrap_or_default() != template {
            self.replica = None;
            if wanted.is_some() {
                self.replica = self.cluster.deployed().map(|it| (template, it));
                self.powerless = self.replica.is_none();
            }
        }
        if let Some((_, replica)) = &self.replica {
            replica.sync_policies();
        }
        if let Some(deployment) = wanted {
            self.report_ready(&deployment);
        }
    }

    fn deployment(&self) -> Option<Value> {
        let output = self.cluster.kubectl().run(&[
            "get",
            "deployment",
            "podgate",
            "--namespace=podgate-system",
            "--ignore-not-found",
            "--output=json",
        ]);
        output.expect_success();
        (!output.stdout.is_empty()).then(|| output.json())
    }

    #[track_caller]
    fn report_ready(&self, deployment: &Value) {
        let replicas = &deployment["spec"]["replicas"];
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        }});
        let arguments = [
            "patch",
            "deployment",
            "podgate",
            "--namespace=podgate-system",
            "--subresource=status",
            "--patch",
            &status.to_string(),
        ];
        self.cluster.kubectl().run(&arguments).expect_success();
    }
}

/// Lets a namespace go that is being deleted, as its controller does when it is empty.
fn let_namespace_go(cluster: &Cluster) {
    let get = [
        "get",
        "namespace",
        "podgate-system",
        "--ignore-not-found",
        "--output=json",
    ];
    let found = cluster.kubectl().run(&get);
    let Ok(mut namespace) = serde_json::from_str::<Value>(&found.stdout) else {
        return;
    };
    if namespace["metadata"]["deletionTimestamp"].is_string() {
        // What podgate made for itself. A replica that makes it again is refused by now.
        let own = [
            "delete",
            "secrets,leases",
            "--all",
            "--namespace=podgate-system",
        ];
        cluster.kubectl().run(&own).expect_success();
        namespace["spec"]["finalizers"] = json!([]);
        let path = "/api/v1/namespaces/podgate-system/finalize";
        // It may be gone by now.
        let _ = cluster.kubectl().run_with_input(
            &["replace", "--raw", path, "-f", "-"],
            &namespace.to_string(),
        );
    }
}

/// Runs a line as a user types it into a shell at the top of the repository.
#[track_caller]
pub fn type_in(cluster: &Cluster, helm: &Helm<'_>, line: &str) {
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&cluster.kubectl().program, programs.path().join("kubectl"))
        .unwrap();
    std::os::unix::fs::symlink(helm.program(), programs.path().join("helm")).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .env("KUBECONFIG", &cluster.kubectl().kubeconfig)
        .env("KUBECACHEDIR", &cluster.kubectl().cache)
        .env("HOME", programs.path())
        .stdout(log.as_file().try_clone().unwrap())
        .stderr(log.as_file().try_clone().unwrap());
    let mut child = shell.spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        let_namespace_go(cluster);
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = fs::read_to_string(log.path()).unwrap();
    assert!(
        status.is_some_and(|it| it.success()),
        "$ {line}\n{said}[{status:?}]"
    );
}

/// The commands of a section of the README, block by block.
fn commands(section: &str) -> Vec<Vec<&'static str>> {
    let (_, text) = README.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let blocks = text.split("```console\n").skip(1);
    blocks
        .map(|it| {
            let block = it.split("```").next().unwrap();
            block
                .lines()
                .map(|it| it.strip_prefix("$ ").unwrap())
                .collect()
        })
        .collect()
}

/// Everything in the cluster that podgate's name is on, but for its namespace.
#[track_caller]
pub fn left(cluster: &Cluster) -> BTreeSet<String> {
    let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings";
    let own = "roles,rolebindings,deployments,services,configmaps,serviceaccounts,resourcequotas,networkpolicies,\
               poddisruptionbudgets,secrets,leases";
    let mut found = BTreeSet::new();
    for (resources, place) in [
        (kinds, "--all-namespaces"),
        (own, "--namespace=podgate-system"),
    ] {
        let output = cluster
            .kubectl()
            .run(&["get", resources, place, "--output=name"]);
        output.expect_success();
        found.extend(output.stdout.lines().map(str::to_owned));
    }
    found.retain(|it| it.contains("podgate") || it.contains("helm"));
    found
}

/// The bundles that the API server trusts, of each webhook.
#[track_caller]
pub fn bundles(cluster: &Cluster) -> Vec<Value> {
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
    let found = cluster
        .kubectl()
        .run(&["get", kinds, "--output=json"])
        .json();
    let objects = Objects(found["items"].as_array().unwrap().clone());
    let clients = objects.of_each_webhook("clientConfig");
    clients.iter().map(|it| it["caBundle"].clone()).collect()
}

/// Plays the namespace controller until podgate's namespace is gone.
#[track_caller]
pub fn await_namespace_gone(cluster: &Cluster) {
    await_until("the namespace is gone", || {
        let_namespace_go(cluster);
        let get = [
            "get",
            "namespace",
            "podgate-system",
            "--ignore-not-found",
            "-oname",
        ];
        cluster.kubectl().run(&get).stdout.is_empty()
    });
}

#[track_caller]
pub fn await_refused(namespace: &Namespace) {
    await_until("a privileged Pod is refused", || {
        let output = namespace.create_from(PRIVILEGED);
        output.stderr.contains("breaks policy \"baseline\"")
    });
}

#[track_caller]
pub fn await_admitted(namespace: &Namespace) {
    await_until("a privileged Pod is admitted", || {
        namespace.create_from(PRIVILEGED).succeeded()
    });
}

/// As Flux and Argo CD apply, and as podgate writes: each owns its own fields.
#[test]
fn server_side_apply_leaves_the_bundles_and_does_not_fight_over_them() {
    let Some((cluster, _turn)) = empty_cluster() else {
        return;
    };
    let kubectl = cluster.kubectl();
    let apply = || {
        kubectl
            .run(&["apply", "--server-side", "-k", "manifests/base/webhooks"])
            .expect_success();
    };
    apply();
    let authority = kubectl
        .run(&["config", "view", "--raw", "--output=json"])
        .json()["clusters"][0]["cluster"]["certificate-authority-data"]
        .clone();
    assert!(authority.is_string());
    for (kind, webhooks) in [("mutating", 1), ("validating", 2)] {
        let operation = |index| {
            let place = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({"op": "add", "path": place, "value": authority})
        };
        let patch = (0..webhooks).map(operation).collect::<Value>().to_string();
        let resource = format!("{kind}webhookconfiguration/podgate");
        let written = kubectl.run(&[
            "patch",
            &resource,
            "--type=json",
            "--field-manager=podgate",
            "--patch",
            &patch,
        ]);
        written.expect_success();
    }
    apply();
    assert_eq!(bundles(cluster), vec![authority; 3]);
    kubectl
        .run(&["delete", "-k", "manifests/base/webhooks"])
        .expect_success();
}

#[test]
fn the_install_section_of_the_readme_works_word_for_word() {
    let Some((cluster, _turn)) = empty_cluster() else {
        return;
    };
    let Some(helm) = helm(cluster) else { return };
    let mut nodes = Nodes::of(cluster);
    let shop = cluster.namespace("shop");
    let mut type_in = |line: &str| {
        type_in(cluster, &helm, line);
        nodes.follow();
        !nodes.powerless
    };

    let blocks = commands("Install");
    let [install, careful, break_glass, uninstall, with_helm] = &blocks[..] else {
        panic!("the README has changed: {blocks:#?}");
    };

    let [apply] = install[..] else {
        panic!("{install:?}")
    };
    if !type_in(apply) {
        return;
    }
    await_refused(&shop);

    let [look_on, rollout, wait, enforce] = careful[..] else {
        panic!("{careful:?}")
    };
    type_in(look_on);
    type_in(rollout);
    type_in(wait);
    await_admitted(&shop);
    type_in(enforce);
    await_refused(&shop);

    let [open, close] = break_glass[..] else {
        panic!("{break_glass:?}")
    };
    type_in(open);
    await_admitted(&shop);
    type_in(close);
    await_refused(&shop);

    let [webhooks, rest] = uninstall[..] else {
        panic!("{uninstall:?}")
    };
    type_in(webhooks);
    await_admitted(&shop);
    type_in(rest);
    assert_eq!(left(cluster), BTreeSet::new());

    let [install, rollout, upgrade, uninstall] = with_helm[..] else {
        panic!("{with_helm:?}")
    };
    type_in(install);
    type_in(rollout);
    await_admitted(&shop);
    type_in(upgrade);
    await_refused(&shop);
    type_in(uninstall);
    await_admitted(&shop);
    remove_namespace(cluster, &helm);
}

/// Helm leaves the namespace, and what podgate made in it, to whoever uninstalls.
#[track_caller]
pub fn remove_namespace(cluster: &Cluster, helm: &Helm<'_>) {
    let own = [
        "lease.coordination.k8s.io/podgate",
        "secret/podgate-certificates",
    ];
    assert_eq!(left(cluster), BTreeSet::from(own.map(str::to_owned)));
    type_in(cluster, helm, "kubectl delete namespace podgate-system");
    assert_eq!(left(cluster), BTreeSet::new());
}
