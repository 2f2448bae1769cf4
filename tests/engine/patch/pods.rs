//! Pods as users, controllers and the API server's own admission write them, and worse.

use serde_json::{Map, Value, json};

use super::choices::Choices;

/// Volumes of the `ServiceAccount` admission: one of this Pod, one of the Pod it was copied from.
pub(crate) const TOKENS: [&str; 2] = ["kube-api-access-x7k2p", "kube-api-access-9zzqw"];
pub(crate) const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
pub(crate) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub(crate) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(crate) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
pub(crate) const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

const ANNOTATION_VALUES: [&str; 6] = [
    "runtime/default",
    "unconfined",
    "localhost/a.json",
    "docker/default",
    "",
    "localhost/",
];
const CAPABILITIES: [&str; 8] = [
    "ALL",
    "NET_RAW",
    "CHOWN",
    "SYS_ADMIN",
    "CAP_SYS_ADMIN",
    "net_raw",
    "MKNOD",
    "all",
];

/// A Pod. Not every one is valid, but the API server's decoder would take each.
pub(crate) fn pod(it: &mut Choices<'_>) -> Value {
    let mut spec = Map::new();
    let os = [
        json!({"name": "linux"}),
        json!({"name": "windows"}),
        json!({}),
    ];
    it.field(&mut spec, "os", &os);
    let bools = [json!(true), json!(false)];
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        it.field(&mut spec, name, &[json!(false), json!(false), json!(true)]);
    }
    it.field(&mut spec, "hostUsers", &bools);
    it.field(&mut spec, "automountServiceAccountToken", &bools);
    it.field(&mut spec, "runtimeClassName", &[json!("kata"), json!("")]);
    let tokens = it.pick(&[0, 1, 2, 1]);
    for (list, most) in LISTS.into_iter().zip([2, 3, 3]) {
        let at_least = usize::from(list == "containers");
        let count = at_least + it.below(most);
        let containers: Vec<Value> = (0..count)
            .map(|index| container(it, list, index, tokens))
            .collect();
        if count > 0 || it.once_in(2) {
            spec.insert(
                list.to_owned(),
                if it.once_in(30) {
                    Value::Null
                } else {
                    json!(containers)
                },
            );
        }
    }
    volumes(it, &mut spec, tokens);
    security_context(it, &mut spec, pod_context);
    unknown(it, &mut spec);
    let mut metadata = metadata(it);
    unknown(it, &mut metadata);
    let mut pod = Map::new();
    pod.insert("metadata".to_owned(), Value::Object(metadata));
    pod.insert("spec".to_owned(), Value::Object(spec));
    unknown(it, &mut pod);
    Value::Object(pod)
}

/// What a newer API server, or somebody else's webhook, put there.
fn unknown(it: &mut Choices<'_>, into: &mut Map<String, Value>) {
    if it.once_in(3) {
        let values = [
            json!({"a/b": [1, 2.5, null], "c~d": {"~1": "é\n\"\\"}}),
            json!(null),
            json!([{}]),
        ];
        into.insert("some/future~Field".to_owned(), it.pick(&values));
    }
}

fn metadata(it: &mut Choices<'_>) -> Map<String, Value> {
    let mut metadata = Map::new();
    let name = it.pick(&["name", "generateName"]);
    metadata.insert(name.to_owned(), json!("web-"));
    it.field(
        &mut metadata,
        "labels",
        &[
            json!({}),
            json!({"app.kubernetes.io/name": "web", "a~b": ""}),
        ],
    );
    let mut annotations = Map::new();
    if it.once_in(3) {
        annotations.insert("example.com/a~b~1c".to_owned(), json!("{\"a\":1}"));
    }
    if it.once_in(4) {
        annotations.insert(SECCOMP_POD.to_owned(), json!(it.pick(&ANNOTATION_VALUES)));
    }
    for name in [
        "containers-0",
        "ephemeralContainers-0",
        "ephemeralContainers-1",
        "nobody",
    ] {
        for prefix in [SECCOMP_CONTAINER, APP_ARMOR] {
            if it.once_in(6) {
                annotations.insert(
                    format!("{prefix}{name}"),
                    json!(it.pick(&ANNOTATION_VALUES)),
                );
            }
        }
    }
    if !annotations.is_empty() || it.once_in(3) {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    metadata
}

fn container(it: &mut Choices<'_>, list: &str, index: usize, tokens: usize) -> Value {
    let mut container = Map::new();
    container.insert("name".to_owned(), json!(format!("{list}-{index}")));
    container.insert("image".to_owned(), json!("registry.example/a:1"));
    if list == "initContainers" {
        it.field(&mut container, "restartPolicy", &[json!("Always")]);
    }
    mounts(
        it,
        &mut container,
        if list == "ephemeralContainers" {
            0
        } else {
            tokens
        },
    );
    security_context(it, &mut container, container_context);
    unknown(it, &mut container);
    Value::Object(container)
}

fn mounts(it: &mut Choices<'_>, container: &mut Map<String, Value>, tokens: usize) {
    let mut mounts = Vec::new();
    for name in ["data", "cache"] {
        if it.once_in(3) {
            mounts.push(json!({"name": name, "mountPath": format!("/{name}"), "unknown": [1]}));
        }
    }
    let own = it.below(tokens.max(1));
    for (index, name) in TOKENS.iter().enumerate().take(tokens) {
        let path = match (index == own, it.below(12)) {
            (true, 0..=10) => TOKEN_PATH,
            (_, 11) => "/elsewhere",
            _ => continue,
        };
        let at = it.below(mounts.len() + 1);
        mounts.insert(
            at,
            json!({"name": name, "readOnly": true, "mountPath": path}),
        );
    }
    if !mounts.is_empty() || it.once_in(3) {
        container.insert("volumeMounts".to_owned(), json!(mounts));
    }
}

fn volumes(it: &mut Choices<'_>, spec: &mut Map<String, Value>, tokens: usize) {
    let mut volumes = vec![
        json!({"name": "data", "emptyDir": {}}),
        json!({"name": "cache", "hostPath": {"path": "/"}}),
    ];
    for name in TOKENS.iter().take(tokens) {
        let sources =
            json!([{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]);
        let token = match it.below(8) {
            7 => json!({"name": name, "secret": {"secretName": "mine"}}),
            _ => json!({"name": name, "projected": {"defaultMode": 420, "sources": sources}}),
        };
        let at = volumes.len() - it.below(volumes.len() + 1);
        volumes.insert(at, token);
    }
    spec.insert("volumes".to_owned(), json!(volumes));
}

/// Leaves the security context out, or writes null or an object with some of the fields.
fn security_context(
    it: &mut Choices<'_>,
    into: &mut Map<String, Value>,
    fields: fn(&mut Choices<'_>) -> Map<String, Value>,
) {
    let context = match it.below(7) {
        0 => return,
        1 => Value::Null,
        2 => json!({}),
        _ => Value::Object(fields(it)),
    };
    into.insert("securityContext".to_owned(), context);
}

fn pod_context(it: &mut Choices<'_>) -> Map<String, Value> {
    let mut context = common_context(it);
    it.field(&mut context, "fsGroup", &[json!(0), json!(7)]);
    it.field(
        &mut context,
        "supplementalGroups",
        &[json!([]), json!([7]), json!([0, 8])],
    );
    context
}

fn container_context(it: &mut Choices<'_>) -> Map<String, Value> {
    let mut context = common_context(it);
    let bools = [json!(true), json!(false)];
    it.field(
        &mut context,
        "privileged",
        &[json!(false), json!(false), json!(true)],
    );
    it.field(&mut context, "allowPrivilegeEscalation", &bools);
    it.field(&mut context, "readOnlyRootFilesystem", &bools);
    it.field(&mut context, "procMount", &[json!("Default")]);
    match it.below(6) {
        0 => {}
        1 => drop(context.insert("capabilities".to_owned(), Value::Null)),
        2 => drop(context.insert("capabilities".to_owned(), json!({}))),
        _ => {
            let mut capabilities = Map::new();
            for list in ["add", "drop"] {
                let names: Vec<&str> = (0..it.below(3)).map(|_| it.pick(&CAPABILITIES)).collect();
                it.field(
                    &mut capabilities,
                    list,
                    &[json!(names), json!(names), json!([])],
                );
            }
            unknown(it, &mut capabilities);
            context.insert("capabilities".to_owned(), Value::Object(capabilities));
        }
    }
    context
}

/// The fields that Pods and containers have in common.
fn common_context(it: &mut Choices<'_>) -> Map<String, Value> {
    let mut context = Map::new();
    let profiles = [
        json!({"type": "RuntimeDefault"}),
        json!({"type": "Localhost", "localhostProfile": "a.json"}),
        json!({"type": "Unconfined"}),
        json!({}),
    ];
    it.field(&mut context, "seccompProfile", &profiles);
    it.field(&mut context, "appArmorProfile", &profiles);
    it.field(
        &mut context,
        "seLinuxOptions",
        &[
            json!({}),
            json!({"level": "s0:c9"}),
            json!({"type": "t", "new": 1}),
        ],
    );
    it.field(&mut context, "runAsNonRoot", &[json!(true), json!(false)]);
    it.field(&mut context, "runAsUser", &[json!(0), json!(7)]);
    it.field(&mut context, "runAsGroup", &[json!(0), json!(7)]);
    it.field(
        &mut context,
        "windowsOptions",
        &[
            json!({}),
            json!({"hostProcess": true, "runAsUserName": "a"}),
        ],
    );
    unknown(it, &mut context);
    context
}
