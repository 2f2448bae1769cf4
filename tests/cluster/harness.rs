//! A real control plane for tests: etcd, kube-apiserver, kubectl, and gates registered with it as in production.
//!
//! ```ignore
//! let Some(cluster) = cluster() else { return };
//! let gate = cluster.gate("restricted").policies_from("policies").start();
//! let namespace = gate.namespace("privileged");
//! namespace.apply(POD).expect_failure().expect_stderr("privileged");
//! ```
//!
//! One control plane serves all tests of a run and ends with the process, however that ends. Every test makes its own
//! namespaces, and its own gate where it needs its own policies.

pub mod assets;
mod cert_manager;
pub mod control_plane;
mod crowd;
mod deployed;
mod gate;
pub mod go_module;
mod helm;
mod kubectl;
mod namespace;
pub mod pki;
pub mod process;
mod registration;

use std::{
    env,
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use self::{
    assets::Assets,
    control_plane::{ControlPlane, Exposure, StartError},
    go_module::BuildError,
};
pub use self::{
    cert_manager::cert_manager,
    deployed::Deployed,
    gate::{Gate, GateBuilder, SERVICE_ACCOUNT, get},
    go_module::say,
    helm::{Helm, helm},
    kubectl::{Kubectl, Output},
    namespace::{Namespace, default_service_account, random_name},
    process::{Supervised, supervised, supervised_from},
    registration::LABEL,
};

/// Where cargo put the binary under test; an example is built without it and is the gate itself.
const PODGATE: Option<&str> = option_env!("CARGO_BIN_EXE_podgate");

/// What the cluster tells the gate arrives within milliseconds.
const AWAIT_LIMIT: Duration = Duration::from_secs(20);

/// A running control plane with podgate's namespace and rights in it.
pub struct Cluster {
    control_plane: ControlPlane,
    /// The program that is started as `podgate serve`.
    podgate: PathBuf,
    /// Everything that this run writes.
    directory: PathBuf,
    _sweeper: Supervised,
}

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Assets(#[from] BuildError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot make a directory for the control plane")]
    Io(#[from] std::io::Error),
    #[error("the control plane refused podgate's namespace and rights\n{0}")]
    Install(String),
}

/// The control plane that all tests of this run share.
///
/// `None` means that this machine cannot have one; the reason has been printed, and the test is to return.
///
/// # Panics
/// Where it could have one but it does not start, and wherever `CI` is set: there, nothing is skipped.
#[track_caller]
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, ClusterError>> = OnceLock::new();
    cluster_in(&CLUSTER)
}

/// As [`cluster`], for tests that would be in the way of others: they share the control plane that is kept there.
#[track_caller]
pub fn cluster_in(
    kept: &'static OnceLock<Result<Cluster, ClusterError>>,
) -> Option<&'static Cluster> {
    usable(kept.get_or_init(Cluster::start))
}

/// A control plane in which nothing of podgate is yet, for tests that install it: all of them share it, one at a time.
///
/// # Panics
/// As [`cluster`].
#[track_caller]
pub fn empty_cluster() -> Option<(&'static Cluster, MutexGuard<'static, ()>)> {
    static CLUSTER: OnceLock<Result<Cluster, ClusterError>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let cluster = usable(CLUSTER.get_or_init(Cluster::start_empty))?;
    // A test that failed in its turn has said so.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Some((cluster, turn))
}

#[track_caller]
fn usable(started: &'static Result<Cluster, ClusterError>) -> Option<&'static Cluster> {
    match started {
        Ok(cluster) => Some(cluster),
        Err(ClusterError::Assets(reason @ BuildError::NoGo(_))) if !in_ci() => {
            skip(&format!(
                "{reason}, nor KUBEBUILDER_ASSETS (a directory with them)"
            ));
            None
        }
        Err(error) => panic!("no control plane: {}", chain(error)),
    }
}

/// Says that the test of this thread was skipped, and why.
fn skip(reason: &str) {
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    say(&format!("skipped {name}: {reason}"));
}

// === impl Cluster ===

impl Cluster {
    /// Starts a control plane of one's own; tests share one through [`cluster`].
    pub fn start() -> Result<Self, ClusterError> {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with further arguments for kube-apiserver.
    pub fn start_with(further: &[&str]) -> Result<Self, ClusterError> {
        let cluster = Self::start_exposed(&Exposure {
            further,
            ..Exposure::LOOPBACK
        })?;
        cluster.install()?;
        Ok(cluster)
    }

    /// As [`Self::start`], without anything of podgate in it.
    fn start_empty() -> Result<Self, ClusterError> {
        Self::start_exposed(&Exposure::LOOPBACK)
    }

    fn start_exposed(exposure: &Exposure<'_>) -> Result<Self, ClusterError> {
        let assets = Assets::locate()?;
        let directory = TempDir::with_prefix("podgate-cluster-")?.keep();
        let sweeper = process::remove_at_exit(&directory)?;
        let control_plane = ControlPlane::start(&assets, &directory, exposure)?;
        let podgate = match PODGATE {
            Some(path) => path.into(),
            None => env::current_exe()?,
        };
        Ok(Self {
            control_plane,
            podgate,
            directory,
            _sweeper: sweeper,
        })
    }

    /// Creates what a gate needs in the cluster, as written in `manifests/`, and makes `default` usable.
    fn install(&self) -> Result<(), ClusterError> {
        let arguments = [
            "create",
            "-f",
            "manifests/base/gate/namespace.yaml",
            "-f",
            "manifests/base/gate/rbac.yaml",
            "-f",
            "manifests/base/gate/rbac-certificates.yaml",
            "-f",
            "manifests/base/gate/rbac-events.yaml",
            "-f",
            "-",
        ];
        let installed = self
            .kubectl()
            .run_with_input(&arguments, &default_service_account("default").to_string());
        if installed.succeeded() {
            Ok(())
        } else {
            Err(ClusterError::Install(installed.to_string()))
        }
    }

    /// kubectl as an administrator, in no particular namespace.
    pub fn kubectl(&self) -> &Kubectl {
        &self.control_plane.kubectl
    }

    /// The authority of the control plane and of its gates, as PEM.
    pub fn authority(&self) -> String {
        self.control_plane.authority.certificate()
    }

    /// Where the API server is.
    pub fn url(&self) -> &str {
        &self.control_plane.url
    }

    /// A new namespace that no gate judges, except one that judges them all.
    #[track_caller]
    pub fn namespace(&self, prefix: &str) -> Namespace {
        self.namespace_labelled(prefix, &[])
    }

    /// A new namespace of exactly this name.
    #[track_caller]
    pub fn namespace_named(&self, name: &str) -> Namespace {
        Namespace::named(self.kubectl(), &self.control_plane.audit_log, name, &[])
    }

    /// As [`Self::namespace`], with labels.
    #[track_caller]
    pub fn namespace_labelled(&self, prefix: &str, labels: &[(&str, &str)]) -> Namespace {
        Namespace::create(
            self.kubectl(),
            &self.control_plane.audit_log,
            prefix,
            labels,
        )
    }

    /// podgate as its Deployment in the cluster says; `None`, with a notice, where this user may not.
    #[track_caller]
    pub fn deployed(&self) -> Option<Deployed<'_>> {
        Deployed::new(self)
    }

    /// A gate to be given policies and started.
    pub fn gate(&self, prefix: &str) -> GateBuilder<'_> {
        GateBuilder::new(self, prefix)
    }
}

/// Returns when something holds that the API server has yet to tell somebody about.
#[track_caller]
pub fn await_until(what: &str, holds: impl FnMut() -> bool) {
    await_within(AWAIT_LIMIT, what, holds);
}

/// As [`await_until`], for what takes its time.
#[track_caller]
pub fn await_within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        let in_time = Instant::now() < deadline;
        assert!(in_time, "not after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|it| !it.is_empty() && it != "false")
}

/// An error with its causes, one a line.
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |it| it.source())
        .fold(error.to_string(), |text, cause| format!("{text}\n{cause}"))
}
