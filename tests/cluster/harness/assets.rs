//! The three programs of a control plane: etcd, kube-apiserver and kubectl.
//!
//! `KUBEBUILDER_ASSETS` names a directory that has them (the envtest convention). Otherwise Go builds them once from
//! the modules pinned in `tests/cluster/go.mod`.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::go_module::{BuildError, GoModule};

const CONTROL_PLANE: GoModule = GoModule {
    directory: "tests/cluster",
    package: "tool",
    what: "etcd, and kube-apiserver and kubectl of Kubernetes",
    takes: "about seven minutes on two cores",
    version_of: "k8s.io/kubernetes",
    stamp,
    renamed: Some(("server", "etcd")),
    programs: &["etcd", "kube-apiserver", "kubectl"],
};

/// Paths of the three programs.
#[derive(Debug)]
pub struct Assets {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kubectl: PathBuf,
}

// === impl Assets ===

impl Assets {
    /// Finds the programs, building them first if need be.
    pub fn locate() -> Result<Self, BuildError> {
        match env::var_os("KUBEBUILDER_ASSETS").filter(|it| !it.is_empty()) {
            Some(directory) => Self::within(Path::new(&directory)),
            None => Self::within(&CONTROL_PLANE.locate()?),
        }
    }

    fn within(directory: &Path) -> Result<Self, BuildError> {
        match CONTROL_PLANE.missing(directory) {
            Some(path) => Err(BuildError::Missing(path)),
            None => Ok(Self {
                etcd: directory.join("etcd"),
                kube_apiserver: directory.join("kube-apiserver"),
                kubectl: directory.join("kubectl"),
            }),
        }
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
