//! A Pod of many containers: nobody is left out, and the text can still be read.

use serde_json::{Value, json};

use super::super::harness::cluster;
use super::{deployment, restricted_container, strict};

const CONTAINERS: usize = 40;

/// With defaults of all places: on the Pod, and in each container.
const HARDENED: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: hardened}
spec:
  mode: enforce
  level: restricted
  inject: {seccompProfile: RuntimeDefault, allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}}
";

fn name(number: usize) -> String {
    format!("worker-{number:02}")
}

/// 40 containers, of which every fourth is an init container.
fn pod_of_many(security_context: &Value) -> Value {
    let (mut init, mut regular) = (Vec::new(), Vec::new());
    for number in 0..CONTAINERS {
        let mut container = json!({"name": name(number), "image": "registry.example/worker:1"});
        if let Some(context) = security_context.as_object().filter(|it| !it.is_empty()) {
            container["securityContext"] = json!(context);
        }
        if number % 4 == 0 {
            &mut init
        } else {
            &mut regular
        }
        .push(container);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "many"},
        "spec": {"initContainers": init, "containers": regular},
    })
}

#[test]
fn forty_bad_containers_are_one_rejection_that_names_them_all() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("many");
    let bad = pod_of_many(&json!({"privileged": true}));

    let output = ns.kubectl_with_input(&["create", "-v=5", "-f", "-"], &bad.to_string());

    output.expect_failure();
    let status = output.status_object();
    let message = ns.redact(status["message"].as_str().unwrap());
    let names = |numbers: Vec<usize>| {
        numbers
            .into_iter()
            .map(|it| format!("\"{}\"", name(it)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    // In the order of the lists, and no line but these.
    let (init, regular): (Vec<_>, Vec<_>) = (0..CONTAINERS).partition(|it| it % 4 == 0);
    let all = names([init, regular].concat());
    assert_eq!(
        message,
        format!(
            "error when creating \"STDIN\": admission webhook \"gate.podgate.dev\" denied the request: Pod NAMESPACE/many breaks policy \"strict\": 40 findings (privileged)
  1. containers {all}: spec.initContainers[0-9].securityContext.privileged and spec.containers[0-29].securityContext.privileged is true; must be false or unset
     fix: securityContext: {{privileged: false}}
try it before applying: podgate check FILE"
        )
    );
    let causes = status["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), CONTAINERS);
}

#[test]
fn forty_bad_containers_of_a_template_are_one_warning_that_still_says_what_is_wrong() {
    let Some(gate) = strict() else { return };
    let ns = gate.namespace("crowd");
    let bad = deployment(&pod_of_many(&json!({"privileged": true})));

    let output = ns.create_from(&bad.to_string());

    output.expect_success();
    // Cut at what a warning may hold, and not before the field and its value.
    assert_eq!(
        output.warnings(),
        [
            "its Pods will be rejected: policy \"strict\": containers \"worker-00\", \"worker-04\", \"worker-08\" and 37 more: spec.template.spec.initContainers[0-9].securityContext.privileged and spec.template.spec.containers[0-29].securityContext.privileged is true; mu…"
        ]
    );
}

#[test]
fn forty_containers_are_injected_each() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("forty")
        .policy("hardened.yaml", HARDENED)
        .start();
    let ns = gate.namespace("forty");

    ns.create_from(&pod_of_many(&json!({})).to_string())
        .expect_success();

    let stored = ns.get_json("pod", "many")["spec"].take();
    assert_eq!(
        stored["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let containers = ["initContainers", "containers"]
        .map(|list| stored[list].as_array().unwrap().as_slice())
        .concat();
    assert_eq!(containers.len(), CONTAINERS);
    for container in containers {
        assert_eq!(
            container["securityContext"],
            restricted_container(),
            "{container:#}"
        );
    }
}
