//! Controls: one thing each that a policy can require of a Pod, one file each, and what a policy can inject.
//!
//! A control is parameters and a pure check on the [`PodView`]; it knows nothing of policies, modes or wire formats.
//! To add one: a file in `control/`, and one line in the registry below, with what it asks for in a sentence.

pub mod finding;
mod listing;
pub mod profile;
pub mod range;
#[cfg(test)]
mod testing;

use crate::document::{Fields, Node, Problem, Problems, nearest};
use crate::pod::view::ContainerList;
use crate::pod::{Container, ContainerRef, Edit, PodView};

pub use finding::{Finding, Findings, Subject, TooMany};

/// One control with its parameters.
pub trait Control: Sized + Default {
    /// As policies name it.
    const NAME: &'static str;

    /// Reads the parameters of a policy over `base`, which holds what the level (or the default) says.
    /// Asks for every field it knows, so that an unknown one can be told.
    #[must_use]
    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self;

    /// Adds a finding for every place that breaks the control.
    fn check(&self, pod: &PodView<'_>, findings: &mut Findings);
}

/// One default that a policy writes where a Pod has none.
pub trait Injection: Sized {
    /// As policies name it under `inject`.
    const NAME: &'static str;

    /// Reads the value of the field.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The edits that are missing from `pod`: never over a value that is set, never one that API validation
    /// would refuse, none at all if everything is there.
    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>);
}

/// Which part of a Pod may still be written.
#[derive(Debug, Clone, Copy)]
pub enum Target<'t> {
    /// Everything: the Pod is being created.
    Pod,
    /// Only these positions of `ephemeralContainers`: they are being added to a running Pod.
    Ephemeral(&'t [usize]),
}

// === impl Target ===

impl Target<'_> {
    /// The containers that may still be written.
    pub fn containers<'v>(
        self,
        pod: &'v PodView<'_>,
    ) -> impl Iterator<Item = (ContainerRef, &'v Container<'v>)> {
        pod.containers().filter(move |(at, _)| match self {
            Self::Pod => true,
            Self::Ephemeral(added) => {
                at.list == ContainerList::Ephemeral && added.contains(&at.index)
            }
        })
    }
}

macro_rules! controls {
    ($($module:ident::$type:ident: $summary:literal),* $(,)?) => {
        $(pub mod $module;)*

        /// Any control with its parameters. Two that are equal judge alike, so a policy set keeps one of them.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented by its type")]
        pub enum AnyControl {
            $($type($module::$type),)*
        }

        /// Every control's name, in the order in which findings are shown.
        pub const NAMES: &[&str] = &[$(<$module::$type as Control>::NAME),*];

        /// What the control of that name asks for, in a sentence.
        #[must_use]
        pub fn summary(name: &str) -> Option<&'static str> {
            $(if name == <$module::$type as Control>::NAME {
                return Some($summary);
            })*
            None
        }

        impl AnyControl {
            /// As policies name it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => <$module::$type as Control>::NAME,)* }
            }

            /// Adds a finding for every place that breaks the control.
            pub fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
                match self { $(Self::$type(it) => it.check(pod, findings),)* }
            }

            /// The control of that name with its default parameters.
            #[must_use]
            pub fn default_of(name: &str) -> Option<Self> {
                $(if name == <$module::$type as Control>::NAME {
                    return Some(Self::$type(<$module::$type>::default()));
                })*
                None
            }

            /// The same control with the parameters that `fields` change.
            #[must_use]
            pub fn read(self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
                match self { $(Self::$type(base) => Self::$type(Control::read(base, fields, problems)),)* }
            }
        }
    };
}

// The registry. Its order is the order of findings: what endangers the node first.
controls! {
    privileged::Privileged: "No container has all the powers of the node.",
    capabilities::Capabilities: "Containers have dropped the capabilities that must be dropped, and add only allowed ones.",
    allow_privilege_escalation::AllowPrivilegeEscalation: "No process gains more privileges than its parent has.",
    proc_mount::ProcMount: "The masked parts of /proc stay masked.",
    host_namespaces::HostNamespaces: "The Pod shares no namespace of the node.",
    windows_host_process::WindowsHostProcess: "No Windows container is a process of the node.",
    volumes::Volumes: "The Pod mounts only what it is allowed to.",
    host_ports::HostPorts: "No container takes a port of the node.",
    sysctls::Sysctls: "Only kernel parameters that stay inside the Pod are set.",
    probe_hosts::ProbeHosts: "Probes and lifecycle handlers call the Pod itself and nobody else.",
    run_as_non_root::RunAsNonRoot: "Containers are started only as another user than root.",
    read_only_root_filesystem::ReadOnlyRootFilesystem: "No container can write to its root filesystem.",
    run_as_user::RunAsUser: "Containers run as an allowed user.",
    seccomp::Seccomp: "Containers run under an allowed seccomp profile.",
    app_armor::AppArmor: "Containers run under an allowed AppArmor profile.",
    se_linux::SeLinux: "SELinux options are those that are allowed.",
    run_as_group::RunAsGroup: "Containers run as an allowed group.",
    fs_group::FsGroup: "Volumes belong to an allowed group.",
    supplemental_groups::SupplementalGroups: "Containers get only allowed further groups.",
    host_users::HostUsers: "The Pod has a user namespace of its own.",
    runtime_class::RuntimeClass: "The Pod runs in an allowed runtime class.",
    automount_service_account_token::AutomountServiceAccountToken: "The Pod gets no token of its service account unasked.",
}

macro_rules! injections {
    ($($module:ident::$type:ident),* $(,)?) => {
        /// Any default that a policy injects.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented by its type")]
        pub enum AnyInjection {
            $($type($module::$type),)*
        }

        /// Every name under `inject`, in the order in which injections run.
        pub const INJECTIONS: &[&str] = &[$(<$module::$type as Injection>::NAME),*];

        impl AnyInjection {
            /// As policies name it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => <$module::$type as Injection>::NAME,)* }
            }

            /// The edits that are missing from `pod`.
            pub fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
                match self { $(Self::$type(it) => it.inject(pod, target, edits),)* }
            }

            /// Reads the injection of that name; an unknown name is a problem at `at`.
            pub fn read(name: &str, at: crate::document::Span, node: &Node, problems: &mut Problems) -> Option<Self> {
                $(if name == <$module::$type as Injection>::NAME {
                    return <$module::$type>::read(node, problems).map(Self::$type);
                })*
                problems.push(unknown("injection", name, at, INJECTIONS));
                None
            }
        }
    };
}

// The order in which injections run; each sees the Pod as the ones before left it.
injections! {
    seccomp::InjectSeccomp,
    app_armor::InjectAppArmor,
    se_linux::InjectSeLinux,
    capabilities::InjectCapabilities,
    allow_privilege_escalation::InjectAllowPrivilegeEscalation,
    run_as_non_root::InjectRunAsNonRoot,
    read_only_root_filesystem::InjectReadOnlyRootFilesystem,
    run_as_user::InjectRunAsUser,
    run_as_group::InjectRunAsGroup,
    fs_group::InjectFsGroup,
    supplemental_groups::InjectSupplementalGroups,
    host_users::InjectHostUsers,
    runtime_class::InjectRuntimeClass,
    automount_service_account_token::InjectAutomountServiceAccountToken,
}

// === impl AnyInjection ===

impl AnyInjection {
    /// The steps in which it runs, each with its place in the order of all injections. What is added comes before
    /// what is dropped, and a dropped `ALL` before names, over all policies: no policy undoes what another adds, and
    /// which of them comes first makes no difference.
    #[must_use]
    pub fn steps(self) -> Vec<(usize, Self)> {
        let rank = 3 * INJECTIONS
            .iter()
            .position(|name| *name == self.name())
            .unwrap_or(INJECTIONS.len());
        match self {
            Self::InjectCapabilities(it) => {
                let steps = it.steps().map(Self::InjectCapabilities);
                (rank..).zip(steps).collect()
            }
            other => vec![(rank, other)],
        }
    }
}

/// The problem of a name that is not in the registry.
#[must_use]
pub fn unknown(what: &str, name: &str, at: crate::document::Span, known: &[&str]) -> Problem {
    let problem = Problem::new(at, format!("unknown {what} \"{name}\""));
    match nearest(name, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
        None => problem.hint(format!("known are {}", known.join(", "))),
    }
}
