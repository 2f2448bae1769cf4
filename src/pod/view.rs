//! The pod view: the fields of a Pod that controls read, borrowed from the request bytes.
//! Fields that no control asks for are not here, so the decoder skips them unparsed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::{Text, annotations, null_default};
use super::volume::Volume;

/// A Pod, or the pod template of a workload, as far as podgate reads it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct PodView<'a> {
    /// Labels and annotations; a template's for a workload.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub metadata: Metadata<'a>,
    /// The specification.
    #[serde(borrow)]
    pub spec: PodSpec<'a>,
}

/// The metadata that matching, legacy annotations and messages read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Metadata<'a> {
    /// Absent in a mutating review of a Pod with `generateName`.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// What the API server builds the name from.
    #[serde(borrow)]
    pub generate_name: Option<Text<'a>>,
    /// For `podSelector`.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub labels: BTreeMap<Text<'a>, Text<'a>>,
    /// For legacy seccomp and AppArmor annotations.
    #[serde(borrow, default, deserialize_with = "annotations")]
    pub annotations: BTreeMap<Text<'a>, Text<'a>>,
    /// For naming the workload in messages.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub owner_references: Vec<OwnerReference<'a>>,
}

/// Who made this object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct OwnerReference<'a> {
    /// For example `ReplicaSet`.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// The owner's name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// True for the one that manages the object.
    pub controller: Option<bool>,
}

/// `v1.PodSpec`, narrowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct PodSpec<'a> {
    /// Init containers and sidecars.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub init_containers: Vec<Container<'a>>,
    /// Regular containers.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub containers: Vec<Container<'a>>,
    /// What `kubectl debug` adds.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub ephemeral_containers: Vec<Container<'a>>,
    /// Volumes, each with every source that is set.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub volumes: Vec<Volume<'a>>,
    /// What containers inherit.
    #[serde(borrow)]
    pub security_context: Option<PodSecurityContext<'a>>,
    /// Shares the node's network.
    pub host_network: Option<bool>,
    /// Shares the node's processes.
    #[serde(rename = "hostPID")]
    pub host_pid: Option<bool>,
    /// Shares the node's IPC.
    #[serde(rename = "hostIPC")]
    pub host_ipc: Option<bool>,
    /// `false`: a user namespace of its own.
    pub host_users: Option<bool>,
    /// Which runtime runs the Pod.
    #[serde(borrow)]
    pub runtime_class_name: Option<Text<'a>>,
    /// The Pod's own service account.
    #[serde(borrow)]
    pub service_account_name: Option<Text<'a>>,
    /// `false`: no API token is mounted.
    pub automount_service_account_token: Option<bool>,
    /// The operating system the Pod says it is for.
    #[serde(borrow)]
    pub os: Option<Os<'a>>,
}

/// `spec.os`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct Os<'a> {
    /// `linux` or `windows`.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
}

/// `v1.Container` and `v1.EphemeralContainer`, narrowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Container<'a> {
    /// Unique in the Pod.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
    /// For telling whether an update matters.
    #[serde(borrow)]
    pub image: Option<Text<'a>>,
    /// For host ports.
    #[serde(default, deserialize_with = "null_default")]
    pub ports: Vec<ContainerPort>,
    /// The container's own settings.
    #[serde(borrow)]
    pub security_context: Option<SecurityContext<'a>>,
    /// For read-only host paths.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub volume_mounts: Vec<VolumeMount<'a>>,
    /// Only how many there are: the API server takes none beside `hostUsers: false`.
    #[serde(default, deserialize_with = "null_default")]
    pub volume_devices: Vec<VolumeDevice>,
    /// May name a host to call.
    #[serde(borrow)]
    pub liveness_probe: Option<Handler<'a>>,
    /// May name a host to call.
    #[serde(borrow)]
    pub readiness_probe: Option<Handler<'a>>,
    /// May name a host to call.
    #[serde(borrow)]
    pub startup_probe: Option<Handler<'a>>,
    /// May name hosts to call.
    #[serde(borrow)]
    pub lifecycle: Option<Lifecycle<'a>>,
    /// `Always` on an init container makes it a sidecar.
    #[serde(borrow)]
    pub restart_policy: Option<Text<'a>>,
}

/// A port a container names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct ContainerPort {
    /// 0 and absent: none.
    pub host_port: Option<i64>,
}

/// Where a container mounts a volume.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct VolumeMount<'a> {
    /// The volume's name.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
    /// The path in the container.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub mount_path: Text<'a>,
    /// Absent: writable.
    pub read_only: Option<bool>,
}

/// A block device that a container is given. Nothing of it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct VolumeDevice {}

/// A probe or lifecycle handler, as far as it can name a host.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Handler<'a> {
    /// An HTTP request.
    #[serde(borrow)]
    pub http_get: Option<HandlerHost<'a>>,
    /// A TCP connection.
    #[serde(borrow)]
    pub tcp_socket: Option<HandlerHost<'a>>,
}

/// The host a handler names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct HandlerHost<'a> {
    /// Absent or empty: the Pod's own address.
    #[serde(borrow)]
    pub host: Option<Text<'a>>,
}

/// `v1.Lifecycle`, narrowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Lifecycle<'a> {
    /// Runs after the container starts.
    #[serde(borrow)]
    pub post_start: Option<Handler<'a>>,
    /// Runs before the container stops.
    #[serde(borrow)]
    pub pre_stop: Option<Handler<'a>>,
}

/// `v1.PodSecurityContext`, narrowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct PodSecurityContext<'a> {
    /// Inherited by containers.
    pub run_as_non_root: Option<bool>,
    /// Inherited by containers.
    pub run_as_user: Option<i64>,
    /// Inherited by containers.
    pub run_as_group: Option<i64>,
    /// Owner of volumes that support it.
    pub fs_group: Option<i64>,
    /// Further groups of every first process.
    #[serde(default, deserialize_with = "null_default")]
    pub supplemental_groups: Vec<i64>,
    /// Inherited by containers.
    #[serde(borrow)]
    pub seccomp_profile: Option<Profile<'a>>,
    /// Inherited by containers.
    #[serde(borrow)]
    pub app_armor_profile: Option<Profile<'a>>,
    /// Inherited by containers.
    #[serde(borrow)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
    /// Kernel parameters.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub sysctls: Vec<Sysctl<'a>>,
    /// Inherited by containers.
    pub windows_options: Option<WindowsOptions>,
}

/// `v1.SecurityContext`, narrowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct SecurityContext<'a> {
    /// All the node's powers.
    pub privileged: Option<bool>,
    /// May a process gain more than its parent.
    pub allow_privilege_escalation: Option<bool>,
    /// Linux capabilities.
    #[serde(borrow)]
    pub capabilities: Option<Capabilities<'a>>,
    /// Over the Pod's.
    pub run_as_non_root: Option<bool>,
    /// Over the Pod's.
    pub run_as_user: Option<i64>,
    /// Over the Pod's.
    pub run_as_group: Option<i64>,
    /// Nothing may be written to the image's own files.
    pub read_only_root_filesystem: Option<bool>,
    /// Over the Pod's.
    #[serde(borrow)]
    pub seccomp_profile: Option<Profile<'a>>,
    /// Over the Pod's.
    #[serde(borrow)]
    pub app_armor_profile: Option<Profile<'a>>,
    /// Over the Pod's.
    #[serde(borrow)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
    /// `Default` or `Unmasked`.
    #[serde(borrow)]
    pub proc_mount: Option<Text<'a>>,
    /// Over the Pod's.
    pub windows_options: Option<WindowsOptions>,
}

/// `v1.Capabilities`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct Capabilities<'a> {
    /// Given beyond the runtime's default.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub add: Vec<Text<'a>>,
    /// Taken from the runtime's default.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub drop: Vec<Text<'a>>,
}

/// `v1.SeccompProfile` and `v1.AppArmorProfile`, which have the same shape.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Profile<'a> {
    /// `RuntimeDefault`, `Localhost` or `Unconfined`.
    #[serde(borrow, rename = "type", default, deserialize_with = "null_default")]
    pub kind: Text<'a>,
    /// With `Localhost`: which one.
    #[serde(borrow)]
    pub localhost_profile: Option<Text<'a>>,
}

/// `v1.SELinuxOptions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub struct SeLinuxOptions<'a> {
    /// SELinux user.
    #[serde(borrow)]
    pub user: Option<Text<'a>>,
    /// SELinux role.
    #[serde(borrow)]
    pub role: Option<Text<'a>>,
    /// SELinux type.
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    /// SELinux level.
    #[serde(borrow)]
    pub level: Option<Text<'a>>,
}

/// One kernel parameter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct Sysctl<'a> {
    /// With dots or slashes.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
}

/// `v1.WindowsSecurityContextOptions`, narrowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct WindowsOptions {
    /// Runs on the node itself.
    pub host_process: Option<bool>,
}

/// One of the three lists of containers, in the order in which podgate visits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerList {
    /// `initContainers`: sidecars too.
    Init,
    /// `containers`.
    Regular,
    /// `ephemeralContainers`.
    Ephemeral,
}

/// Where a container sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerRef {
    /// Which list.
    pub list: ContainerList,
    /// Position in it.
    pub index: usize,
}

// === impl PodView ===

impl<'a> PodView<'a> {
    /// Every container of every list: init (sidecars too), regular, ephemeral.
    pub fn containers(&self) -> impl Iterator<Item = (ContainerRef, &Container<'a>)> {
        let of = |list| move |(index, container)| (ContainerRef { list, index }, container);
        let spec = &self.spec;
        spec.init_containers
            .iter()
            .enumerate()
            .map(of(ContainerList::Init))
            .chain(
                spec.containers
                    .iter()
                    .enumerate()
                    .map(of(ContainerList::Regular)),
            )
            .chain(
                spec.ephemeral_containers
                    .iter()
                    .enumerate()
                    .map(of(ContainerList::Ephemeral)),
            )
    }

    /// One list of containers.
    #[must_use]
    pub fn list(&self, list: ContainerList) -> &[Container<'a>] {
        match list {
            ContainerList::Init => &self.spec.init_containers,
            ContainerList::Regular => &self.spec.containers,
            ContainerList::Ephemeral => &self.spec.ephemeral_containers,
        }
    }

    /// One container, if it is there.
    #[must_use]
    pub fn container(&self, at: ContainerRef) -> Option<&Container<'a>> {
        self.list(at.list).get(at.index)
    }

    /// One container to change, if it is there.
    pub fn container_mut(&mut self, at: ContainerRef) -> Option<&mut Container<'a>> {
        let list = match at.list {
            ContainerList::Init => &mut self.spec.init_containers,
            ContainerList::Regular => &mut self.spec.containers,
            ContainerList::Ephemeral => &mut self.spec.ephemeral_containers,
        };
        list.get_mut(at.index)
    }

    /// True only if the Pod says that it is for Windows; without `spec.os` it counts as Linux.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.spec
            .os
            .as_ref()
            .is_some_and(|os| &*os.name == "windows")
    }

    /// True if the Pod asks for a user namespace of its own.
    #[must_use]
    pub fn has_user_namespace(&self) -> bool {
        self.spec.host_users == Some(false)
    }

    /// An annotation by its exact key.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&Text<'a>> {
        self.metadata.annotations.get(key)
    }
}

// === impl ContainerList ===

impl ContainerList {
    /// The field of `spec` that holds the list.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

// === impl ContainerRef ===

impl std::fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "spec.{}[{}]", self.list.field(), self.index)
    }
}
