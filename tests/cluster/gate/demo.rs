//! What `podgate demo` prints is what kubectl prints.

use serde_json::json;

use super::super::harness::{LABEL, cluster, default_service_account};

/// Held to the binary by `tests/server/demo.rs`.
const SHOWN: &str = include_str!("../../server/demo.txt");

#[test]
fn the_demo_shows_word_for_word_what_kubectl_prints() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster.gate("demo").policies_from("policies").start();
    // The examples name their namespace.
    let labels = json!({LABEL: gate.name()});
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}});
    let items = [shop, default_service_account("shop")];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let kubectl = cluster.kubectl();
    kubectl
        .run_with_input(&["create", "-f", "-"], &list.to_string())
        .expect_success();

    let commands: Vec<&str> = SHOWN.split("\n$ kubectl ").skip(1).collect();
    assert_eq!(commands.len(), 4);
    for shown in commands {
        let (command, rest) = shown.split_once('\n').unwrap();
        let (expected, _) = rest.split_once("\n\n").unwrap();
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = kubectl.run(&arguments);
        let printed = format!("{}{}", output.stderr, output.stdout);
        assert_eq!(printed.trim_end(), expected, "{command}");
    }

    // And of the one that gets defaults, the lines with a plus.
    let get = ["get", "pod", "web", "--namespace=shop", "--output=json"];
    let stored = kubectl.run(&get).json()["spec"].take();
    let of_pod = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(stored["securityContext"], of_pod);
    let of_container = json!({"allowPrivilegeEscalation": false});
    assert_eq!(stored["containers"][0]["securityContext"], of_container);
}
