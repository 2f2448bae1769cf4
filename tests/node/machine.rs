//! The node and its cluster: all that a cluster of one machine consists of, started once a run, inside.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{OnceLock, RwLock},
    thread,
    time::{Duration, Instant},
};

use super::{
    image::PAUSE,
    install,
    namespaces::{CNI, Inside},
};
use crate::cluster::harness::{
    Kubectl, Namespace, Supervised,
    assets::{Assets, NodeAssets},
    await_until,
    control_plane::{ControlPlane, Exposure, tail, write_identity},
    process::supervised,
    say,
};

/// The one node. Its name and addresses are those of `namespaces.sh`.
const NODE: &str = "n1";
const ADDRESS: &str = "192.168.77.1";

const CONTAINERD: &str = "/run/containerd/containerd.sock";

/// All of it together takes some ten seconds; a machine this much slower has another problem.
const START_LIMIT: Duration = Duration::from_mins(2);

/// The API server listens where Pods look for it, lets nodes do what nodes may, and sends reviews to the Pods behind a
/// Service itself, because nobody else routes to them here.
const EXPOSURE: Exposure = Exposure {
    listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443),
    advertise: Ipv4Addr::new(192, 168, 77, 1),
    service_range: "10.0.0.0/24",
    authorization: "Node,RBAC",
    names: &["10.0.0.1"],
    calls_kubelets: true,
    further: &[
        "--enable-aggregator-routing=true",
        "--enable-admission-plugins=NodeRestriction",
    ],
};

/// A cluster in which Pods run, with podgate installed.
pub struct Machine {
    pub plane: ControlPlane,
    pub inside: Inside,
    /// Tests hold it to read while they need the gate as it is, to write while they do things to it.
    pub gate: RwLock<()>,
    #[allow(dead_code, reason = "they run as long as it is there")]
    processes: Vec<Supervised>,
}

/// The machine that all tests of this run share.
///
/// # Panics
/// Where it does not start.
#[track_caller]
pub fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let begun = Instant::now();
        let machine = Machine::start();
        let ready = begun.elapsed();
        install::install(&machine);
        say(&format!(
            "The node was ready after {:.1} s, podgate in it after {:.1} s.",
            ready.as_secs_f32(),
            begun.elapsed().as_secs_f32()
        ));
        machine
    })
}

// === impl Machine ===

impl Machine {
    fn start() -> Self {
        let inside = Inside::locate().expect("tests on a node run inside");
        let directory = inside.directory.as_path();
        let assets = Assets::locate().expect("it was there outside");
        let programs = NodeAssets::locate().expect("they were there outside");
        let (plane, containerd) = thread::scope(|scope| {
            let runtime = scope.spawn(|| start_containerd(directory, &inside.images));
            let plane = ControlPlane::start(&assets, directory, &EXPOSURE);
            let plane = plane.unwrap_or_else(|error| panic!("no control plane: {error}"));
            (plane, runtime.join().expect("it has told why"))
        });
        let mut machine = Self {
            plane,
            inside,
            gate: RwLock::new(()),
            processes: vec![containerd],
        };
        for process in [
            machine.start_kubelet(&programs.kubelet),
            machine.start_controllers(&programs.kube_controller_manager),
            machine.start_scheduler(&programs.kube_scheduler),
        ] {
            machine.processes.push(process);
        }
        machine.await_node();
        machine
    }

    pub fn kubectl(&self) -> &Kubectl {
        &self.plane.kubectl
    }

    /// A new namespace with these labels, with all that a namespace of a real cluster is given.
    #[track_caller]
    pub fn namespace(&self, prefix: &str, labels: &[(&str, &str)]) -> Namespace {
        let namespace =
            Namespace::create_bare(self.kubectl(), &self.plane.audit_log, prefix, labels);
        await_until("the namespace has a service account", || {
            let given = namespace.kubectl(&["get", "serviceaccount/default"]);
            given.succeeded()
        });
        namespace
    }

    /// The end of a log of one of the programs, for whoever has to understand a failure.
    pub fn log(&self, program: &str) -> String {
        tail(&self.path(&format!("{program}.log")))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.inside.directory.join(file)
    }

    /// A kubeconfig for this user and group; returns its path.
    fn kubeconfig(&self, user: &str, group: &str) -> PathBuf {
        let authority = &self.plane.authority;
        let identity = authority.client(user, Some(group)).expect("a certificate");
        let path = self.path(&format!("{}.kubeconfig", user.replace(':', "-")));
        let content = authority.kubeconfig(&self.plane.url, &identity);
        fs::write(&path, content).expect("a kubeconfig can be written");
        path
    }

    fn ca(&self) -> PathBuf {
        let path = self.path("ca.crt");
        fs::write(&path, self.plane.authority.certificate()).expect("a file can be written");
        path
    }

    fn start_kubelet(&self, program: &Path) -> Supervised {
        let user = format!("system:node:{NODE}");
        let kubeconfig = self.kubeconfig(&user, "system:nodes");
        let serving = self.plane.authority.server(&[NODE, ADDRESS]);
        let (certificate, key) = write_identity(
            &serving.expect("a certificate"),
            &self.inside.directory,
            "kubelet",
        )
        .expect("a certificate can be written");
        let configuration = format!(
            include_str!("kubelet.yaml"),
            address = ADDRESS,
            containerd = CONTAINERD,
            certificate = certificate.display(),
            key = key.display(),
            ca = self.ca().display(),
            cgroup = self.inside.cgroup,
            directory = self.inside.directory.display(),
        );
        let file = self.path("kubelet.yaml");
        fs::write(&file, configuration).expect("a file can be written");
        let mut kubelet = supervised(program);
        kubelet
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--config")
            .arg(file)
            .arg("--root-dir")
            .arg(self.path("kubelet"))
            .arg("--cert-dir")
            .arg(self.path("kubelet/pki"))
            .args(["--hostname-override", NODE, "--node-ip", ADDRESS]);
        self.spawn("kubelet", &mut kubelet)
    }

    fn start_controllers(&self, program: &Path) -> Supervised {
        let mut controllers = supervised(program);
        controllers
            .arg("--kubeconfig")
            .arg(self.kubeconfig("system:kube-controller-manager", "system:masters"))
            .arg("--service-account-private-key-file")
            .arg(&self.plane.token_key)
            .arg("--root-ca-file")
            .arg(self.ca())
            .args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
        self.spawn("kube-controller-manager", &mut controllers)
    }

    fn start_scheduler(&self, program: &Path) -> Supervised {
        let mut scheduler = supervised(program);
        scheduler
            .arg("--kubeconfig")
            .arg(self.kubeconfig("system:kube-scheduler", "system:masters"))
            .args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
        self.spawn("kube-scheduler", &mut scheduler)
    }

    fn spawn(&self, name: &str, command: &mut Command) -> Supervised {
        let log = self.path(&format!("{name}.log"));
        Supervised::spawn_logged(command, &log)
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"))
    }

    fn await_node(&self) {
        let node = format!("node/{NODE}");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            let said = self.kubectl().run(&["get", &node, "--output", ready]);
            if said.stdout == "True" {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the node is not ready after {START_LIMIT:?}\n{said}\n{}",
                self.log("kubelet")
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Starts the runtime and gives it the images; returns when it has them.
fn start_containerd(directory: &Path, images: &Path) -> Supervised {
    let network = directory.join("cni");
    fs::create_dir_all(&network).expect("a directory can be made");
    fs::write(network.join("10-pods.conflist"), include_str!("cni.json"))
        .expect("a file can be written");
    let configuration = format!(
        include_str!("containerd.toml"),
        directory = directory.display(),
        socket = CONTAINERD,
        pause = PAUSE,
        plugins = CNI,
        network = network.display(),
    );
    let file = directory.join("containerd.toml");
    fs::write(&file, configuration).expect("a file can be written");
    let log = directory.join("containerd.log");
    let mut containerd = supervised("containerd");
    containerd.arg("--config").arg(file);
    let running =
        Supervised::spawn_logged(&mut containerd, &log).expect("containerd can be started");

    let ctr = |arguments: &[&str]| {
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", CONTAINERD, "--namespace", "k8s.io"]);
        ctr.args(arguments).output().expect("ctr can be started")
    };
    await_until("containerd answers", || ctr(&["version"]).status.success());
    for image in fs::read_dir(images).expect("the images are there") {
        let path = image.expect("a directory entry").path();
        if path.extension().is_some_and(|it| it == "tar") {
            let output = ctr(&["images", "import", &path.to_string_lossy()]);
            assert!(output.status.success(), "{output:?}\n{}", tail(&log));
        }
    }
    running
}

/// The processes of podgate: in here, those of its containers are seen.
pub fn processes() -> Vec<String> {
    let all = fs::read_dir("/proc").expect("proc is there").flatten();
    all.filter(|it| {
        let status = fs::read_to_string(it.path().join("status")).unwrap_or_default();
        status.starts_with("Name:\tpodgate\n") && !status.contains("State:\tZ")
    })
    .map(|it| it.file_name().to_string_lossy().into_owned())
    .collect()
}
