//! One change to a Pod, in the three forms in which podgate needs it: on the view (so that the result can be judged),
//! as JSON Patch operations at the exact places (so that the API server can apply it), and as YAML that a person can type.
//! Injections and suggested fixes are both lists of edits: what is proposed, what is tried and what is written are one thing.

use json_patch::{AddOperation, PatchOperation, RemoveOperation};
use serde_json::{Value, json};

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
    Capabilities(Capabilities<'a>),
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
    /// The path of the object that holds the security context.
    fn base(self) -> String {
        match self {
            Self::Pod => "spec".to_owned(),
            Self::Container(at) => at.to_string(),
        }
    }

    fn pointer(self) -> String {
        match self {
            Self::Pod => "/spec".to_owned(),
            Self::Container(at) => format!("/spec/{}/{}", at.list.field(), at.index),
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
            Self::Capabilities(_) => (Home::SecurityContext, "capabilities"),
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

    /// The value as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Privileged(it)
            | Self::AllowPrivilegeEscalation(it)
            | Self::ReadOnlyRootFilesystem(it)
            | Self::RunAsNonRoot(it)
            | Self::HostProcess(it)
            | Self::HostNetwork(it)
            | Self::HostPid(it)
            | Self::HostIpc(it)
            | Self::HostUsers(it)
            | Self::AutomountServiceAccountToken(it) => json!(it),
            Self::RunAsUser(it) | Self::RunAsGroup(it) | Self::FsGroup(it) => json!(it),
            Self::SupplementalGroups(it) => json!(it),
            Self::ProcMount(it) => json!(it),
            Self::RuntimeClass(it) => json!(&**it),
            Self::Capabilities(it) => capabilities_value(it),
            Self::Seccomp(it) | Self::AppArmor(it) => profile_value(it),
            Self::SeLinux(it) => se_linux_value(it),
        }
    }
}

fn capabilities_value(it: &Capabilities<'_>) -> Value {
    let mut map = serde_json::Map::new();
    for (key, list) in [("add", &it.add), ("drop", &it.drop)] {
        if !list.is_empty() {
            map.insert(
                key.to_owned(),
                list.iter().map(|name| json!(&**name)).collect(),
            );
        }
    }
    Value::Object(map)
}

fn profile_value(it: &Profile<'_>) -> Value {
    match &it.localhost_profile {
        Some(path) => json!({"type": &*it.kind, "localhostProfile": &**path}),
        None => json!({"type": &*it.kind}),
    }
}

fn se_linux_value(it: &SeLinuxOptions<'_>) -> Value {
    let mut map = serde_json::Map::new();
    for (key, value) in [
        ("user", &it.user),
        ("role", &it.role),
        ("type", &it.kind),
        ("level", &it.level),
    ] {
        if let Some(value) = value {
            map.insert(key.to_owned(), json!(&**value));
        }
    }
    Value::Object(map)
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

    /// The path of the changed field inside the Pod, for example `spec.containers[0].securityContext.privileged`.
    #[must_use]
    pub fn path(&self) -> String {
        let base = self.place.base();
        match self.change.field() {
            (Home::Spec, field) => format!("{base}.{field}"),
            (Home::SecurityContext, field) => format!("{base}.securityContext.{field}"),
            (Home::Nested(parent), field) => format!("{base}.securityContext.{parent}.{field}"),
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
                        Change::Capabilities(it) => context.capabilities = Some(it),
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

/// The edits as JSON Patch operations on the Pod that `before` was read from. Objects that are missing are created
/// once, with all that belongs into them; nothing else is touched.
#[must_use]
pub fn patch(before: &PodView<'_>, edits: &[Edit<'_>]) -> Vec<PatchOperation> {
    let mut operations = Vec::new();
    let mut places: Vec<Place> = edits.iter().map(|edit| edit.place).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let has_context = match place {
            Place::Pod => before.spec.security_context.is_some(),
            Place::Container(at) => before
                .container(at)
                .is_some_and(|it| it.security_context.is_some()),
        };
        let has_windows = match place {
            Place::Pod => before
                .spec
                .security_context
                .as_ref()
                .is_some_and(|it| it.windows_options.is_some()),
            Place::Container(at) => before
                .container(at)
                .and_then(|it| it.security_context.as_ref())
                .is_some_and(|it| it.windows_options.is_some()),
        };
        let base = place.pointer();
        let mut context = serde_json::Map::new();
        for edit in edits.iter().filter(|edit| edit.place == place) {
            let value = edit.change.value();
            match edit.change.field() {
                (Home::Spec, field) => operations.push(add(&format!("{base}/{field}"), value)),
                (Home::SecurityContext, field) if has_context => {
                    operations.push(add(&format!("{base}/securityContext/{field}"), value));
                }
                (Home::Nested(parent), field) if has_context && has_windows => {
                    operations.push(add(
                        &format!("{base}/securityContext/{parent}/{field}"),
                        value,
                    ));
                }
                (Home::Nested(parent), field) if has_context => {
                    operations.push(add(
                        &format!("{base}/securityContext/{parent}"),
                        json!({ field: value }),
                    ));
                }
                (Home::SecurityContext, field) => {
                    context.insert(field.to_owned(), value);
                }
                (Home::Nested(parent), field) => {
                    context.insert(parent.to_owned(), json!({ field: value }));
                }
            }
        }
        if !context.is_empty() {
            operations.push(add(
                &format!("{base}/securityContext"),
                Value::Object(context),
            ));
        }
    }
    // Once, and last: positions are those of the Pod as it was read.
    let withholds = |edit: &Edit<'_>| edit.change == Change::AutomountServiceAccountToken(false);
    if edits.iter().any(withholds) {
        remove_token(before, &mut operations);
    }
    operations
}

fn remove_token(before: &PodView<'_>, operations: &mut Vec<PatchOperation>) {
    let tokens = token_volumes(before);
    let is_token = |name: &str| {
        tokens
            .iter()
            .any(|&index| &*before.spec.volumes[index].name == name)
    };
    for (at, container) in before.containers() {
        // From the end, so that removing one leaves the positions of the others.
        for (index, mount) in container.volume_mounts.iter().enumerate().rev() {
            if is_token(&mount.name) {
                let base = Place::Container(at).pointer();
                operations.push(remove(&format!("{base}/volumeMounts/{index}")));
            }
        }
    }
    for index in tokens.iter().rev() {
        operations.push(remove(&format!("/spec/volumes/{index}")));
    }
}

fn pointer(path: &str) -> json_patch::jsonptr::PointerBuf {
    // Every path is built from field names and positions, none of which needs escaping.
    json_patch::jsonptr::PointerBuf::parse(path).unwrap_or_default()
}

fn add(path: &str, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: pointer(path),
        value,
    })
}

fn remove(path: &str) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation {
        path: pointer(path),
    })
}

/// JSON as one line of YAML flow style: `{type: RuntimeDefault}`, `[ALL]`.
#[must_use]
pub fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let items: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(flow).collect::<Vec<_>>().join(", ")
        ),
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// True if YAML reads the text as this very string without quotes.
fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(word)
        && !reserved.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::pod::json::from_str;
    use crate::pod::view::ContainerList;

    const A: ContainerRef = ContainerRef {
        list: ContainerList::Regular,
        index: 0,
    };

    /// The paths of the patch; and that the patched JSON reads as the view to which the edits were applied.
    #[track_caller]
    fn patched(pod: &str, edits: &[Edit<'static>]) -> (Value, Vec<String>) {
        let before: PodView<'_> = from_str(pod).unwrap();
        let operations = patch(&before, edits);
        let mut raw: Value = serde_json::from_str(pod).unwrap();
        json_patch::patch(&mut raw, &operations).unwrap();
        let mut applied = before.clone();
        for edit in edits {
            edit.apply(&mut applied);
        }
        let text = raw.to_string();
        assert_eq!(from_str::<PodView<'_>>(&text).unwrap(), applied);
        let paths = operations.iter().map(|it| it.path().to_string()).collect();
        (raw, paths)
    }

    #[test]
    fn a_missing_security_context_is_created_once() {
        let pod = r#"{"spec": {"securityContext": null, "containers": [{"name": "a", "new": 1}]}}"#;
        let edits = [
            Edit::container(A, Change::Privileged(false)),
            Edit::pod(Change::RunAsUser(7)),
            Edit::container(A, Change::HostProcess(false)),
            Edit::pod(Change::SupplementalGroups(vec![1, 2])),
            Edit::pod(Change::HostUsers(false)),
        ];
        let (raw, paths) = patched(pod, &edits);
        let expected = [
            "/spec/hostUsers",
            "/spec/securityContext",
            "/spec/containers/0/securityContext",
        ];
        assert_eq!(paths, expected);
        assert_eq!(
            raw["spec"]["containers"][0]["new"], 1,
            "nothing else is touched"
        );
    }

    #[test]
    fn a_security_context_that_is_there_keeps_what_it_has() {
        let pod = r#"{"spec": {"securityContext": {"fsGroup": 3, "new": 1}, "containers":
            [{"name": "a", "securityContext": {"windowsOptions": {"new": 2}, "runAsUser": 0}}]}}"#;
        let edits = [
            Edit::pod(Change::RunAsNonRoot(true)),
            Edit::pod(Change::HostProcess(false)),
            Edit::pod(Change::Seccomp(Profile::of_type("RuntimeDefault"))),
            Edit::container(A, Change::HostProcess(false)),
            Edit::container(A, Change::RunAsUser(5)),
        ];
        let (raw, paths) = patched(pod, &edits);
        let expected = [
            "/spec/securityContext/runAsNonRoot",
            "/spec/securityContext/windowsOptions",
            "/spec/securityContext/seccompProfile",
            "/spec/containers/0/securityContext/windowsOptions/hostProcess",
            "/spec/containers/0/securityContext/runAsUser",
        ];
        assert_eq!(paths, expected);
        assert_eq!(raw["spec"]["securityContext"]["new"], 1);
        assert_eq!(
            raw["spec"]["containers"][0]["securityContext"]["windowsOptions"]["new"],
            2
        );
    }

    /// What the `ServiceAccount` admission adds, between volumes and mounts of the Pod's own.
    const TOKEN: &str = r#"{"spec": {
        "volumes": [{"name": "x", "emptyDir": {}}, {"name": "kube-api-access-x", "projected": {}},
                    {"name": "y", "emptyDir": {}}],
        "initContainers": [{"name": "i", "volumeMounts": [
            {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}],
        "containers": [
            {"name": "a", "volumeMounts": [{"name": "x", "mountPath": "/x"},
                {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                {"name": "y", "mountPath": "/y"}]},
            {"name": "b"},
            {"name": "c", "volumeMounts": [{"name": "y", "mountPath": "/y"},
                {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}]}}"#;

    #[test]
    fn without_automount_the_token_that_was_added_goes() {
        let edit = Edit::pod(Change::AutomountServiceAccountToken(false));
        let expected = [
            "/spec/automountServiceAccountToken",
            "/spec/initContainers/0/volumeMounts/0",
            "/spec/containers/0/volumeMounts/1",
            "/spec/containers/2/volumeMounts/1",
            "/spec/volumes/1",
        ];
        let (raw, paths) = patched(TOKEN, std::slice::from_ref(&edit));
        assert_eq!(paths, expected);
        assert!(!raw.to_string().contains("kube-api-access"));
        // Said twice, it is removed once.
        let (twice, _) = patched(TOKEN, &[edit.clone(), edit]);
        assert_eq!(twice, raw);
        let (_, paths) = patched(
            TOKEN,
            &[Edit::pod(Change::AutomountServiceAccountToken(true))],
        );
        assert_eq!(paths, expected[..1]);
    }

    #[test]
    fn a_volume_that_somebody_uses_stays() {
        let edit = [Edit::pod(Change::AutomountServiceAccountToken(false))];
        let elsewhere =
            TOKEN.replacen("/var/run/secrets/kubernetes.io/serviceaccount", "/token", 1);
        let secret = TOKEN.replace("projected", "secret");
        let named = TOKEN.replace("kube-api-access-x", "token");
        for pod in [elsewhere, secret, named] {
            assert_eq!(
                patched(&pod, &edit).1,
                ["/spec/automountServiceAccountToken"],
                "{pod}"
            );
        }
    }

    #[test]
    fn flow_style_quotes_what_yaml_would_read_otherwise() {
        let value =
            json!({"type": "Localhost", "path": "a/b.json", "list": ["ALL", 1, true], "none": {}});
        let text = flow(&value);
        let read = crate::document::parse(&text).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&read[0].to_json()).unwrap(),
            value
        );
        assert_eq!(
            flow(&json!({"type": "RuntimeDefault"})),
            "{type: RuntimeDefault}"
        );
        assert_eq!(
            flow(&json!(["ALL", "yes", "Null", "s0:c1", "1", "", "*"])),
            r#"[ALL, "yes", "Null", "s0:c1", "1", "", "*"]"#
        );
    }
}
