//! What differs between two objects, and which injection may have written it.

use serde_json::{Value, json};

use super::case::Case;
use super::pods::{LISTS, TOKEN_PATH, TOKENS};
use super::validation::{containers, items};

/// One place that differs, as deep in the object as the field that an injection writes as a whole.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: Vec<String>,
    /// Null where there was nothing.
    pub(crate) before: Value,
    pub(crate) after: Value,
}

/// Fields that may come into being to hold others.
const HOLDERS: [&str; 2] = ["securityContext", "capabilities"];
/// Where an injection writes when a Pod is created.
const ON_POD: [(&str, &str); 11] = [
    ("seccompProfile", "securityContext.seccompProfile"),
    ("appArmorProfile", "securityContext.appArmorProfile"),
    ("seLinuxOptions", "securityContext.seLinuxOptions"),
    ("runAsNonRoot", "securityContext.runAsNonRoot"),
    ("runAsUser", "securityContext.runAsUser"),
    ("runAsGroup", "securityContext.runAsGroup"),
    ("fsGroup", "securityContext.fsGroup"),
    ("supplementalGroups", "securityContext.supplementalGroups"),
    ("hostUsers", "hostUsers"),
    ("runtimeClassName", "runtimeClassName"),
    (
        "automountServiceAccountToken",
        "automountServiceAccountToken",
    ),
];
/// What is written to containers when a Pod is created; further down what only ephemeral ones get that are added later.
const ON_CONTAINERS: [&str; 4] = [
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
    "runAsNonRoot",
    "runAsUser",
];
const ON_ADDED: [&str; 4] = [
    "seccompProfile",
    "appArmorProfile",
    "seLinuxOptions",
    "runAsGroup",
];

/// Every place that differs.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    collect(before, after, &mut Vec::new(), &mut found);
    found
}

fn collect(before: &Value, after: &Value, path: &mut Vec<String>, found: &mut Vec<Change>) {
    let empty = json!({});
    let is_holder = path
        .last()
        .is_some_and(|name| HOLDERS.contains(&name.as_str()));
    let before = if before.is_null() && is_holder && after.is_object() {
        &empty
    } else {
        before
    };
    match (before, after) {
        (Value::Object(one), Value::Object(two)) => {
            let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                path.push(key.clone());
                let of = |map: &'_ serde_json::Map<String, Value>| map.get(key).cloned();
                match (of(one), of(two)) {
                    // A field that is null and one that is not there are two things here.
                    (Some(was), None) if was.is_null() => {
                        found.push(Change {
                            path: path.clone(),
                            before: was,
                            after: Value::Null,
                        });
                    }
                    (was, is) => {
                        collect(
                            &was.unwrap_or_default(),
                            &is.unwrap_or_default(),
                            path,
                            found,
                        );
                    }
                }
                path.pop();
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (one, two)) in one.iter().zip(two).enumerate() {
                path.push(index.to_string());
                collect(one, two, path, found);
                path.pop();
            }
        }
        (one, two) if one != two => {
            found.push(Change {
                path: path.clone(),
                before: one.clone(),
                after: two.clone(),
            });
        }
        _ => {}
    }
}

/// True if one of the case's injections may have made the change.
pub(crate) fn is_allowed(case: &Case, change: &Change) -> bool {
    let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
    let added = case.added();
    match path.as_slice() {
        ["spec", "volumes"] => added.is_none() && is_token_gone(case, change),
        ["spec", list, _, "volumeMounts"] if LISTS.contains(list) => {
            added.is_none() && is_token_gone(case, change)
        }
        ["spec", list, index, "securityContext", field @ ..] if LISTS.contains(list) => {
            let is_open = added.as_ref().is_none_or(|it| {
                *list == LISTS[2] && index.parse().is_ok_and(|index| it.contains(&index))
            });
            is_open
                && match field {
                    ["capabilities", which] => {
                        let at = index.parse().unwrap_or(usize::MAX);
                        extends(case, &case.pod["spec"][*list][at], which, change)
                    }
                    [name] => {
                        let may = ON_CONTAINERS.contains(name)
                            || (added.is_some() && ON_ADDED.contains(name));
                        may && is_default(case, name, change)
                    }
                    _ => false,
                }
        }
        ["spec", field @ ..] => {
            let field = field.join(".");
            added.is_none()
                && ON_POD
                    .iter()
                    .any(|(name, path)| *path == field && is_default(case, name, change))
        }
        _ => false,
    }
}

/// Nothing was set, and what is set now is what a policy says.
fn is_default(case: &Case, name: &str, change: &Change) -> bool {
    let was_unset =
        change.before.is_null() || (name == "supplementalGroups" && change.before == json!([]));
    was_unset && values(case, name).any(|it| as_field(name, it) == change.after)
}

/// The values of one injection.
fn values<'c>(case: &'c Case, name: &str) -> impl Iterator<Item = &'c Value> {
    case.injections
        .iter()
        .filter(move |it| it.name == name)
        .map(|it| &it.value)
}

/// A value as it stands in a Pod.
fn as_field(name: &str, value: &Value) -> Value {
    match (name, value.as_str()) {
        ("seccompProfile" | "appArmorProfile", Some(notation)) => match notation.split_once('/') {
            Some((kind, path)) => json!({"type": kind, "localhostProfile": path}),
            None => json!({"type": notation}),
        },
        _ => value.clone(),
    }
}

/// The list of capabilities begins as it was, and goes on with names that a policy says and the container's other list
/// does not.
fn extends(case: &Case, container: &Value, which: &str, change: &Change) -> bool {
    let empty = Vec::new();
    let before = change.before.as_array().unwrap_or(&empty);
    let Some(more) = change
        .after
        .as_array()
        .and_then(|it| it.strip_prefix(before.as_slice()))
    else {
        return false;
    };
    let has = |list: &Value, name: &Value| list.as_array().is_some_and(|it| it.contains(name));
    let is_said = |name: &Value| values(case, "capabilities").any(|it| has(&it[which], name));
    let own = &container["securityContext"]["capabilities"];
    let contradicts = |name: &Value| match which {
        "add" => has(&own["drop"], name) || has(&own["drop"], &json!("ALL")),
        _ => has(&own["add"], name),
    };
    !more.is_empty() && more.iter().all(|name| is_said(name) && !contradicts(name))
}

/// Volumes of tokens that the `ServiceAccount` admission added, and that no container uses in a way of its own.
pub(crate) fn tokens(pod: &Value) -> Vec<&Value> {
    let mounts = || containers(pod).flat_map(|(_, it)| items(&it["volumeMounts"]));
    let is_own =
        |name: &Value| mounts().any(|it| it["name"] == *name && it["mountPath"] != TOKEN_PATH);
    items(&pod["spec"]["volumes"])
        .filter(|volume| {
            TOKENS.iter().any(|name| volume["name"] == *name) && volume.get("projected").is_some()
        })
        .map(|volume| &volume["name"])
        .filter(|name| !is_own(name))
        .collect()
}

/// All that is gone are these tokens, and only because none shall be mounted.
fn is_token_gone(case: &Case, change: &Change) -> bool {
    let tokens = tokens(&case.pod);
    let mut expected = change.before.clone();
    if let Some(list) = expected.as_array_mut() {
        list.retain(|it| !tokens.contains(&&it["name"]));
    }
    expected == change.after
        && values(case, "automountServiceAccountToken").any(|it| *it == json!(false))
}
