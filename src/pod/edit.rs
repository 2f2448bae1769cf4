//! One change to a Pod, in the three forms in which podgate needs it: on the view (so that the result can be judged),
//! as JSON Patch operations at the exact places (so that the API server can apply it), and as YAML that a person can type.
//! Injections and suggested fixes are both lists of edits: what is proposed, what is tried and what is written are one thing.

use std::mem::discriminant;

mod patch;
mod value;

pub use patch::{Operation, patch, to_json};
pub use value::flow;

use super::text::Text;
use super::view::{Capabilities, ContainerRef, PodView, Profile, SeLinuxOptions};

/// Where an edit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The Pod: `spec` or `spec.securityContext`.
    Pod,
    /// One container's `securityContext`.
    Container(ContainerRef),
}

/// What an edit does. A value is set whether or not there was one: whoever makes an edit decides that it may.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<'a> {
    /// Container `privileged`.
    Privileged(bool),
    /// Container `allowPrivilegeEscalation`.
    AllowPrivilegeEscalation(bool),
    /// Container `readOnlyRootFilesystem`.
    ReadOnlyRootFilesystem(bool),
    /// Container `procMount`.
    ProcMount(&'static str),
    /// Container `capabilities`: the whole of it, as it shall be.
    Capabilities {
        /// Given. `None` where there is nothing and nothing was; an empty list empties what there was, which whoever
        /// types it into the Pod has to write.
        add: Option<Vec<Text<'a>>>,
        /// Taken.
        drop: Vec<Text<'a>>,
    },
    /// Pod or container `runAsNonRoot`.
    RunAsNonRoot(bool),
    /// Pod or container `runAsUser`.
    RunAsUser(i64),
    /// Pod or container `runAsGroup`.
    RunAsGroup(i64),
    /// Pod `fsGroup`.
    FsGroup(i64),
    /// Pod `supplementalGroups`.
    SupplementalGroups(Vec<i64>),
    /// Pod or container `seccompProfile`.
    Seccomp(Profile<'a>),
    /// Pod or container `appArmorProfile`.
    AppArmor(Profile<'a>),
    /// Pod or container `seLinuxOptions`.
    SeLinux(SeLinuxOptions<'a>),
    /// Pod or container `windowsOptions.hostProcess`.
    HostProcess(bool),
    /// `spec.hostNetwork`.
    HostNetwork(bool),
    /// `spec.hostPID`.
    HostPid(bool),
    /// `spec.hostIPC`.
    HostIpc(bool),
    /// `spec.hostUsers`.
    HostUsers(bool),
    /// `spec.runtimeClassName`.
    RuntimeClass(Text<'a>),
    /// `spec.automountServiceAccountToken`, and with `false` the token volume and its mounts, which the API
    /// server's `ServiceAccount` admission has already added when a webhook sees the Pod.
    AutomountServiceAccountToken(bool),
}

/// One change at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit<'a> {
    /// Where.
    pub place: Place,
    /// What.
    pub change: Change<'a>,
}

/// Where in a Pod a field belongs.
enum Home {
    Spec,
    SecurityContext,
    /// One level below the security context.
    Nested(&'static str),
}

/// The path under which containers mount their service account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How the `ServiceAccount` admission names the volume it adds.
const TOKEN_VOLUME: &str = "kube-api-access-";

// === impl Place ===

impl Place {
    /// The JSON Pointer of what holds the security context.
    fn pointer(self) -> String {
        match self {
            Self::Pod => "/spec".to_owned(),
            Self::Container(at) => ["/spec/", at.list.field(), "/", &at.index.to_string()].concat(),
        }
    }
}

// === impl Change ===

impl Change<'_> {
    /// The field's name and where it lives.
    fn field(&self) -> (Home, &'static str) {
        match self {
            Self::Privileged(_) => (Home::SecurityContext, "privileged"),
            Self::AllowPrivilegeEscalation(_) => {
                (Home::SecurityContext, "allowPrivilegeEscalation")
            }
            Self::ReadOnlyRootFilesystem(_) => (Home::SecurityContext, "readOnlyRootFilesystem"),
            Self::ProcMount(_) => (Home::SecurityContext, "procMount"),
            Self::Capabilities { .. } => (Home::SecurityContext, "capabilities"),
            Self::RunAsNonRoot(_) => (Home::SecurityContext, "runAsNonRoot"),
            Self::RunAsUser(_) => (Home::SecurityContext, "runAsUser"),
            Self::RunAsGroup(_) => (Home::SecurityContext, "runAsGroup"),
            Self::FsGroup(_) => (Home::SecurityContext, "fsGroup"),
            Self::SupplementalGroups(_) => (Home::SecurityContext, "supplementalGroups"),
            Self::Seccomp(_) => (Home::SecurityContext, "seccompProfile"),
            Self::AppArmor(_) => (Home::SecurityContext, "appArmorProfile"),
            Self::SeLinux(_) => (Home::SecurityContext, "seLinuxOptions"),
            Self::HostProcess(_) => (Home::Nested("windowsOptions"), "hostProcess"),
            Self::HostNetwork(_) => (Home::Spec, "hostNetwork"),
            Self::HostPid(_) => (Home::Spec, "hostPID"),
            Self::HostIpc(_) => (Home::Spec, "hostIPC"),
            Self::HostUsers(_) => (Home::Spec, "hostUsers"),
            Self::RuntimeClass(_) => (Home::Spec, "runtimeClassName"),
            Self::AutomountServiceAccountToken(_) => (Home::Spec, "automountServiceAccountToken"),
        }
    }
}

// === impl Edit ===

impl<'a> Edit<'a> {
    /// A change to the Pod.
    #[must_use]
    pub fn pod(change: Change<'a>) -> Self {
        Self {
            place: Place::Pod,
            change,
        }
    }

    /// A change to one container.
    #[must_use]
    pub fn container(at: ContainerRef, change: Change<'a>) -> Self {
        Self {
            place: Place::Container(at),
            change,
        }
    }

    /// True if both write the same field of the same place.
    #[must_use]
    pub fn is_same_field(&self, other: &Edit<'_>) -> bool {
        self.place == other.place && discriminant(&self.change) == discriminant(&other.change)
    }

    /// The path of the changed field inside the Pod, for example `spec.containers[0].securityContext.privileged`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = Vec::with_capacity(96);
        self.write_path(&mut path);
        // Field names and a number.
        String::from_utf8(path).unwrap_or_default()
    }

    /// Writes the path. It holds nothing that JSON would escape.
    pub fn write_path(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"spec");
        if let Place::Container(at) = self.place {
            for part in [".", at.list.field(), "[", &at.index.to_string(), "]"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        let rest: &[&str] = match self.change.field() {
            (Home::Spec, field) => &[field],
            (Home::SecurityContext, field) => &["securityContext", field],
            (Home::Nested(parent), field) => &["securityContext", parent, field],
        };
        for part in rest {
            out.push(b'.');
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// The least YAML a person has to write: the parent's path, then the field in braces.
    /// For a container the parent is `securityContext` alone, since the text beside it names the containers.
    #[must_use]
    pub fn yaml(&self) -> String {
        let value = flow(&self.change.value());
        let context = match self.place {
            Place::Pod => "spec.securityContext",
            Place::Container(_) => "securityContext",
        };
        match self.change.field() {
            (Home::Spec, field) => format!("spec: {{{field}: {value}}}"),
            (Home::SecurityContext, field) => format!("{context}: {{{field}: {value}}}"),
            (Home::Nested(parent), field) => {
                format!("{context}: {{{parent}: {{{field}: {value}}}}}")
            }
        }
    }

    /// Changes the view, as the API server would change the Pod.
    pub fn apply(&self, pod: &mut PodView<'a>) {
        match self.place {
            Place::Pod => self.apply_to_pod(pod),
            Place::Container(at) => {
                if let Some(container) = pod.container_mut(at) {
                    let context = container.security_context.get_or_insert_default();
                    match self.change.clone() {
                        Change::Privileged(it) => context.privileged = Some(it),
                        Change::AllowPrivilegeEscalation(it) => {
                            context.allow_privilege_escalation = Some(it);
                        }
                        Change::ReadOnlyRootFilesystem(it) => {
                            context.read_only_root_filesystem = Some(it);
                        }
                        Change::ProcMount(it) => context.proc_mount = Some(Text::from(it)),
                        Change::Capabilities { add, drop } => {
                            let add = add.unwrap_or_default();
                            context.capabilities = Some(Capabilities { add, drop });
                        }
                        Change::RunAsNonRoot(it) => context.run_as_non_root = Some(it),
                        Change::RunAsUser(it) => context.run_as_user = Some(it),
                        Change::RunAsGroup(it) => context.run_as_group = Some(it),
                        Change::Seccomp(it) => context.seccomp_profile = Some(it),
                        Change::AppArmor(it) => context.app_armor_profile = Some(it),
                        Change::SeLinux(it) => context.se_linux_options = Some(it),
                        Change::HostProcess(it) => {
                            context.windows_options.get_or_insert_default().host_process = Some(it);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn apply_to_pod(&self, pod: &mut PodView<'a>) {
        let spec = &mut pod.spec;
        match self.change.clone() {
            Change::HostNetwork(it) => spec.host_network = Some(it),
            Change::HostPid(it) => spec.host_pid = Some(it),
            Change::HostIpc(it) => spec.host_ipc = Some(it),
            Change::HostUsers(it) => spec.host_users = Some(it),
            Change::RuntimeClass(it) => spec.runtime_class_name = Some(it),
            Change::AutomountServiceAccountToken(it) => {
                spec.automount_service_account_token = Some(it);
                if !it {
                    let tokens = token_volumes(pod);
                    let names: Vec<_> = tokens
                        .iter()
                        .map(|&index| pod.spec.volumes[index].name.clone())
                        .collect();
                    pod.spec
                        .volumes
                        .retain(|volume| !names.contains(&volume.name));
                    let spec = &mut pod.spec;
                    for list in [
                        &mut spec.init_containers,
                        &mut spec.containers,
                        &mut spec.ephemeral_containers,
                    ] {
                        for container in list {
                            container
                                .volume_mounts
                                .retain(|mount| !names.contains(&mount.name));
                        }
                    }
                }
            }
            change => {
                let context = spec.security_context.get_or_insert_default();
                match change {
                    Change::RunAsNonRoot(it) => context.run_as_non_root = Some(it),
                    Change::RunAsUser(it) => context.run_as_user = Some(it),
                    Change::RunAsGroup(it) => context.run_as_group = Some(it),
                    Change::FsGroup(it) => context.fs_group = Some(it),
                    Change::SupplementalGroups(it) => context.supplemental_groups = it,
                    Change::Seccomp(it) => context.seccomp_profile = Some(it),
                    Change::AppArmor(it) => context.app_armor_profile = Some(it),
                    Change::SeLinux(it) => context.se_linux_options = Some(it),
                    Change::HostProcess(it) => {
                        context.windows_options.get_or_insert_default().host_process = Some(it);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Volumes that hold nothing but the token the API server added: projected, named as it names them, and mounted
/// only where it mounts them.
fn token_volumes(pod: &PodView<'_>) -> Vec<usize> {
    let only_token_mounts = |name: &str| {
        pod.containers()
            .flat_map(|(_, container)| &container.volume_mounts)
            .filter(|mount| &*mount.name == name)
            .all(|mount| &*mount.mount_path == TOKEN_PATH)
    };
    pod.spec
        .volumes
        .iter()
        .enumerate()
        .filter(|(_, volume)| {
            volume.name.starts_with(TOKEN_VOLUME)
                && volume.sources().all(|source| source.kind() == "projected")
                && only_token_mounts(&volume.name)
        })
        .map(|(index, _)| index)
        .collect()
}
