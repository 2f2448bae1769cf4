//! What the API server refuses, as far as an injection could bring it about, and what the kubelet would not start.
//! Source: `pkg/apis/core/validation/validation.go` of Kubernetes.

use serde_json::Value;

use super::pods::{APP_ARMOR, LISTS, SECCOMP_CONTAINER, SECCOMP_POD};

/// Fields that a Pod for Windows must not have.
const NOT_ON_WINDOWS: [&str; 12] = [
    "seccompProfile",
    "appArmorProfile",
    "seLinuxOptions",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
    "fsGroup",
    "supplementalGroups",
];

/// Everything that is wrong with the Pod, each thing in its own words.
pub(crate) fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if is_windows(pod) {
        windows(pod, &mut found);
    } else {
        annotations(pod, &mut found);
    }
    if pod["spec"]["hostUsers"] == false && shares_node(pod) {
        found.push("hostUsers is false beside a namespace of the node".to_owned());
    }
    let volumes: Vec<&Value> = items(&pod["spec"]["volumes"])
        .map(|it| &it["name"])
        .collect();
    for (path, container) in containers(pod) {
        let context = &container["securityContext"];
        if context["allowPrivilegeEscalation"] == false && escalates(container) {
            found.push(format!(
                "{path}: allowPrivilegeEscalation is false beside what escalates"
            ));
        }
        if effective(pod, container, "runAsNonRoot") == true
            && effective(pod, container, "runAsUser") == 0
        {
            found.push(format!("{path}: does not start as root"));
        }
        for mount in items(&container["volumeMounts"]).filter(|it| !volumes.contains(&&it["name"]))
        {
            found.push(format!("{path}: mounts {mount}, which is no volume"));
        }
    }
    found
}

fn windows(pod: &Value, found: &mut Vec<String>) {
    let mut check = |path: &str, context: &Value| {
        for field in NOT_ON_WINDOWS
            .iter()
            .filter(|field| !context[**field].is_null())
        {
            found.push(format!("{path}: {field} on Windows"));
        }
    };
    check("pod", &pod["spec"]["securityContext"]);
    for (path, container) in containers(pod) {
        check(&path, &container["securityContext"]);
    }
    if !pod["spec"]["hostUsers"].is_null() {
        found.push("hostUsers on Windows".to_owned());
    }
}

fn annotations(pod: &Value, found: &mut Vec<String>) {
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str();
    let context = &pod["spec"]["securityContext"];
    let mut check = |path: &str, profile: &Value, annotation: Option<&str>| {
        if let Some(annotation) = annotation.filter(|it| !profile.is_null() && !names(it, profile))
        {
            found.push(format!("{path}: {profile} is not {annotation}"));
        }
    };
    check(
        "pod seccomp",
        &context["seccompProfile"],
        annotation(SECCOMP_POD),
    );
    for (path, container) in containers(pod) {
        let name = container["name"].as_str().unwrap_or_default();
        let own = &container["securityContext"];
        let key = format!("{SECCOMP_CONTAINER}{name}");
        check(
            &format!("{path} seccomp"),
            &own["seccompProfile"],
            annotation(&key),
        );
        let key = format!("{APP_ARMOR}{name}");
        check(
            &format!("{path} AppArmor"),
            &own["appArmorProfile"],
            annotation(&key),
        );
    }
    if !context["appArmorProfile"].is_null() && !app_armor_annotations_are_valid(pod) {
        found
            .push("an AppArmor profile on the Pod beside an annotation that names none".to_owned());
    }
}

pub(crate) fn app_armor_annotations_are_valid(pod: &Value) -> bool {
    let annotations = pod["metadata"]["annotations"].as_object();
    annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(APP_ARMOR))
        .all(|(_, value)| {
            let value = value.as_str().unwrap_or_default();
            ["runtime/default", "unconfined"].contains(&value)
                || (value.starts_with("localhost/") && value.len() > 10)
        })
}

/// True if the annotation's value names the profile.
pub(crate) fn names(annotation: &str, profile: &Value) -> bool {
    match annotation {
        "runtime/default" | "docker/default" => profile["type"] == "RuntimeDefault",
        "unconfined" => profile["type"] == "Unconfined",
        other => {
            profile["type"] == "Localhost"
                && other
                    .strip_prefix("localhost/")
                    .is_some_and(|path| profile["localhostProfile"] == path)
        }
    }
}

pub(crate) fn is_windows(pod: &Value) -> bool {
    pod["spec"]["os"]["name"] == "windows"
}

pub(crate) fn shares_node(pod: &Value) -> bool {
    ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .any(|field| pod["spec"][*field] == true)
}

/// True if `allowPrivilegeEscalation: false` would be refused, or would mean nothing: the API server compares with
/// `CAP_SYS_ADMIN` alone, podgate takes both spellings for the same.
pub(crate) fn escalates(container: &Value) -> bool {
    let context = &container["securityContext"];
    let mut added = items(&context["capabilities"]["add"]);
    context["privileged"] == true || added.any(|it| it == "SYS_ADMIN" || it == "CAP_SYS_ADMIN")
}

/// What the container gets: its own, or the Pod's.
pub(crate) fn effective<'v>(pod: &'v Value, container: &'v Value, field: &str) -> &'v Value {
    let own = &container["securityContext"][field];
    if own.is_null() {
        &pod["spec"]["securityContext"][field]
    } else {
        own
    }
}

/// Every container with its path.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = (String, &Value)> {
    LISTS.into_iter().flat_map(move |list| {
        let of = move |(index, it)| (format!("spec.{list}[{index}]"), it);
        items(&pod["spec"][list]).enumerate().map(of)
    })
}

pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
