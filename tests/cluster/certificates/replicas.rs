//! Replicas of a gate that keep their own certificates, behind one Service, with the rights of the manifests.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use podgate::cluster::certificates::{Lifetimes, Settings};
use serde_json::{Value, json};

use super::super::harness::{
    Cluster, LABEL, Namespace, Output, Supervised, await_until, default_service_account, get,
    random_name, supervised,
};
use super::balancer::Balancer;

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base");

const KINDS: &str = "validatingwebhookconfiguration,mutatingwebhookconfiguration";

/// What every gate of these tests enforces.
const POLICY: &str = r"
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: own}
spec: {mode: enforce, controls: {privileged: {}}}
";

/// Longer than the gate's own drain.
const STOP: Duration = Duration::from_secs(30);

/// What one gate has in the cluster.
pub struct Own<'c> {
    pub cluster: &'c Cluster,
    /// The gate's own namespace; also the name of its webhook configurations, and the label of what they judge.
    pub name: String,
    /// Where Pods are judged.
    pub judged: Namespace,
    directory: tempfile::TempDir,
    kubeconfig: PathBuf,
    balancer: Arc<Balancer>,
}

/// One `podgate serve`.
pub struct Replica {
    process: Option<Supervised>,
    admin: u16,
    log: PathBuf,
}

// === impl Own ===

impl<'c> Own<'c> {
    /// Everything but the replicas, as the manifests have it.
    pub fn install(cluster: &'c Cluster, prefix: &str) -> Self {
        let name = random_name(prefix);
        let own = Self {
            judged: cluster.namespace_labelled(prefix, &[(LABEL, &name)]),
            kubeconfig: cluster.kubeconfig_of(&format!("system:serviceaccount:{name}:podgate")),
            cluster,
            directory: tempfile::tempdir().expect("a directory"),
            balancer: Balancer::start(),
            name,
        };
        fs::create_dir(own.policies()).expect("a directory");
        fs::write(own.policies().join("own.yaml"), POLICY).expect("a file");
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own.name}});
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "podgate", "namespace": own.name},
            "spec": {
                "type": "ExternalName", "externalName": "localhost",
                "ports": [{"port": own.balancer.port}],
            },
        });
        own.create(&[namespace, default_service_account(&own.name), service]);
        own.create(&own.rights("rbac.yaml"));
        own.give_rights();
        own.register();
        own
    }

    /// What the gate's certificates are called, for a keeper in this process.
    pub fn settings(&self, identity: &str) -> Settings {
        Settings {
            namespace: self.name.clone(),
            service: "podgate".into(),
            secret: "podgate-certificates".into(),
            configuration: self.name.clone(),
            lease: "podgate".into(),
            identity: identity.into(),
            lifetimes: Lifetimes::default(),
            pause: Duration::from_millis(100),
        }
    }

    fn policies(&self) -> PathBuf {
        self.directory.path().join("policies")
    }

    /// Another replica behind the Service, when it is ready.
    pub fn start(&self, arguments: &[&str]) -> Replica {
        let (replica, port) = self.spawn(arguments);
        replica.await_ready();
        self.balancer.add(port);
        replica
    }

    /// Another replica that gets no requests, when it is ready.
    pub fn start_elsewhere(&self, arguments: &[&str]) -> Replica {
        let (replica, _) = self.spawn(arguments);
        replica.await_ready();
        replica
    }

    /// Another replica that gets no requests, ready or not.
    pub fn start_elsewhere_unready(&self, arguments: &[&str]) -> Replica {
        let (replica, _) = self.spawn(arguments);
        replica.await_alive();
        replica
    }

    /// Another replica behind the Service, ready or not.
    pub fn start_unready(&self, arguments: &[&str]) -> Replica {
        let (replica, port) = self.spawn(arguments);
        replica.await_alive();
        self.balancer.add(port);
        replica
    }

    fn spawn(&self, arguments: &[&str]) -> (Replica, u16) {
        let [port, admin] = [0; 2].map(|_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            listener.local_addr().expect("it has an address").port()
        });
        let log = self.directory.path().join(format!("{port}.log"));
        let mut command = supervised(env!("CARGO_BIN_EXE_podgate"));
        command
            .args([
                "serve",
                "--certificates",
                "cluster",
                "--drain-delay",
                "100ms",
            ])
            .args(["--namespace", &self.name])
            .args(["--webhook-configuration", &self.name])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--admin-listen", &format!("127.0.0.1:{admin}")])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--policies")
            .arg(self.policies())
            .args(arguments);
        let process = Supervised::spawn_logged(&mut command, &log).expect("podgate starts");
        let replica = Replica {
            process: Some(process),
            admin,
            log,
        };
        (replica, port)
    }

    /// The webhook configurations of the manifests, without a bundle.
    pub fn register(&self) {
        let mut objects = read("webhooks/webhooks.yaml");
        for object in &mut objects {
            object["metadata"]["name"] = json!(self.name);
            for webhook in object["webhooks"].as_array_mut().expect("webhooks") {
                webhook["namespaceSelector"]["matchLabels"][LABEL] = json!(self.name);
                webhook["clientConfig"]["service"]["namespace"] = json!(self.name);
                webhook["clientConfig"]["service"]["port"] = json!(self.balancer.port);
            }
        }
        self.create(&objects);
    }

    pub fn unregister(&self) {
        drop(self.kubectl(&["delete", KINDS, &self.name]));
    }

    /// The rights for keeping certificates.
    pub fn give_rights(&self) {
        self.create(&self.rights("rbac-certificates.yaml"));
    }

    pub fn take_rights(&self) {
        for it in self.rights("rbac-certificates.yaml") {
            let text = |it: &Value| it.as_str().unwrap_or("default").to_owned();
            let (kind, metadata) = (text(&it["kind"]), &it["metadata"]);
            let (name, namespace) = (text(&metadata["name"]), text(&metadata["namespace"]));
            drop(self.kubectl(&["delete", &kind, &name, "-n", &namespace]));
        }
    }

    /// The objects of a file of rights, for this gate.
    fn rights(&self, file: &str) -> Vec<Value> {
        let mut objects = read(&format!("gate/{file}"));
        for object in &mut objects {
            let kind = object["kind"].as_str().expect("a kind");
            if kind.starts_with("Cluster") {
                for pointer in ["/metadata/name", "/roleRef/name"] {
                    if let Some(it) = object.pointer_mut(pointer) {
                        let name = it.as_str().expect("a name");
                        *it = json!(name.replacen("podgate", &self.name, 1));
                    }
                }
                for rule in entries(object, "rules") {
                    if let Some(names) = rule.get_mut("resourceNames") {
                        *names = json!([self.name]);
                    }
                }
            } else {
                object["metadata"]["namespace"] = json!(self.name);
            }
            for subject in entries(object, "subjects") {
                subject["namespace"] = json!(self.name);
            }
        }
        objects
    }

    fn create(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.cluster
            .kubectl()
            .run_with_input(&["create", "-f", "-"], &list)
            .expect_success();
    }

    fn kubectl(&self, arguments: &[&str]) -> Output {
        let output = self.cluster.kubectl().run(arguments);
        output.expect_success();
        output
    }

    /// Returns when the API server calls the gate and trusts it.
    pub fn await_admitted(&self) {
        await_until("a privileged Pod is rejected by the gate", || {
            let pod = pod("canary", true).to_string();
            let output = self
                .judged
                .kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], &pod);
            output.stderr.contains("breaks policy \"own\"")
        });
    }

    pub fn find_secret(&self) -> Option<Value> {
        let output = self.on_secret("get", &["--ignore-not-found", "-o", "json"]);
        serde_json::from_str(&output.stdout).ok()
    }

    pub fn secret(&self) -> Value {
        self.find_secret().expect("there is a Secret")
    }

    pub fn delete_secret(&self) {
        drop(self.on_secret("delete", &[]));
    }

    /// Changes its data by a merge patch.
    pub fn write_secret(&self, data: &Value) {
        let patch = json!({"data": data}).to_string();
        drop(self.on_secret("patch", &["--type", "merge", "-p", &patch]));
    }

    /// As a person asks for another certificate.
    pub fn rotate(&self, what: &str) {
        drop(self.on_secret("annotate", &[&format!("podgate.dev/rotate={what}")]));
    }

    fn on_secret(&self, verb: &str, further: &[&str]) -> Output {
        let object = [verb, "-n", &self.name, "secret", "podgate-certificates"];
        self.kubectl(&[&object, further].concat())
    }

    pub fn configurations(&self) -> Vec<Value> {
        let found = self.kubectl(&["get", KINDS, "-o", "json"]).json();
        let all = found["items"].as_array().expect("a list").iter();
        all.filter(|it| it["metadata"]["name"] == *self.name)
            .cloned()
            .collect()
    }

    fn bundles(&self) -> Vec<Value> {
        let all = self.configurations();
        let webhooks = all
            .iter()
            .flat_map(|it| it["webhooks"].as_array().expect("webhooks"));
        webhooks
            .map(|it| it["clientConfig"]["caBundle"].clone())
            .collect()
    }

    /// True if every webhook trusts this certificate, among others.
    pub fn is_trusted(&self, certificate: &Value) -> bool {
        let certificate = decoded(certificate);
        let bundles = self.bundles();
        bundles.iter().all(|it| decoded(it).contains(&certificate))
    }

    /// True if every webhook trusts the authority in force, and nobody else.
    pub fn trusts_only_the_authority(&self) -> bool {
        let secret = self.secret();
        self.bundles()
            .iter()
            .all(|it| *it == secret["data"]["ca.crt"])
    }

    /// Writes this into the first webhook of the validating configuration.
    pub fn set_bundle(&self, bundle: &str) {
        let place = "/webhooks/0/clientConfig/caBundle";
        let patch = json!([{"op": "replace", "path": place, "value": bundle}]).to_string();
        let kind = "validatingwebhookconfiguration";
        let arguments = ["patch", kind, &self.name, "--type", "json", "-p", &patch];
        drop(self.kubectl(&arguments));
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        // Nobody answers for this gate any more. A test that failed has said so already.
        let _ = self.cluster.kubectl().run(&["delete", KINDS, &self.name]);
    }
}

/// The entries of a list that an object may have.
fn entries<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = object.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

fn read(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{BASE}/{file}")).expect("it is among the manifests");
    serde_saphyr::from_multiple(&text).expect("it is YAML")
}

fn decoded(value: &Value) -> String {
    let bytes = BASE64_STANDARD
        .decode(value.as_str().unwrap_or_default())
        .expect("it is base64");
    String::from_utf8(bytes).expect("it is text")
}

/// A Pod that the gate admits, or not.
pub fn pod(name: &str, is_privileged: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{
            "name": "a", "image": "a", "securityContext": {"privileged": is_privileged},
        }]},
    })
}

// === impl Replica ===

impl Replica {
    fn await_ready(&self) {
        await_until("a replica is ready", || {
            self.try_admin("/readyz").is_some_and(|it| it.0 == 200)
        });
    }

    fn await_alive(&self) {
        await_until("a replica lives", || self.try_admin("/livez").is_some());
    }

    pub fn freeze(&mut self) {
        self.signal("STOP");
    }

    pub fn thaw(&mut self) {
        self.signal("CONT");
    }

    fn signal(&mut self, name: &str) {
        let process = self.process.as_mut().expect("it runs");
        process.signal(name).expect("it can be signalled");
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let ended = self.process.take().expect("it runs").wait(STOP);
        assert!(
            ended.expect("it can be waited for").is_some(),
            "{}",
            self.log()
        );
    }

    pub fn admin(&self, path: &str) -> (u16, String) {
        self.try_admin(path)
            .unwrap_or_else(|| panic!("no answer to {path}\n{}", self.log()))
    }

    fn try_admin(&self, path: &str) -> Option<(u16, String)> {
        get(self.admin, path)
    }

    pub fn metric(&self, name: &str) -> i64 {
        let (_, text) = self.admin("/metrics");
        let line = text
            .lines()
            .find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|it| it.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name}\n{text}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}
