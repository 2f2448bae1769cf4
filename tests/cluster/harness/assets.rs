//! The three programs of a control plane: etcd, kube-apiserver and kubectl; and three more where Pods are to run.
//!
//! `KUBEBUILDER_ASSETS` names a directory that has them (the envtest convention). Otherwise Go builds them once from
//! the modules pinned in `tests/cluster/go.mod`; those for a node when a node is asked for, and not before.

use std::{env, path::PathBuf};

use super::go_module::{BuildError, GoModule};

const CONTROL_PLANE: GoModule = GoModule {
    directory: "tests/cluster",
    packages: &[
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    what: "etcd, and kube-apiserver and kubectl of Kubernetes",
    takes: "about seven minutes on two cores",
    version_of: "k8s.io/kubernetes",
    stamp,
    renamed: Some(("server", "etcd")),
    programs: &["etcd", "kube-apiserver", "kubectl"],
};

const NODE: GoModule = GoModule {
    packages: &[
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubelet",
    ],
    what: "kubelet, kube-scheduler and kube-controller-manager of Kubernetes",
    takes: "about three minutes more",
    renamed: None,
    programs: &["kube-controller-manager", "kube-scheduler", "kubelet"],
    ..CONTROL_PLANE
};

/// Paths of the three programs of a control plane.
#[derive(Debug)]
pub struct Assets {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kubectl: PathBuf,
}

/// Paths of the programs without which nothing runs: who makes the Pods, who places them, who starts them.
#[derive(Debug)]
pub struct NodeAssets {
    pub kube_controller_manager: PathBuf,
    pub kube_scheduler: PathBuf,
    pub kubelet: PathBuf,
}

// === impl Assets ===

impl Assets {
    /// Finds the programs, building them first if need be.
    pub fn locate() -> Result<Self, BuildError> {
        let directory = locate(&CONTROL_PLANE)?;
        Ok(Self {
            etcd: directory.join("etcd"),
            kube_apiserver: directory.join("kube-apiserver"),
            kubectl: directory.join("kubectl"),
        })
    }
}

// === impl NodeAssets ===

impl NodeAssets {
    /// Finds the programs, building them first if need be.
    pub fn locate() -> Result<Self, BuildError> {
        let directory = locate(&NODE)?;
        Ok(Self {
            kube_controller_manager: directory.join("kube-controller-manager"),
            kube_scheduler: directory.join("kube-scheduler"),
            kubelet: directory.join("kubelet"),
        })
    }
}

/// The directory that has all programs.
fn locate(module: &GoModule) -> Result<PathBuf, BuildError> {
    let Some(directory) = env::var_os("KUBEBUILDER_ASSETS").filter(|it| !it.is_empty()) else {
        return module.locate();
    };
    let directory = PathBuf::from(directory);
    match module.missing(&directory) {
        Some(path) => Err(BuildError::Missing(path)),
        None => Ok(directory),
    }
}

/// Unstamped, the server reports a template as its version and no client can parse it.
fn stamp(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let stamp = "-X k8s.io/component-base/version";
    format!("{stamp}.gitVersion={version} {stamp}.gitMajor={major} {stamp}.gitMinor={minor}")
}
