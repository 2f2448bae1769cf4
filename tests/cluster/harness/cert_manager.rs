//! cert-manager's own controllers, which Go builds once from the module pinned in `tests/cert-manager/go.mod`.

use std::{path::PathBuf, sync::OnceLock};

use super::{
    Cluster, chain,
    go_module::{BuildError, GoModule},
    in_ci,
    process::{Supervised, supervised},
    skip,
};

const CERT_MANAGER: GoModule = GoModule {
    directory: "tests/cert-manager",
    packages: &["."],
    what: "cert-manager",
    takes: "about five minutes on two cores",
    version_of: "github.com/cert-manager/cert-manager",
    stamp,
    renamed: None,
    programs: &["cert-manager"],
};

/// Installs cert-manager's CRDs and runs its controllers until the result is dropped; `None`, with a notice, where there
/// is no Go to build them with.
///
/// # Panics
/// Where they cannot be built although there is, and wherever `CI` is set.
#[track_caller]
pub fn cert_manager(cluster: &Cluster) -> Option<Supervised> {
    static FOUND: OnceLock<Result<[PathBuf; 2], BuildError>> = OnceLock::new();
    let build = || Ok([CERT_MANAGER.locate()?, CERT_MANAGER.sources()?]);
    let [programs, sources] = match FOUND.get_or_init(build) {
        Ok(found) => found,
        Err(reason @ BuildError::NoGo(_)) if !in_ci() => {
            skip(&reason.to_string());
            return None;
        }
        Err(error) => panic!("no cert-manager: {}", chain(error)),
    };
    let kubectl = cluster.kubectl();
    let definitions = sources.join("deploy/crds");
    let definitions = definitions.to_string_lossy();
    // Larger than what `kubectl apply` can note on them.
    kubectl
        .run(&["apply", "--server-side", "-f", &definitions])
        .expect_success();
    kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "customresourcedefinition",
            "--all",
        ])
        .expect_success();
    let mut command = supervised(programs.join("cert-manager"));
    command.arg(&kubectl.kubeconfig);
    let log = cluster.directory.join("cert-manager.log");
    Some(Supervised::spawn_logged(&mut command, &log).expect("cert-manager starts"))
}

/// It reports no version that anything here looks at.
fn stamp(_: &str) -> String {
    String::new()
}
