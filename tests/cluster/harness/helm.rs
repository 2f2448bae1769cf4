//! The real Helm, which Go builds once from the module pinned in `tests/helm/go.mod`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::{
    Cluster, Output, chain,
    go_module::{BuildError, GoModule},
    in_ci, skip,
};

const HELM: GoModule = GoModule {
    directory: "tests/helm",
    packages: &["tool"],
    what: "helm",
    takes: "about three minutes on two cores",
    version_of: "helm.sh/helm/v4",
    stamp,
    renamed: None,
    programs: &["helm"],
};

/// helm towards one control plane, with nothing of the caller's own configuration.
pub struct Helm<'c> {
    program: PathBuf,
    cluster: &'c Cluster,
}

/// The real helm; `None`, with a notice, where there is no Go to build it with.
///
/// # Panics
/// Where it cannot be built although there is, and wherever `CI` is set.
#[track_caller]
pub fn helm(cluster: &Cluster) -> Option<Helm<'_>> {
    static HELM_DIRECTORY: OnceLock<Result<PathBuf, BuildError>> = OnceLock::new();
    match HELM_DIRECTORY.get_or_init(|| HELM.locate()) {
        Ok(directory) => Some(Helm {
            program: directory.join("helm"),
            cluster,
        }),
        Err(reason @ BuildError::NoGo(_)) if !in_ci() => {
            skip(&reason.to_string());
            None
        }
        Err(error) => panic!("no helm: {}", chain(error)),
    }
}

// === impl Helm ===

impl Helm<'_> {
    /// Where it is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs helm with these arguments at the top of the repository.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .env("KUBECONFIG", &self.cluster.kubectl().kubeconfig)
            // Its caches and repositories.
            .env("HELM_CACHE_HOME", self.cluster.directory.join("helm"))
            .env("HELM_CONFIG_HOME", self.cluster.directory.join("helm"))
            .env("HELM_DATA_HOME", self.cluster.directory.join("helm"))
            .stdin(Stdio::null())
            .output()
            .expect("helm starts");
        Output {
            command: format!("helm {}", arguments.join(" ")),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        }
    }
}

fn stamp(version: &str) -> String {
    format!("-X helm.sh/helm/v4/internal/version.version={version}")
}
