//! The three programs of a control plane: etcd, kube-apiserver and kubectl; and three more where Pods are to run.
//!
//! `KUBEBUILDER_ASSETS` names a directory that has them (the envtest convention). Otherwise Go builds them once from
//! the modules pinned in `tests/cluster/go.mod`, and the user's cache directory keeps them under a hash of `go.mod`
//! and `go.sum`, so that neither a fresh clone nor `cargo clean` builds them again. Those for a node are built when a
//! node is asked for, and not before.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::process::{Supervised, supervised};

/// Where `go.mod` is.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");

/// How often the build says where it is: often enough that nobody thinks it hangs.
const PROGRESS: Duration = Duration::from_secs(10);

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

/// What is built in one go.
struct Programs {
    /// What they are together, for whoever waits for them.
    what: &'static str,
    packages: &'static [&'static str],
    /// How long Go takes that has never built them.
    takes: &'static str,
}

const CONTROL_PLANE: Programs = Programs {
    what: "etcd, kube-apiserver and kubectl",
    packages: &[
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    takes: "about seven minutes",
};

const NODE: Programs = Programs {
    what: "kubelet, kube-scheduler and kube-controller-manager",
    packages: &[
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubelet",
    ],
    takes: "about three minutes more",
};

#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The machine cannot have a control plane: a reason to skip, not to fail.
    #[error(
        "there is neither KUBEBUILDER_ASSETS (a directory with etcd, kube-apiserver and kubectl) nor Go to build them with"
    )]
    NoGo,
    #[error("{0:?} is missing or not a file")]
    Missing(PathBuf),
    #[error("neither XDG_CACHE_HOME nor HOME is set, so the built programs could not be kept")]
    NoCacheDirectory,
    #[error("tests/cluster/go.mod does not require k8s.io/kubernetes")]
    NoVersion,
    #[error("Go could not build the control plane:\n{0}")]
    Build(String),
    #[error("cannot keep the control plane in the cache directory")]
    Io(#[from] io::Error),
}

// === impl Assets ===

impl Assets {
    /// Finds the programs, building them first if need be.
    pub fn locate() -> Result<Self, AssetsError> {
        locate(&CONTROL_PLANE, Self::within)
    }

    fn within(directory: &Path) -> Result<Self, AssetsError> {
        Ok(Self {
            etcd: find(directory, "etcd")?,
            kube_apiserver: find(directory, "kube-apiserver")?,
            kubectl: find(directory, "kubectl")?,
        })
    }
}

// === impl NodeAssets ===

impl NodeAssets {
    /// Finds the programs, building them first if need be.
    pub fn locate() -> Result<Self, AssetsError> {
        locate(&NODE, Self::within)
    }

    fn within(directory: &Path) -> Result<Self, AssetsError> {
        Ok(Self {
            kube_controller_manager: find(directory, "kube-controller-manager")?,
            kube_scheduler: find(directory, "kube-scheduler")?,
            kubelet: find(directory, "kubelet")?,
        })
    }
}

fn find(directory: &Path, name: &str) -> Result<PathBuf, AssetsError> {
    let path = directory.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(AssetsError::Missing(path))
    }
}

fn locate<T>(
    programs: &Programs,
    within: impl Fn(&Path) -> Result<T, AssetsError>,
) -> Result<T, AssetsError> {
    if let Some(directory) = env::var_os("KUBEBUILDER_ASSETS").filter(|it| !it.is_empty()) {
        return within(Path::new(&directory));
    }
    let (go_mod, go_sum) = (
        fs::read_to_string(in_module("go.mod"))?,
        fs::read_to_string(in_module("go.sum"))?,
    );
    let cache = cache_directory()?;
    let built = cache.join(format!(
        "{:016x}",
        fnv1a(&[go_mod.as_bytes(), go_sum.as_bytes()])
    ));
    if let Ok(found) = within(&built) {
        return Ok(found);
    }
    if Command::new("go").arg("version").output().is_err() {
        return Err(AssetsError::NoGo);
    }
    fs::create_dir_all(&cache)?;
    let lock = fs::File::create(cache.join("build.lock"))?;
    if lock.try_lock().is_err() {
        say("Another process is building parts of Kubernetes; waiting for it.");
        lock.lock()?;
    }
    // Whoever held the lock before us may have built just this.
    within(&built).or_else(|_| {
        build(programs, &built, &go_mod)?;
        within(&built)
    })
}

/// Builds beside `target` and moves what was built there at the end, so that an interrupted build leaves nothing that
/// looks complete. The caller holds the lock.
fn build(programs: &Programs, target: &Path, go_mod: &str) -> Result<(), AssetsError> {
    let version = kubernetes_version(go_mod).ok_or(AssetsError::NoVersion)?;
    let partial = target.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    let Programs { what, takes, .. } = programs;
    say(&format!(
        "Building {what} of Kubernetes {version} with Go into {}.\n\
         This happens once and takes {takes} on two cores, seconds if Go has built them before.",
        target.display()
    ));
    let started = Instant::now();
    go_build(programs, &partial, version, started)?;
    fs::create_dir_all(target)?;
    for program in fs::read_dir(&partial)? {
        let program = program?;
        let name = program.file_name();
        // The last part of etcd's package path.
        let name = if name == "server" {
            "etcd".into()
        } else {
            name
        };
        fs::rename(program.path(), target.join(name))?;
    }
    fs::remove_dir(&partial)?;
    say(&format!(
        "Built {what} in {} s.",
        started.elapsed().as_secs()
    ));
    Ok(())
}

fn go_build(
    programs: &Programs,
    output: &Path,
    version: &str,
    started: Instant,
) -> Result<(), AssetsError> {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    // Unstamped, the server reports a template as its version and no client can parse it.
    let stamp = "-X k8s.io/component-base/version";
    let flags = format!(
        "-s -w {stamp}.gitVersion={version} {stamp}.gitMajor={major} {stamp}.gitMinor={minor}"
    );
    let mut command = supervised("go");
    // Two packages at a time: more would take several GB.
    command
        .args([
            "build",
            "-v",
            "-p",
            "2",
            "-trimpath",
            "-ldflags",
            &flags,
            "-o",
        ])
        .arg(output)
        .args(programs.packages);
    command
        .current_dir(MODULE)
        .env("CGO_ENABLED", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut go = Supervised::spawn(&mut command)?;
    let stderr = go.take_stderr().expect("asked for a pipe");

    let (mut packages, mut other, mut next) = (0, Vec::new(), started + PROGRESS);
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if line.contains(' ') {
            // Not a package path: a download, or the compiler complaining.
            other.push(line.clone());
        } else {
            packages += 1;
        }
        if Instant::now() >= next {
            say(&format!(
                "{:>4} s, {packages} packages compiled, now {line}",
                started.elapsed().as_secs()
            ));
            next = Instant::now() + PROGRESS;
        }
    }
    match go.wait(Duration::from_mins(1))? {
        Some(status) if status.success() => Ok(()),
        _ => Err(AssetsError::Build(other.join("\n"))),
    }
}

/// The version in `k8s.io/kubernetes v1.37.2`.
fn kubernetes_version(go_mod: &str) -> Option<&str> {
    go_mod.lines().find_map(|line| {
        line.trim()
            .strip_prefix("k8s.io/kubernetes ")?
            .split_whitespace()
            .next()
    })
}

fn in_module(file: &str) -> PathBuf {
    Path::new(MODULE).join(file)
}

fn cache_directory() -> Result<PathBuf, AssetsError> {
    let set = |name| {
        env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base.ok_or(AssetsError::NoCacheDirectory)?.join("podgate"))
}

/// FNV-1a: the standard library promises no hash that is the same in its next version.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Writes to the real standard error: the print macros are captured while a test runs.
pub fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        drop(writeln!(stderr, "[cluster] {line}"));
    }
}
