//! The levels of the Pod Security Standards, as presets over the controls.
//! Mirrors the checks of `k8s.io/pod-security-admission` v0.37 at their newest version.

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
use crate::control::seccomp::Seccomp;
use crate::control::sysctls::Sysctls;
use crate::control::volumes::Volumes;
use crate::control::windows_host_process::WindowsHostProcess;

/// What `version:` may say: the levels are those of Kubernetes 1.37.
pub const VERSIONS: [&str; 2] = ["latest", "v1.37"];

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
const SELINUX_TYPES: [&str; 4] = [
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

/// A level that asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Prevents known privilege escalations.
    Baseline,
    /// Current hardening best practice.
    Restricted,
}

/// The controls of a level.
#[must_use]
pub fn controls(level: Level) -> Vec<AnyControl> {
    let is_restricted = level == Level::Restricted;
    let mut controls = vec![
        AnyControl::Privileged(Privileged),
        AnyControl::HostNamespaces(HostNamespaces::default()),
        AnyControl::HostPorts(HostPorts::default()),
        AnyControl::ProbeHosts(ProbeHosts::default()),
        AnyControl::Sysctls(Sysctls::default()),
        AnyControl::WindowsHostProcess(WindowsHostProcess),
        AnyControl::ProcMount(ProcMount {
            relax_in_user_namespace: !is_restricted,
            ..ProcMount::default()
        }),
        AnyControl::Seccomp(Seccomp {
            required: is_restricted,
            ..Seccomp::default()
        }),
        AnyControl::AppArmor(AppArmor::default()),
        AnyControl::SeLinux(SeLinux {
            allowed_types: Some(owned(&SELINUX_TYPES)),
            allow_user: false,
            allow_role: false,
            must: None,
        }),
        AnyControl::Capabilities(capabilities(level)),
        AnyControl::Volumes(volumes(level)),
    ];
    if is_restricted {
        controls.extend([
            AnyControl::AllowPrivilegeEscalation(AllowPrivilegeEscalation),
            AnyControl::RunAsNonRoot(RunAsNonRoot {
                accept_run_as_user: false,
                relax_in_user_namespace: true,
            }),
            AnyControl::RunAsUser(RunAsUser {
                forbid_root: true,
                relax_in_user_namespace: true,
                ..RunAsUser::default()
            }),
        ]);
    }
    controls
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn capabilities(level: Level) -> Capabilities {
    match level {
        Level::Baseline => Capabilities {
            required_drop: Vec::new(),
            allowed_add: Some(owned(&BASELINE_CAPABILITIES)),
        },
        Level::Restricted => Capabilities {
            required_drop: owned(&["ALL"]),
            allowed_add: Some(owned(&["NET_BIND_SERVICE"])),
        },
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
