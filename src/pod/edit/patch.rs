//! Edits as JSON Patch operations, at the exact places, on the Pod as it was read.

use std::mem::discriminant;

use json_patch::{AddOperation, PatchOperation, RemoveOperation};
use serde_json::{Value, json};

use super::{Change, Edit, Home, Place, token_volumes};
use crate::pod::view::{Capabilities, PodView};

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
        let here: Vec<&Edit<'_>> = edits.iter().filter(|edit| edit.place == place).collect();
        for (index, edit) in here.iter().enumerate() {
            // A later edit of the same field holds what this one says.
            let is_same =
                |later: &&Edit<'_>| discriminant(&later.change) == discriminant(&edit.change);
            if here[index + 1..].iter().any(is_same) {
                continue;
            }
            let value = edit.change.value();
            match edit.change.field() {
                (Home::Spec, field) => operations.push(add(&format!("{base}/{field}"), value)),
                (Home::SecurityContext, field) if has_context => {
                    let path = format!("{base}/securityContext/{field}");
                    match (&edit.change, capabilities_of(before, place)) {
                        (Change::Capabilities(after), Some(own)) => {
                            change_lists(&path, own, after, &mut operations);
                        }
                        _ => operations.push(add(&path, value)),
                    }
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

fn capabilities_of<'v, 'a>(pod: &'v PodView<'a>, place: Place) -> Option<&'v Capabilities<'a>> {
    let Place::Container(at) = place else {
        return None;
    };
    let context = pod.container(at)?.security_context.as_ref()?;
    context.capabilities.as_ref()
}

/// Only the lists that differ: what else stands beside them stays.
fn change_lists(
    path: &str,
    before: &Capabilities<'_>,
    after: &Capabilities<'_>,
    operations: &mut Vec<PatchOperation>,
) {
    for (name, before, after) in [
        ("add", &before.add, &after.add),
        ("drop", &before.drop, &after.drop),
    ] {
        if before != after {
            let names = after.iter().map(|name| json!(&**name)).collect();
            operations.push(add(&format!("{path}/{name}"), names));
        }
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::pod::Text;
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

    #[test]
    fn of_capabilities_only_the_list_that_differs_is_written() {
        let pod = r#"{"spec": {"containers": [{"name": "a", "securityContext": {"capabilities":
            {"add": null, "drop": ["CHOWN"], "new": 1}}}]}}"#;
        let capabilities = |drop: &[&'static str]| Capabilities {
            add: Vec::new(),
            drop: drop.iter().map(|name| Text::from(*name)).collect(),
        };
        let edits = [Edit::container(
            A,
            Change::Capabilities(capabilities(&["CHOWN", "KILL"])),
        )];
        let (raw, paths) = patched(pod, &edits);
        assert_eq!(
            paths,
            ["/spec/containers/0/securityContext/capabilities/drop"]
        );
        assert_eq!(
            raw["spec"]["containers"][0]["securityContext"]["capabilities"],
            json!({"add": null, "drop": ["CHOWN", "KILL"], "new": 1})
        );
        let edits = [Edit::container(A, Change::Capabilities(capabilities(&[])))];
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
