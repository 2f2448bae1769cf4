//! The levels of the Pod Security Standards by version, as presets over the controls.
//!
//! Mirrors the checks of `k8s.io/pod-security-admission` v0.37. What a level asks changed with Kubernetes 1.8, 1.19,
//! 1.22, 1.23, 1.25, 1.27, 1.29, 1.31, 1.32, 1.34, 1.35 and 1.37; every other version is as the one before it.

use std::fmt;
use std::str::FromStr;

use crate::control::AnyControl;
use crate::control::allow_privilege_escalation::AllowPrivilegeEscalation;
use crate::control::app_armor::AppArmor;
use crate::control::capabilities::Capabilities;
use crate::control::host_namespaces::HostNamespaces;
use crate::control::host_ports::HostPorts;
use crate::control::privileged::Privileged;
use crate::control::probe_hosts::ProbeHosts;
use crate::control::proc_mount::ProcMount;
use crate::control::run_as_non_root::RunAsNonRoot;
use crate::control::run_as_user::RunAsUser;
use crate::control::se_linux::SeLinux;
use crate::control::seccomp::{LegacyAnnotations, Seccomp};
use crate::control::sysctls::{SAFE, Sysctls};
use crate::control::volumes::Volumes;
use crate::control::windows_host_process::WindowsHostProcess;

/// The newest minor version of Kubernetes whose levels are known.
const NEWEST: u32 = 37;

/// The capabilities that baseline lets a container add.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The volume types that restricted allows.
const RESTRICTED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The SELinux types that baseline lets a Pod set.
const SELINUX_TYPES: [&str; 3] = ["container_t", "container_init_t", "container_kvm_t"];
/// The one that v1.31 added.
const SELINUX_ENGINE: &str = "container_engine_t";

/// By version: how many of [`SAFE`] are on its list.
const SYSCTLS: [(u32, usize); 5] = [(0, 5), (27, 6), (29, 10), (32, 12), (37, 14)];

/// A level that asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Prevents known privilege escalations.
    Baseline,
    /// Current hardening best practice.
    Restricted,
}

// === impl Level ===

impl Level {
    /// As people and labels write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A version of the Pod Security Standards: `latest` or `v1.N`. One that is newer than podgate is the newest it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32);

/// A text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"latest\" or \"v1.x\"")]
pub struct NoVersion;

/// The controls of a level.
#[must_use]
pub fn controls(level: Level, version: Version) -> Vec<AnyControl> {
    let is_restricted = level == Level::Restricted;
    let since = |minor| version.is_since(minor);
    let mut controls = vec![
        AnyControl::Privileged(Privileged),
        AnyControl::HostNamespaces(HostNamespaces::default()),
        AnyControl::HostPorts(HostPorts::default()),
        AnyControl::Sysctls(sysctls(version)),
        AnyControl::WindowsHostProcess(WindowsHostProcess),
        AnyControl::ProcMount(ProcMount {
            relax_in_user_namespace: since(35) && !is_restricted,
            ..ProcMount::default()
        }),
        AnyControl::Seccomp(seccomp(level, version)),
        AnyControl::AppArmor(AppArmor::default()),
        AnyControl::SeLinux(se_linux(version)),
        AnyControl::Capabilities(capabilities(level, version)),
        AnyControl::Volumes(volumes(level)),
    ];
    if since(34) {
        controls.push(AnyControl::ProbeHosts(ProbeHosts::default()));
    }
    if is_restricted {
        controls.push(AnyControl::RunAsNonRoot(RunAsNonRoot {
            accept_run_as_user: false,
            relax_in_user_namespace: since(35),
        }));
    }
    if is_restricted && since(8) {
        controls.push(AnyControl::AllowPrivilegeEscalation(
            AllowPrivilegeEscalation {
                skip_windows: since(25),
            },
        ));
    }
    if is_restricted && since(23) {
        controls.push(AnyControl::RunAsUser(RunAsUser {
            forbid_root: true,
            relax_in_user_namespace: since(35),
            ..RunAsUser::default()
        }));
    }
    controls
}

/// The controls of a level as Pod Security Admission has them, which differ in two things: it does not see a volume
/// source that it does not know unless the level lists what is allowed, and it compares sysctls letter by letter.
#[must_use]
pub fn pod_security(level: Level, version: Version) -> Vec<AnyControl> {
    let mut controls = controls(level, version);
    for control in &mut controls {
        match control {
            AnyControl::Volumes(it) => it.allow_unknown = level == Level::Baseline,
            AnyControl::Sysctls(it) => it.literal = true,
            _ => {}
        }
    }
    controls
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn sysctls(version: Version) -> Sysctls {
    let known = SYSCTLS
        .iter()
        .rev()
        .find(|(minor, _)| version.is_since(*minor));
    let count = known.map_or(SAFE.len(), |(_, count)| *count);
    Sysctls {
        allowed: owned(&SAFE[..count]),
        ..Sysctls::default()
    }
}

fn seccomp(level: Level, version: Version) -> Seccomp {
    if !version.is_since(19) {
        return Seccomp {
            legacy_annotations: LegacyAnnotations::Only,
            skip_windows: false,
            ..Seccomp::default()
        };
    }
    Seccomp {
        required: level == Level::Restricted,
        skip_windows: level == Level::Restricted && version.is_since(25),
        ..Seccomp::default()
    }
}

fn se_linux(version: Version) -> SeLinux {
    let mut types = owned(&SELINUX_TYPES);
    if version.is_since(31) {
        types.push(SELINUX_ENGINE.to_owned());
    }
    SeLinux {
        allowed_types: Some(types),
        allow_user: false,
        allow_role: false,
        must: None,
    }
}

fn capabilities(level: Level, version: Version) -> Capabilities {
    if level == Level::Restricted && version.is_since(22) {
        Capabilities {
            required_drop: owned(&["ALL"]),
            allowed_add: Some(owned(&["NET_BIND_SERVICE"])),
            skip_windows: version.is_since(25),
        }
    } else {
        Capabilities {
            required_drop: Vec::new(),
            allowed_add: Some(owned(&BASELINE_CAPABILITIES)),
            skip_windows: false,
        }
    }
}

fn volumes(level: Level) -> Volumes {
    match level {
        Level::Baseline => Volumes {
            forbidden: vec!["hostPath"],
            ..Volumes::default()
        },
        Level::Restricted => Volumes {
            allowed: Some(RESTRICTED_VOLUMES.to_vec()),
            ..Volumes::default()
        },
    }
}

// === impl Version ===

impl Version {
    /// The newest one that podgate knows.
    pub const LATEST: Self = Self(NEWEST);

    /// Every version that podgate knows, from v1.0 on.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=NEWEST).map(Self)
    }

    /// v1.`minor`, or the newest that podgate knows.
    #[must_use]
    pub fn of_minor(minor: i64) -> Self {
        Self(u32::try_from(minor).unwrap_or(u32::MAX).min(NEWEST))
    }

    /// True if podgate knows v1.`minor`.
    #[must_use]
    pub fn is_known(minor: i64) -> bool {
        u32::try_from(minor).is_ok_and(|minor| minor <= NEWEST)
    }

    /// The minor version of Kubernetes.
    #[must_use]
    pub fn minor(self) -> usize {
        self.0 as usize
    }

    /// True if it is v1.`minor` or newer.
    #[must_use]
    pub fn is_since(self, minor: u32) -> bool {
        self.0 >= minor
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let digits = text.strip_prefix("v1.").ok_or(NoVersion)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || !is_number || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(NoVersion);
        }
        // More digits than fit: newer than anything.
        let minor: u32 = digits.parse().unwrap_or(u32::MAX);
        Ok(Self(minor.min(NEWEST)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_is_latest_or_a_minor_of_kubernetes_1() {
        assert_eq!(version("latest"), Version::LATEST);
        assert_eq!(version("v1.0"), Version(0));
        assert_eq!(version("v1.24").to_string(), "v1.24");
        assert_eq!(version("v1.99"), Version::LATEST);
        assert_eq!(version("v1.99999999999999999999"), Version::LATEST);
        for text in [
            "", "1.24", "v1", "v1.", "v1.07", "v1.-1", "v1.+1", "v2.0", "v1.2.3", " latest",
            "Latest",
        ] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text:?}");
        }
    }

    /// The versions from which on a level is not what it was before.
    fn changes(level: Level) -> Vec<u32> {
        (1..=NEWEST)
            .filter(|&minor| controls(level, Version(minor)) != controls(level, Version(minor - 1)))
            .collect()
    }

    #[test]
    fn levels_change_with_the_versions_of_the_standard() {
        assert_eq!(changes(Level::Baseline), [19, 27, 29, 31, 32, 34, 35, 37]);
        assert_eq!(
            changes(Level::Restricted),
            [8, 19, 22, 23, 25, 27, 29, 31, 32, 34, 35, 37]
        );
    }

    #[test]
    fn restricted_asks_for_all_that_baseline_asks_for() {
        for minor in 0..=NEWEST {
            let names = |level| -> Vec<&str> {
                controls(level, Version(minor))
                    .iter()
                    .map(AnyControl::name)
                    .collect()
            };
            let restricted = names(Level::Restricted);
            assert!(
                names(Level::Baseline)
                    .iter()
                    .all(|it| restricted.contains(it)),
                "v1.{minor}"
            );
        }
    }
}
