//! A gate: `podgate serve` as a child process, registered with the API server.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Cluster,
    control_plane::{free_ports, tail, write_identity},
    namespace::{Namespace, random_name},
    process::{Supervised, supervised},
    registration::{LABEL, Registration, Scope},
};

/// Loading policies, syncing namespaces and proving the listener take well under a second.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Longer than the gate's own drain.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The gate runs with the rights that `manifests/base/gate` gives it and no others.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:podgate-system:podgate";

/// What a gate is started with; see [`Cluster::gate`].
#[must_use = "a gate judges nothing until it is started"]
pub struct GateBuilder<'c> {
    cluster: &'c Cluster,
    scope: Scope,
    directory: PathBuf,
    arguments: Vec<String>,
    /// A free one, if none.
    port: Option<u16>,
}

/// A registered gate. Dropping it ends the process and removes the registration.
pub struct Gate<'c> {
    cluster: &'c Cluster,
    scope: Scope,
    directory: PathBuf,
    arguments: Vec<String>,
    port: u16,
    admin: u16,
    // Before the process: deregistered first, nothing is refused because nobody answers.
    registration: Registration,
    process: Option<Supervised>,
}

// === impl GateBuilder ===

impl<'c> GateBuilder<'c> {
    pub(super) fn new(cluster: &'c Cluster, prefix: &str) -> Self {
        let name = random_name(prefix);
        let directory = cluster.directory.join(&name);
        fs::create_dir_all(directory.join("policies")).expect("the gate's directory can be made");
        Self {
            cluster,
            scope: Scope::Labelled(name),
            directory,
            arguments: Vec::new(),
            port: None,
        }
    }

    /// Adds one policy file.
    pub fn policy(self, file: &str, content: &str) -> Self {
        fs::write(self.directory.join("policies").join(file), content)
            .expect("the policy can be written");
        self
    }

    /// Adds copies of all YAML files of a directory, relative to the top of the repository.
    pub fn policies_from(self, directory: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for entry in fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()))
        {
            let path = entry.expect("a directory entry").path();
            if path.extension().is_some_and(|it| it == "yaml") {
                let target = self
                    .directory
                    .join("policies")
                    .join(path.file_name().expect("a file has a name"));
                fs::copy(&path, target).expect("the policy can be copied");
            }
        }
        self
    }

    /// Adds arguments to `podgate serve`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Judges every namespace that a plain install judges. One such gate at a time, and no others beside it.
    pub fn judging_everything(mut self) -> Self {
        self.scope = Scope::AsInstalled;
        self
    }

    /// Listens on this port, which somebody had to know before.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Registers and starts the gate; returns when it is ready.
    #[track_caller]
    pub fn start(self) -> Gate<'c> {
        let mut gate = self.register();
        gate.start();
        gate
    }

    /// Registers the gate without starting it: whatever the API server would ask it about fails.
    #[track_caller]
    pub fn register(self) -> Gate<'c> {
        let Self {
            cluster,
            scope,
            directory,
            arguments: further,
            port,
        } = self;
        let plane = &cluster.control_plane;
        let [free, admin] = free_ports().expect("ports can be bound");
        let port = port.unwrap_or(free);

        let serving = plane
            .authority
            .server(&[&scope.server_name(), "localhost"])
            .expect("a certificate");
        let (certificate, key) =
            write_identity(&serving, &directory, "tls").expect("certificates can be written");
        let account = plane
            .authority
            .client(SERVICE_ACCOUNT, None)
            .expect("a certificate");
        let kubeconfig = directory.join("kubeconfig");
        fs::write(
            &kubeconfig,
            plane.authority.kubeconfig(&plane.url, &account),
        )
        .expect("the kubeconfig can be written");

        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments = vec!["serve".into()];
        for (flag, value) in [
            ("--listen", format!("127.0.0.1:{port}")),
            ("--admin-listen", format!("127.0.0.1:{admin}")),
            ("--tls-cert", path(&certificate)),
            ("--tls-key", path(&key)),
            ("--policies", path(&directory.join("policies"))),
            ("--kubeconfig", path(&kubeconfig)),
        ] {
            arguments.extend([flag.into(), value]);
        }
        arguments.extend(further);

        let registration =
            Registration::create(&plane.kubectl, &scope, &plane.authority.bundle(), port);
        Gate {
            cluster,
            scope,
            directory,
            arguments,
            port,
            admin,
            registration,
            process: None,
        }
    }
}

// === impl Gate ===

impl Gate<'_> {
    /// What tells this gate from the others: where its webhook configurations end, and its label's value.
    pub fn name(&self) -> &str {
        self.scope.service_namespace()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new namespace that this gate judges.
    #[track_caller]
    pub fn namespace(&self, prefix: &str) -> Namespace {
        self.namespace_labelled(prefix, &[])
    }

    /// A new namespace with these labels that this gate judges.
    #[track_caller]
    pub fn namespace_labelled(&self, prefix: &str, labels: &[(&str, &str)]) -> Namespace {
        let mut labels = labels.to_vec();
        if let Scope::Labelled(gate) = &self.scope {
            labels.push((LABEL, gate));
        }
        self.cluster.namespace_labelled(prefix, &labels)
    }

    /// Has this gate judge a namespace that exists already; returns when it does. What is in there predates it.
    #[track_caller]
    pub fn judge(&self, namespace: &Namespace) {
        let Scope::Labelled(gate) = &self.scope else {
            return;
        };
        let label = format!("{LABEL}={gate}");
        self.cluster
            .kubectl()
            .run(&["label", "namespace", &namespace.name, &label])
            .expect_success();
        self.registration.await_judged(namespace);
    }

    /// The directory the gate reads its policies from; write here to test a reload.
    pub fn policies(&self) -> PathBuf {
        self.directory.join("policies")
    }

    /// What the gate has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts the process, again after [`Self::stop`] or [`Self::kill`] and on the same port; returns when it is ready.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the gate is running already");
        let mut command = supervised(&self.cluster.podgate);
        command.args(&self.arguments);
        let file = self.log_file();
        let mut process =
            Supervised::spawn_logged(&mut command, &file).expect("podgate can be started");

        let deadline = Instant::now() + READY_LIMIT;
        while get(self.admin, "/readyz").is_none_or(|(status, _)| status != 200) {
            if let Some(status) = process.ended().expect("the gate can be waited for") {
                panic!("podgate serve ended ({status}):\n{}", tail(&file));
            }
            let in_time = Instant::now() < deadline;
            assert!(
                in_time,
                "podgate serve is not ready after {READY_LIMIT:?}:\n{}",
                tail(&file)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }

    /// Asks the gate to end (SIGTERM), as the kubelet does, and waits until it has drained.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the gate is running");
        process.signal("TERM").expect("the gate can be signalled");
        let status = process
            .wait(STOP_LIMIT)
            .expect("the gate can be waited for");
        assert!(
            status.is_some(),
            "podgate serve did not end within {STOP_LIMIT:?}:\n{}",
            tail(&self.log_file())
        );
    }

    /// Ends the gate as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Status and body of a page on the gate's second port: `/readyz?verbose`, `/metrics`.
    #[track_caller]
    pub fn admin(&self, path: &str) -> (u16, String) {
        get(self.admin, path)
            .unwrap_or_else(|| panic!("no answer to {path}; the gate's log:\n{}", self.log()))
    }

    /// Where it logs, across restarts.
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("podgate.log")
    }
}

/// A plain HTTP GET on loopback; `None` while nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
