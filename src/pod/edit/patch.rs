//! Edits as JSON Patch operations, at the exact places, on the Pod as it was read.
//!
//! The operations borrow what they write and are written once, as text. `json-patch` has owned values in its
//! operations, which cost as much as all the rest of a mutating review; it applies them, in tests and in the demo.

use super::{Change, Edit, Home, Place, token_volumes};
use crate::pod::Text;
use crate::pod::json::write_string;
use crate::pod::view::{Capabilities, PodView};

/// One JSON Patch operation (RFC 6902).
#[derive(Debug, PartialEq)]
pub enum Operation<'e> {
    /// Sets a field, whether or not there was one.
    Add {
        /// A JSON Pointer.
        path: String,
        /// What is set.
        value: Content<'e>,
    },
    /// Takes an item out of a list.
    Remove {
        /// A JSON Pointer.
        path: String,
    },
}

/// What an operation writes.
#[derive(Debug, PartialEq)]
pub enum Content<'e> {
    /// The value of one change.
    Value(&'e Change<'e>),
    /// A list of capabilities.
    Names(&'e [Text<'e>]),
    /// An object that was missing, with what belongs into it.
    Object(Vec<(&'static str, Content<'e>)>),
}

/// What the Pod has at a place.
struct Present {
    context: bool,
    windows: bool,
}

/// The edits as JSON Patch operations on the Pod that `before` was read from. Objects that are missing are created
/// once, with all that belongs into them; nothing else is touched.
#[must_use]
pub fn patch<'e>(
    before: &PodView<'_>,
    edits: impl IntoIterator<Item = &'e Edit<'e>>,
) -> Vec<Operation<'e>> {
    let mut edits: Vec<&Edit<'_>> = edits.into_iter().collect();
    // Stable: of two edits of one field the later one stays the later one.
    edits.sort_by_key(|edit| edit.place);
    let mut operations = Vec::with_capacity(edits.len());
    for here in edits.chunk_by(|one, two| one.place == two.place) {
        let Some(first) = here.first() else { continue };
        let present = Present::at(first.place, before);
        let base = first.place.pointer();
        let mut context = Vec::new();
        for (index, edit) in here.iter().enumerate() {
            // A later edit of the same field holds what this one says.
            if here[index + 1..]
                .iter()
                .any(|later| later.is_same_field(edit))
            {
                continue;
            }
            let value = Content::Value(&edit.change);
            let (path, value): (&[&str], _) = match edit.change.field() {
                (Home::Spec, field) => (&[field], value),
                (Home::SecurityContext, field) if present.context => {
                    if let (Change::Capabilities { add, drop }, Some(own)) =
                        (&edit.change, capabilities_of(before, edit.place))
                    {
                        let path = below(&base, &["securityContext", field]);
                        let add = add.as_deref().unwrap_or_default();
                        change_lists(&path, own, [add, drop], &mut operations);
                        continue;
                    }
                    (&["securityContext", field], value)
                }
                (Home::SecurityContext, field) => {
                    context.push((field, value));
                    continue;
                }
                (Home::Nested(parent), field) if present.windows => {
                    (&["securityContext", parent, field], value)
                }
                (Home::Nested(parent), field) => {
                    let object = Content::Object(vec![(field, value)]);
                    if !present.context {
                        context.push((parent, object));
                        continue;
                    }
                    (&["securityContext", parent], object)
                }
            };
            operations.push(Operation::Add {
                path: below(&base, path),
                value,
            });
        }
        if !context.is_empty() {
            operations.push(Operation::Add {
                path: below(&base, &["securityContext"]),
                value: Content::Object(context),
            });
        }
    }
    // Once, and last: positions are those of the Pod as it was read.
    let withholds = |edit: &&Edit<'_>| edit.change == Change::AutomountServiceAccountToken(false);
    if edits.iter().any(withholds) {
        remove_token(before, &mut operations);
    }
    operations
}

/// The operations as the JSON Patch that an API server applies.
#[must_use]
pub fn to_json(operations: &[Operation<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 128 * operations.len());
    let mut separator = b'[';
    for operation in operations {
        out.push(separator);
        operation.write(&mut out);
        separator = b',';
    }
    if operations.is_empty() {
        out.push(b'[');
    }
    out.push(b']');
    out
}

fn capabilities_of<'v, 'a>(pod: &'v PodView<'a>, place: Place) -> Option<&'v Capabilities<'a>> {
    let Place::Container(at) = place else {
        return None;
    };
    let context = pod.container(at)?.security_context.as_ref()?;
    context.capabilities.as_ref()
}

/// Only the lists that differ: what else stands beside them stays.
fn change_lists<'e>(
    path: &str,
    before: &Capabilities<'_>,
    [add, drop]: [&'e [Text<'e>]; 2],
    operations: &mut Vec<Operation<'e>>,
) {
    for (name, before, after) in [("add", &before.add, add), ("drop", &before.drop, drop)] {
        if before != after {
            operations.push(Operation::Add {
                path: below(path, &[name]),
                value: Content::Names(after),
            });
        }
    }
}

fn remove_token(before: &PodView<'_>, operations: &mut Vec<Operation<'_>>) {
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
                operations.push(Operation::Remove {
                    path: format!("{base}/volumeMounts/{index}"),
                });
            }
        }
    }
    for index in tokens.iter().rev() {
        operations.push(Operation::Remove {
            path: format!("/spec/volumes/{index}"),
        });
    }
}

/// A pointer to what is below `base`. No field name needs escaping.
fn below(base: &str, path: &[&str]) -> String {
    let mut pointer = String::with_capacity(base.len() + 64);
    pointer.push_str(base);
    for part in path {
        pointer.push('/');
        pointer.push_str(part);
    }
    pointer
}

// === impl Operation ===

impl Operation<'_> {
    /// The JSON Pointer of what it changes.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Remove { path } => path,
        }
    }

    /// Writes it as JSON. Paths and keys are field names and positions, none of which needs escaping.
    fn write(&self, out: &mut Vec<u8>) {
        let (start, value): (&[u8], _) = match self {
            Self::Add { value, .. } => (br#"{"op":"add","path":""#, Some(value)),
            Self::Remove { .. } => (br#"{"op":"remove","path":""#, None),
        };
        out.extend_from_slice(start);
        out.extend_from_slice(self.path().as_bytes());
        out.push(b'"');
        if let Some(value) = value {
            out.extend_from_slice(b",\"value\":");
            value.write(out);
        }
        out.push(b'}');
    }
}

// === impl Content ===

impl Content<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(change) => change.write(out),
            Self::Names(names) => {
                out.push(b'[');
                for (index, name) in names.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(out, name);
                }
                out.push(b']');
            }
            Self::Object(fields) => {
                let mut separator: &[u8] = b"{\"";
                for (key, content) in fields {
                    out.extend_from_slice(separator);
                    out.extend_from_slice(key.as_bytes());
                    out.extend_from_slice(b"\":");
                    content.write(out);
                    separator = b",\"";
                }
                out.push(b'}');
            }
        }
    }
}

// === impl Present ===

impl Present {
    fn at(place: Place, pod: &PodView<'_>) -> Self {
        let (context, windows) = match place {
            Place::Pod => {
                let context = pod.spec.security_context.as_ref();
                (context.is_some(), context.map(|it| it.windows_options))
            }
            Place::Container(at) => {
                let container = pod.container(at);
                let context = container.and_then(|it| it.security_context.as_ref());
                (context.is_some(), context.map(|it| it.windows_options))
            }
        };
        Self {
            context,
            windows: windows.flatten().is_some(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pod::json::from_str;
    use crate::pod::view::{ContainerList, ContainerRef, Profile};

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
        let as_sent: json_patch::Patch = serde_json::from_slice(&to_json(&operations)).unwrap();
        json_patch::patch(&mut raw, &as_sent).unwrap();
        let mut applied = before.clone();
        for edit in edits {
            edit.apply(&mut applied);
        }
        let text = raw.to_string();
        assert_eq!(from_str::<PodView<'_>>(&text).unwrap(), applied);
        let paths = operations.iter().map(|it| it.path().to_owned()).collect();
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

    #[test]
    fn of_capabilities_only_the_list_that_differs_is_written() {
        let pod = r#"{"spec": {"containers": [{"name": "a", "securityContext": {"capabilities":
            {"add": null, "drop": ["CHOWN"], "new": 1}}}]}}"#;
        let capabilities = |drop: &[&'static str]| Change::Capabilities {
            add: None,
            drop: drop.iter().map(|name| Text::from(*name)).collect(),
        };
        let edits = [Edit::container(A, capabilities(&["CHOWN", "KILL"]))];
        let (raw, paths) = patched(pod, &edits);
        assert_eq!(
            paths,
            ["/spec/containers/0/securityContext/capabilities/drop"]
        );
        assert_eq!(
            raw["spec"]["containers"][0]["securityContext"]["capabilities"],
            json!({"add": null, "drop": ["CHOWN", "KILL"], "new": 1})
        );
        let edits = [Edit::container(A, capabilities(&[]))];
        let (_, paths) = patched(pod, &edits);
        assert_eq!(
            paths,
            ["/spec/containers/0/securityContext/capabilities/drop"]
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
}
