//! podgate as the Deployment in the cluster says, a process in the place of a Pod.
//!
//! It gets the arguments, the environment and the mounted files of the container, and listens where the Service's
//! address leads, so that the API server reaches it just as it is told to. What no process can have is left out: the
//! image, the isolation, and the account's token, for which a certificate of the same user stands in.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Cluster,
    control_plane::{free_ports, tail},
    gate::{SERVICE_ACCOUNT, get},
    in_ci,
    process::{Supervised, supervised},
    random_name, skip,
};

const NAMESPACE: &str = "podgate-system";

/// Loading policies, syncing namespaces and proving the listener take well under a second.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// One replica. Dropping it ends the process.
pub struct Deployed<'c> {
    cluster: &'c Cluster,
    directory: PathBuf,
    process: Supervised,
}

// === impl Deployed ===

impl<'c> Deployed<'c> {
    #[track_caller]
    pub(super) fn new(cluster: &'c Cluster) -> Option<Self> {
        let service = object(cluster, "service", "podgate");
        let address = text(&service["spec"]["clusterIP"]);
        let port = service["spec"]["ports"][0]["port"]
            .as_u64()
            .expect("a port");
        let listen = format!("{address}:{port}");
        match TcpListener::bind(&listen) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !in_ci() => {
                skip(&format!("this user may not listen on port {port}"));
                return None;
            }
            bound => drop(bound.unwrap_or_else(|error| panic!("cannot bind {listen}: {error}"))),
        }

        let directory = cluster.directory.join(random_name("deployed"));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let deployment = object(cluster, "deployment", "podgate");
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let mut environment = BTreeMap::new();
        for variable in list(&container["env"]) {
            let value = match variable["value"].as_str() {
                Some(value) => value.to_owned(),
                // Of the Pod that it would be.
                None => text(&variable["valueFrom"]["fieldRef"]["fieldPath"]),
            };
            environment.insert(text(&variable["name"]), value);
        }
        for mount in list(&container["volumeMounts"]) {
            let at = text(&mount["mountPath"]);
            let here = directory.join(text(&mount["name"]));
            fs::create_dir_all(&here).expect("a directory can be made");
            for value in environment.values_mut() {
                *value = value.replace(&at, &here.to_string_lossy());
            }
        }

        let plane = &cluster.control_plane;
        let account = plane
            .authority
            .client(SERVICE_ACCOUNT, None)
            .expect("a certificate");
        let kubeconfig = directory.join("kubeconfig");
        let content = plane.authority.kubeconfig(&plane.url, &account);
        fs::write(&kubeconfig, content).expect("the kubeconfig can be written");
        let [admin] = free_ports().expect("a port can be bound");
        for (name, value) in [
            ("PODGATE_LISTEN", listen),
            ("PODGATE_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("PODGATE_KUBECONFIG", path(&kubeconfig)),
            // A kubelet takes a minute to bring a change, podgate seconds to see it.
            ("PODGATE_POLL", "100ms".into()),
        ] {
            environment.insert(name.to_owned(), value);
        }

        let mut command = supervised(&cluster.podgate);
        command.args(list(&container["args"]).iter().map(text));
        command.envs(environment);
        mount_policies(cluster, &directory);
        for volume in list(&pod["volumes"]) {
            if let Some(secret) = volume["secret"]["secretName"].as_str() {
                mount_secret(cluster, secret, &directory.join(text(&volume["name"])));
            }
        }
        let log = directory.join("podgate.log");
        let process = Supervised::spawn_logged(&mut command, &log).expect("podgate can be started");
        let mut replica = Self {
            cluster,
            directory,
            process,
        };
        replica.await_ready(admin, &log);
        Some(replica)
    }

    /// Brings the `ConfigMap` of the policies into the mounted directory, as a kubelet does.
    #[track_caller]
    pub fn sync_policies(&self) {
        mount_policies(self.cluster, &self.directory);
    }

    #[track_caller]
    fn await_ready(&mut self, admin: u16, log: &Path) {
        let deadline = Instant::now() + READY_LIMIT;
        while get(admin, "/readyz").is_none_or(|(status, _)| status != 200) {
            let ended = self.process.ended().expect("podgate can be waited for");
            assert_eq!(ended, None, "podgate ended:\n{}", tail(log));
            let in_time = Instant::now() < deadline;
            assert!(in_time, "not ready after {READY_LIMIT:?}:\n{}", tail(log));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn mount_policies(cluster: &Cluster, directory: &Path) {
    let found = object(cluster, "configmap", "podgate-policies");
    let mounted = directory.join("policies");
    let data = found["data"].as_object().expect("it has data");
    for entry in fs::read_dir(&mounted).expect("it is a directory") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().expect("it has a name").to_string_lossy();
        if !data.contains_key(name.as_ref()) {
            fs::remove_file(&path).expect("it can be removed");
        }
    }
    for (name, content) in data {
        fs::write(mounted.join(name), text(content)).expect("it can be written");
    }
}

fn mount_secret(cluster: &Cluster, name: &str, mounted: &Path) {
    let found = object(cluster, "secret", name);
    for key in found["data"].as_object().expect("it has data").keys() {
        let template = format!("{{{{index .data \"{key}\" | base64decode}}}}");
        let arguments = [
            "get",
            "secret",
            name,
            "--namespace",
            NAMESPACE,
            "--output=go-template",
            "--template",
            &template,
        ];
        let output = cluster.kubectl().run(&arguments);
        output.expect_success();
        fs::write(mounted.join(key), &output.stdout).expect("it can be written");
    }
}

#[track_caller]
fn object(cluster: &Cluster, kind: &str, name: &str) -> Value {
    cluster
        .kubectl()
        .run(&["get", kind, name, "--namespace", NAMESPACE, "--output=json"])
        .json()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
