//! etcd and kube-apiserver on loopback, with free ports and keys of their own.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    assets::Assets,
    kubectl::Kubectl,
    pki::{Authority, Identity},
    process::{Supervised, supervised},
};

/// Starting takes two to five seconds; a machine this much slower than that has another problem.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Nobody has started on another port just after we found ours free: three times in a row that is no accident.
const ATTEMPTS: usize = 3;

/// What to audit: the annotations that webhooks attach to requests about Pods and workloads, not the bodies.
const AUDIT_POLICY: &str = r#"{
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "verbs": ["create", "update", "patch", "delete"], "resources": [
        {"group": "", "resources": ["pods", "pods/*", "podtemplates", "replicationcontrollers"]},
        {"group": "apps"}, {"group": "batch"}
    ]}, {"level": "None"}]
}"#;

/// Enough for the API server to answer what it was asked. It would also wait for watches, which take a minute.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A running control plane. Dropping it ends both processes.
pub struct ControlPlane {
    pub authority: Authority,
    /// Ours, as `system:masters`: RBAC does not apply to it, admission does.
    pub kubectl: Kubectl,
    pub url: String,
    pub audit_log: PathBuf,
    /// The key that the tokens of service accounts are signed with.
    pub token_key: PathBuf,
    kube_apiserver: Mutex<ApiServer>,
    _etcd: Supervised,
}

/// Where an API server listens and what it is told beyond what all of ours are.
pub struct Exposure<'a> {
    /// Port 0 is a free one.
    pub listen: SocketAddr,
    /// Where its clients find it, and what it tells Pods of the Service `kubernetes`.
    pub advertise: Ipv4Addr,
    pub service_range: &'static str,
    pub authorization: &'static str,
    /// Whom its certificate is for, beside loopback.
    pub names: &'static [&'static str],
    /// The kubelet client certificate is added where this is true: logs and exec need it.
    pub calls_kubelets: bool,
    pub further: &'a [&'a str],
}

impl Exposure<'static> {
    /// Nobody but this machine, and nobody routes to Services. On any other network a webhook that names one would be
    /// called out there.
    pub const LOOPBACK: Self = Self {
        listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        advertise: Ipv4Addr::LOCALHOST,
        service_range: "127.96.0.0/24",
        authorization: "RBAC",
        names: &[],
        calls_kubelets: false,
        further: &[],
    };
}

/// The process and all that it takes to start it again.
struct ApiServer {
    command: Command,
    process: Option<Supervised>,
    port: u16,
    log: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot write the keys of the control plane")]
    Keys(#[from] rcgen::Error),
    #[error("cannot write the files of the control plane or start it")]
    Io(#[from] io::Error),
    #[error("kube-apiserver was not ready after {START_LIMIT:?}; the end of its log:\n{0}")]
    NotReady(String),
    #[error("kube-apiserver ended; the end of its log:\n{0}")]
    Ended(String),
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts a control plane whose files are under `directory`, and returns when it answers.
    pub fn start(
        assets: &Assets,
        directory: &Path,
        exposure: &Exposure<'_>,
    ) -> Result<Self, StartError> {
        let mut attempt = 1;
        loop {
            let directory = directory.join(format!("attempt-{attempt}"));
            match Self::try_start(assets, &directory, exposure) {
                Err(StartError::Ended(_)) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    fn try_start(
        assets: &Assets,
        directory: &Path,
        exposure: &Exposure<'_>,
    ) -> Result<Self, StartError> {
        fs::create_dir_all(directory)?;
        let [etcd_client, etcd_peer, free] = free_ports()?;
        let port = match exposure.listen.port() {
            0 => free,
            port => port,
        };
        let url = format!("https://127.0.0.1:{port}");
        let authority = Authority::generate()?;

        let admin = authority.client("podgate-test", Some("system:masters"))?;
        let kubectl = Kubectl {
            program: assets.kubectl.clone(),
            kubeconfig: directory.join("kubeconfig"),
            cache: directory.join("kubectl-cache"),
        };
        fs::write(&kubectl.kubeconfig, authority.kubeconfig(&url, &admin))?;

        let etcd = start_etcd(&assets.etcd, directory, etcd_client, etcd_peer)?;
        let mut kube_apiserver = ApiServer {
            command: kube_apiserver(
                &assets.kube_apiserver,
                directory,
                &authority,
                etcd_client,
                port,
                exposure,
            )?,
            process: None,
            port,
            log: directory.join("kube-apiserver.log"),
        };
        kube_apiserver.start(&kubectl)?;
        Ok(Self {
            authority,
            kubectl,
            url,
            audit_log: directory.join("audit.log"),
            token_key: directory.join("sa.key"),
            kube_apiserver: Mutex::new(kube_apiserver),
            _etcd: etcd,
        })
    }

    /// Ends the API server as an upgrade does, starts it again, and returns when it answers.
    pub fn restart_kube_apiserver(&self) -> Result<(), StartError> {
        let mut server = self
            .kube_apiserver
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mut process) = server.process.take() {
            process.signal("TERM")?;
            process.wait(STOP_LIMIT)?;
        }
        server.start(&self.kubectl)
    }
}

// === impl ApiServer ===

impl ApiServer {
    fn start(&mut self, kubectl: &Kubectl) -> Result<(), StartError> {
        let mut process = Supervised::spawn_logged(&mut self.command, &self.log)?;
        await_ready(&mut process, kubectl, self.port, &self.log)?;
        self.process = Some(process);
        Ok(())
    }
}

fn start_etcd(program: &Path, directory: &Path, client: u16, peer: u16) -> io::Result<Supervised> {
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let mut etcd = supervised(program);
    etcd.arg("--data-dir").arg(directory.join("etcd")).args([
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // Nothing here outlives the run.
        "--unsafe-no-fsync".into(),
    ]);
    Supervised::spawn_logged(&mut etcd, &directory.join("etcd.log"))
}

fn kube_apiserver(
    program: &Path,
    directory: &Path,
    authority: &Authority,
    etcd: u16,
    port: u16,
    exposure: &Exposure<'_>,
) -> Result<Command, StartError> {
    let write = |name: &str, content: &str| -> io::Result<String> {
        let path = directory.join(name);
        fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
    let serving = authority.server(&[&names, exposure.names].concat())?;
    let tokens = rcgen::KeyPair::generate()?;
    let ca = write("ca.crt", &authority.certificate())?;

    let mut command = supervised(program);
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        // The default is every interface.
        format!("--bind-address={}", exposure.listen.ip()),
        format!("--secure-port={port}"),
        format!("--advertise-address={}", exposure.advertise),
        "--endpoint-reconciler-type=none".into(),
        format!("--service-cluster-ip-range={}", exposure.service_range),
        format!(
            "--tls-cert-file={}",
            write("apiserver.crt", &serving.certificate)?
        ),
        format!(
            "--tls-private-key-file={}",
            write("apiserver.key", &serving.key)?
        ),
        format!("--client-ca-file={ca}"),
        format!("--authorization-mode={}", exposure.authorization),
        "--anonymous-auth=false".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!(
            "--service-account-key-file={}",
            write("sa.pub", &tokens.public_key_pem())?
        ),
        format!(
            "--service-account-signing-key-file={}",
            write("sa.key", &tokens.serialize_pem())?
        ),
        // Without it validation refuses a privileged Pod before any webhook is asked.
        "--allow-privileged=true".into(),
        // podgate is what judges here. ServiceAccount stays: real Pods have its token volume.
        "--disable-admission-plugins=PodSecurity".into(),
        format!(
            "--audit-policy-file={}",
            write("audit-policy.json", AUDIT_POLICY)?
        ),
        format!("--audit-log-path={}", directory.join("audit.log").display()),
        // Written before the response, so that a test need not wait for it.
        "--audit-log-mode=blocking".into(),
    ]);
    if exposure.calls_kubelets {
        let client = authority.client("kube-apiserver", Some("system:masters"))?;
        let (certificate, key) = write_identity(&client, directory, "kubelet-client")?;
        command.args([
            format!("--kubelet-client-certificate={}", certificate.display()),
            format!("--kubelet-client-key={}", key.display()),
            format!("--kubelet-certificate-authority={ca}"),
            "--kubelet-preferred-address-types=InternalIP".into(),
        ]);
    }
    command.args(exposure.further);
    Ok(command)
}

fn await_ready(
    server: &mut Supervised,
    kubectl: &Kubectl,
    port: u16,
    log: &Path,
) -> Result<(), StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if server.ended()?.is_some() {
            return Err(StartError::Ended(tail(log)));
        }
        // A connection costs nothing, kubectl costs 50 ms of a core that the server needs.
        if TcpStream::connect(address).is_ok()
            && kubectl.run(&["get", "--raw", "/readyz"]).succeeded()
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(StartError::NotReady(tail(log)))
}

/// Ports that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// The last lines of a log file, for an error that has to be understood without the file.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Writes a certificate and its key beside each other; returns their paths.
pub fn write_identity(
    identity: &Identity,
    directory: &Path,
    name: &str,
) -> io::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (
        directory.join(format!("{name}.crt")),
        directory.join(format!("{name}.key")),
    );
    fs::write(&certificate, &identity.certificate)?;
    fs::write(&key, &identity.key)?;
    Ok((certificate, key))
}
