//! Running this binary again inside namespaces of its own, where it may mount, route and start what it likes.
//!
//! They end with the outer process, however it ends: the kernel kills `unshare`, which it told us to (`--pdeathsig`),
//! then its first process, and with that one all others. Mounts and interfaces go with the namespaces. What they do
//! not hold, a directory and cgroups, is taken away by `sweep.sh`, which lives a moment longer than any of them.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use tempfile::TempDir;

use super::image::{self, ImageError};
use crate::{
    Test,
    cluster::harness::{
        Supervised,
        assets::{Assets, NodeAssets},
        await_until,
        go_module::BuildError,
        say,
    },
};

pub const TESTS: &[Test] = &[
    (
        "namespaces::have_no_way_out_to_a_network",
        have_no_way_out_to_a_network,
    ),
    (
        "namespaces::that_are_killed_leave_nothing_behind",
        that_are_killed_leave_nothing_behind,
    ),
];

/// Where the inner process finds what the outer one made; that it is set says which of them this is.
const DIRECTORY: &str = "PODGATE_NODE_DIRECTORY";

/// The name of the cgroup under which all Pods of the run are.
const CGROUP: &str = "PODGATE_NODE_CGROUP";

/// Set for a run that is to be killed: see [`stay`].
const STAY: &str = "PODGATE_NODE_STAY";

/// Programs that Debian has packages of, and `cc`, which whoever builds podgate has.
const PROGRAMS: [&str; 8] = [
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "ip",
    "setpriv",
    "unshare",
    "cc",
];

/// Where Debian puts the CNI plugins, which are on nobody's PATH.
pub const CNI: &str = "/usr/lib/cni";

/// Why this machine runs no Pods.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("only root may make the namespaces and cgroups that containers need")]
    NotRoot,
    #[error(
        "{0} is missing: install Debian's containerd, runc, containernetworking-plugins and iproute2 (tests/node/packages.sh)"
    )]
    Missing(String),
    #[error("this machine makes no namespaces: {0}")]
    NoNamespaces(String),
    #[error(transparent)]
    Assets(#[from] BuildError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("cannot prepare what goes inside: {0}")]
    Io(#[from] io::Error),
}

/// What the outer process made for the inner one.
pub struct Inside {
    /// Empty at first, and in memory.
    pub directory: PathBuf,
    pub images: PathBuf,
    pub cgroup: String,
}

// === impl Refusal ===

impl Refusal {
    /// True if the machine is as it is, and nothing is broken.
    pub fn is_excuse(&self) -> bool {
        match self {
            Self::NotRoot | Self::Missing(_) | Self::NoNamespaces(_) => true,
            // A directory of somebody's own need not have the programs of a node.
            Self::Assets(error) => {
                matches!(error, BuildError::NoGo(_) | BuildError::Missing(_))
            }
            Self::Image(_) | Self::Io(_) => false,
        }
    }
}

// === impl Inside ===

impl Inside {
    /// Where we are, if we are inside.
    pub fn locate() -> Option<Self> {
        let outer = PathBuf::from(env::var_os(DIRECTORY)?);
        Some(Self {
            directory: outer.join("inside"),
            images: outer.join("images"),
            cgroup: env::var(CGROUP).ok()?,
        })
    }
}

pub fn is_inside() -> bool {
    Inside::locate().is_some()
}

/// Does what Pods do that outlives namespaces, says so, and waits to be killed, if this run was started for that.
pub fn stay() {
    let (Some(inside), true) = (Inside::locate(), env::var_os(STAY).is_some()) else {
        return;
    };
    for cgroup in cgroups(&inside.cgroup) {
        let pod = cgroup.join("pod");
        fs::create_dir(&pod).expect("a cgroup can be made");
        // One that has no processors yet takes nobody.
        let _ = fs::write(pod.join("cgroup.procs"), std::process::id().to_string());
    }
    println!("{}", inside.cgroup);
    loop {
        thread::park();
    }
}

/// Runs this binary inside, with its own arguments, and returns how that ended.
pub fn run_inside() -> Result<ExitCode, Refusal> {
    check_machine()?;
    // Inside there is no network to build anything from.
    Assets::locate()?;
    NodeAssets::locate()?;

    let outer = TempDir::with_prefix("podgate-node-")?.keep();
    let cgroup = outer.file_name().unwrap_or_default();
    let cgroup = cgroup.to_string_lossy().into_owned();
    let sweeper = sweep_at_exit(&outer, &cgroup)?;
    fs::create_dir(outer.join("inside"))?;
    make_cgroups(&cgroup)?;
    if env::var_os(STAY).is_none() {
        image::build_all(&outer.join("images"))?;
    }

    let status = unshare("--kill-child")
        .args(["--mount-proc", "--", "bash"])
        .arg(source("namespaces.sh"))
        .arg(outer.join("inside"))
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(DIRECTORY, &outer)
        .env(CGROUP, &cgroup)
        .stdin(Stdio::null())
        .status()?;
    // Waits until nothing is left.
    drop(sweeper);
    Ok(match status.code().and_then(|it| u8::try_from(it).ok()) {
        Some(code) => code.into(),
        None => ExitCode::FAILURE,
    })
}

/// A file of `tests/node`.
pub fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/node")
        .join(file)
}

fn check_machine() -> Result<(), Refusal> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Err(Refusal::NotRoot);
    }
    if missing().is_some() {
        say("Installing the packages that run Pods, once.");
        // Whatever comes of it, what is still missing says it better.
        let _ = Command::new("sh").arg(source("packages.sh")).status()?;
    }
    if let Some(program) = missing() {
        return Err(Refusal::Missing(program));
    }
    let attempt = unshare("--mount-proc").arg("true").output()?;
    if attempt.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&attempt.stderr);
        Err(Refusal::NoNamespaces(said.trim().to_owned()))
    }
}

/// The first program that is not there.
fn missing() -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| env::split_paths(&path).any(|it| it.join(name).is_file());
    let program = PROGRAMS.into_iter().find(|name| !on_path(name));
    let plugins = ["host-local", "loopback", "ptp"].map(|name| Path::new(CNI).join(name));
    let plugin = plugins.into_iter().find(|it| !it.is_file());
    program
        .map(str::to_owned)
        .or_else(|| plugin.map(|it| it.display().to_string()))
}

/// A command that runs its arguments in new namespaces, which do not outlive this process.
fn unshare(option: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid"])
        .args(["--net", "--ipc", "--uts", "--fork", option]);
    command
}

/// The kubelet wants to find them.
fn make_cgroups(name: &str) -> io::Result<()> {
    cgroups(name).iter().try_for_each(fs::create_dir)
}

/// Where cgroups of this name are: one in every hierarchy, if there are several.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.join(name)];
    }
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
    hierarchies
        // Some are links to others.
        .filter(|it| it.file_type().is_ok_and(|it| it.is_dir()))
        .map(|it| it.path().join(name))
        .collect()
}

fn sweep_at_exit(directory: &Path, cgroup: &str) -> io::Result<Supervised> {
    let mut command = Command::new("sh");
    command
        .arg(source("sweep.sh"))
        .arg(directory)
        .arg(cgroup)
        .stdout(Stdio::null());
    Supervised::spawn(&mut command)
}

fn have_no_way_out_to_a_network() {
    let ip = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output();
        String::from_utf8_lossy(&output.expect("ip can be started").stdout).into_owned()
    };
    // All that is there are loopback and pairs of which both ends are in here or in a Pod.
    for link in ip(&["-oneline", "-details", "link"]).lines() {
        assert!(
            link.contains(" veth ") || link.contains("loopback"),
            "{link}"
        );
    }
    let routes = ip(&["-4", "route"]);
    let default = routes.lines().find(|it| it.starts_with("default"));
    assert_eq!(default.map(str::trim), Some("default dev eth0 scope link"));
}

fn that_are_killed_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Command::new(env::current_exe().unwrap())
        .args(["--exact", TESTS[1].0])
        .env("TMPDIR", directory.path())
        .env(STAY, "yes")
        .env_remove(DIRECTORY)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut cgroup = String::new();
    let mut stdout = BufReader::new(run.stdout.take().unwrap());
    stdout.read_line(&mut cgroup).unwrap();
    let cgroup = cgroup.trim_end();
    let left = || {
        let files = fs::read_dir(directory.path()).unwrap().count();
        let cgroups = cgroups(cgroup);
        let processes = processes_with(directory.path());
        (
            files,
            cgroups.iter().filter(|it| it.exists()).count(),
            processes,
        )
    };
    let (files, made, processes) = left();
    assert!(files > 0 && made > 0 && processes > 0, "it never ran");

    run.kill().unwrap();
    run.wait().unwrap();

    await_until("nothing is left", || left() == (0, 0, 0));
}

/// How many processes were started with this path among their arguments.
fn processes_with(path: &Path) -> usize {
    let path = path.to_string_lossy();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|it| fs::read(it.path().join("cmdline")).ok())
        .filter(|it| String::from_utf8_lossy(it).contains(&*path))
        .count()
}
