//! Every fix that a rejection prints, typed into the Pod as it stands there.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::annotations::APP_ARMOR_APP;
use super::odd::{odd_pods, try_all};
use super::pod;

const POLICY: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: hardened}
spec:
  mode: enforce
  level: restricted
  controls: {readOnlyRootFilesystem: {}, automountServiceAccountToken: {}}
";

/// A rejection shows eight items; this many rejections are enough for every control there is.
const ROUNDS: usize = 4;

/// Breaks every control that can be mended, in three containers, in different ways.
fn bad_pod() -> Value {
    let mut pod = pod(
        "web",
        json!({
            "privileged": true, "capabilities": {"add": ["NET_BIND_SERVICE", "NET_ADMIN"]},
            "seccompProfile": {"type": "Unconfined"},
        }),
    );
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["hostPID"] = json!(true);
    pod["spec"]["hostIPC"] = json!(true);
    pod["spec"]["securityContext"] = json!({
        "runAsNonRoot": false, "seLinuxOptions": {"user": "root", "level": "s0:c1,c2"},
        "appArmorProfile": {"type": "Unconfined"}, "seccompProfile": {"type": "Unconfined"},
    });
    pod["spec"]["initContainers"] = json!([{
        "name": "prepare", "image": "registry.example/prepare:1",
        "securityContext": {
            "allowPrivilegeEscalation": true, "runAsNonRoot": false, "seLinuxOptions": {"type": "spc_t"},
            "appArmorProfile": {"type": "Unconfined"}, "capabilities": {"add": ["SYS_TIME"], "drop": ["NET_RAW"]},
        },
    }]);
    let plain = json!({"name": "side", "image": "registry.example/side:1"});
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(plain);
    pod
}

/// The names between quotes in `containers "a", "b": …`; none for the Pod as a whole.
fn containers_named(item: &str) -> Vec<&str> {
    let Some(names) = item.strip_prefix("container") else {
        return Vec::new();
    };
    let (names, _) = names.split_once(": ").unwrap();
    names.split('"').skip(1).step_by(2).collect()
}

/// Writes one line of YAML into the Pod, as a reader would: at its path, or into each container named before it.
fn type_in(pod: &mut Value, item: &str, fix: &str) {
    let fix: Value = serde_saphyr::from_str(fix).unwrap();
    let (path, fields) = fix.as_object().unwrap().iter().next().unwrap();
    let targets: Vec<&mut Value> = match path.as_str() {
        "spec" => vec![&mut pod["spec"]],
        "spec.securityContext" => vec![&mut pod["spec"]["securityContext"]],
        "securityContext" => {
            let names = containers_named(item);
            assert!(!names.is_empty(), "whose? {item}");
            let spec = pod["spec"].as_object_mut().unwrap();
            spec.iter_mut()
                .filter(|(field, _)| *field == "initContainers" || *field == "containers")
                .flat_map(|(_, list)| list.as_array_mut().unwrap())
                .filter(|it| names.iter().any(|name| it["name"] == **name))
                .map(|it| &mut it["securityContext"])
                .collect()
        }
        other => panic!("nobody knows where {other:?} is"),
    };
    for target in targets {
        for (field, value) in fields.as_object().unwrap() {
            match (field.as_str(), value.as_object()) {
                // A list that the fix does not mention stays.
                ("capabilities", Some(lists)) => {
                    for (list, value) in lists {
                        target[field][list] = value.clone();
                    }
                }
                _ => target[field] = value.clone(),
            }
        }
    }
}

/// Types in every fix of a rejection; false if it prints none.
fn mend(pod: &mut Value, rejection: &str) -> bool {
    let lines: Vec<&str> = rejection.lines().map(str::trim).collect();
    let mut is_mended = false;
    for pair in lines.windows(2) {
        if let Some(fix) = pair[1].strip_prefix("fix: ") {
            let (_, item) = pair[0].split_once(". ").unwrap();
            type_in(pod, item, fix);
            is_mended = true;
        }
    }
    is_mended
}

#[test]
fn a_pod_with_every_printed_fix_typed_in_is_admitted() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("fixes")
        .policy("hardened.yaml", POLICY)
        .start();
    let ns = gate.namespace("fixes");
    let mut pod = bad_pod();

    for _ in 0..ROUNDS {
        let output = ns.create_from(&pod.to_string());
        if output.succeeded() {
            return;
        }
        output.expect_stderr("breaks policy \"hardened\"");
        assert!(
            mend(&mut pod, &output.stderr),
            "nothing to mend it by\n{output}"
        );
    }
    panic!("still not admitted after {ROUNDS} rounds: {pod:#}");
}

/// Asks for whatever a fix can be printed for.
const EVERYTHING: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: everything}
spec:
  mode: enforce
  level: restricted
  controls:
    readOnlyRootFilesystem: {}
    automountServiceAccountToken: {}
    hostUsers: {}
    appArmor: {required: true}
    runAsUser: {ranges: [{min: 10000, max: 20000}], rule: must}
    runAsGroup: {ranges: [{min: 10000, max: 20000}], rule: must}
    fsGroup: {ranges: [{min: 10000, max: 20000}], rule: must}
    supplementalGroups: {ranges: [{min: 10000, max: 20000}], rule: must}
    seLinux: {must: {level: \"s0:c1,c2\"}}
";

#[test]
fn the_api_server_takes_every_printed_fix() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("taken")
        .policy("everything.yaml", EVERYTHING)
        .start();
    let ns = gate.namespace("taken");
    let mut pods = odd_pods();
    let mut without_fix = Vec::new();

    for _ in 0..ROUNDS {
        let output = try_all(&ns, &pods);
        // Each begins with who refused it: nobody but podgate.
        let refusals: Vec<&str> = output.stderr.split("Error from server ").skip(1).collect();
        assert!(!output.stderr.contains("is invalid"), "{output}");
        pods.retain_mut(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let said = format!("/{name} breaks policy \"everything\": ");
            let Some(rejection) = refusals.iter().find(|it| it.contains(&said)) else {
                assert!(
                    output.stdout.contains(&format!("pod/{name} created")),
                    "{name}: {output}"
                );
                return false;
            };
            let is_mended = mend(pod, rejection);
            if !is_mended {
                let items = rejection.lines().filter_map(|it| it.strip_prefix("  1. "));
                without_fix.extend(items.map(str::to_owned));
            }
            is_mended
        });
        if pods.is_empty() {
            break;
        }
    }

    assert_eq!(pods, Vec::<Value>::new(), "the fixes do not help");
    // Where the API server would refuse it, no fix is printed.
    let app_armor = format!("metadata.annotations[{APP_ARMOR_APP}]");
    assert_eq!(
        without_fix,
        [
            "spec.hostUsers is unset; must be false",
            "container \"app\": spec.containers[0].securityContext.seccompProfile is unset; must be RuntimeDefault or Localhost/*",
            &format!(
                "{app_armor} is \"unconfined\"; must be runtime/default or localhost/* or unset"
            ),
            "container \"app\": spec.containers[0].securityContext.appArmorProfile is unset; must be RuntimeDefault or Localhost/*",
        ]
    );
}
