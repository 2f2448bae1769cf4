//! What is decided, and how it is said.

use serde_json::json;

use crate::support::{
    answer, create, defaults, mutate, policies, policy, recorded, update, validate,
};
use podgate::decision::Stage;

#[test]
fn a_rejection_says_what_where_and_how_to_mend_it() {
    let pod = json!({"metadata": {"name": "web"}, "spec": {"hostPID": true, "containers": [
        {"name": "app", "image": "a", "securityContext": {"privileged": true}},
        {"name": "side", "image": "b", "securityContext": {"privileged": true}}]}});
    let set = policy("{mode: enforce, controls: {privileged: {}, hostNamespaces: {}}}");
    let response = validate(&set, &create("", "pods", &pod));
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["status"]["reason"], "Forbidden");
    assert_eq!(
        response["status"]["message"],
        "Pod shop/web breaks policy \"p\": 3 findings (privileged, hostNamespaces)\n  \
         1. containers \"app\", \"side\": spec.containers[0,1].securityContext.privileged is true; must be false or unset\n     \
         fix: securityContext: {privileged: false}\n  \
         2. spec.hostPID is true; must be false or unset\n     \
         fix: spec: {hostPID: false}\n\
         try it before applying: podgate check FILE"
    );
    assert_eq!(
        response["status"]["details"]["causes"][1],
        json!({"reason": "FieldValueForbidden", "field": "spec.containers[1].securityContext.privileged",
               "message": "[privileged] container \"side\": must be false or unset; found true"})
    );
}

#[test]
fn a_fix_that_another_one_makes_possible_is_told_with_it() {
    // The API server takes no `allowPrivilegeEscalation: false` beside `privileged: true`.
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [
        {"name": "app", "image": "a", "securityContext": {"privileged": true}}]}});
    let alone = policy("{mode: enforce, controls: {allowPrivilegeEscalation: {}}}");
    let response = validate(&alone, &create("", "pods", &pod));
    let message = response["status"]["message"].as_str().unwrap();
    assert!(!message.contains("fix: "), "{message}");
    let both = policy("{mode: enforce, controls: {privileged: {}, allowPrivilegeEscalation: {}}}");
    let response = validate(&both, &create("", "pods", &pod));
    let message = response["status"]["message"].as_str().unwrap();
    for fix in ["{privileged: false}", "{allowPrivilegeEscalation: false}"] {
        let line = format!("\n     fix: securityContext: {fix}\n");
        assert!(message.contains(&line), "{message}");
    }
    // Who is only warned of `privileged` is not told to mend it, so the rest of the fix would not be accepted.
    let split = policy(
        "{mode: enforce, controls: {privileged: {mode: warn}, allowPrivilegeEscalation: {}}}",
    );
    let response = validate(&split, &create("", "pods", &pod));
    let message = response["status"]["message"].as_str().unwrap();
    assert!(!message.contains("fix: "), "{message}");
}

#[test]
fn where_room_is_scarce_many_containers_do_not_crowd_out_what_is_wrong() {
    let containers: Vec<_> = (0..40)
        .map(|it| json!({"name": format!("worker-{it}"), "image": "a", "securityContext": {"privileged": true}}))
        .collect();
    let mut pod = json!({"metadata": {"name": "web"}, "spec": {"containers": containers}});
    let statement = "containers \"worker-0\", \"worker-1\", \"worker-2\" and 37 more: \
                     spec.containers[0-39].securityContext.privileged is true; must be false or unset";
    let warn = policy("{mode: warn, controls: {privileged: {}}}");
    let response = validate(&warn, &create("", "pods", &pod));
    assert_eq!(
        response["warnings"],
        json!([format!("policy \"p\": {statement}")])
    );
    // A controller puts the text into an Event.
    pod["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "web-1", "controller": true}]);
    let mut review = create("", "pods", &pod);
    review["request"]["userInfo"]["username"] =
        json!("system:serviceaccount:kube-system:replicaset-controller");
    let enforce = policy("{mode: enforce, controls: {privileged: {}}}");
    assert_eq!(
        validate(&enforce, &review)["status"]["message"],
        format!(
            "Pod shop/web (of ReplicaSet web-1) breaks policy \"p\": 40 findings (privileged): {statement}"
        )
    );
}

#[test]
fn a_template_is_warned_of_at_its_own_path() {
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": "a", "securityContext": {"privileged": true}}]}}}});
    let response = validate(
        &policy("{mode: enforce, controls: {privileged: {}}}"),
        &create("apps", "deployments", &deployment),
    );
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"],
        json!([
            "its Pods will be rejected: policy \"p\": container \"app\": \
                spec.template.spec.containers[0].securityContext.privileged is true; must be false or unset"
        ])
    );
    // An edit that leaves it as it was is admitted, but its Pods are not.
    let edited = update("apps", "deployments", &deployment, &deployment);
    let strict = policy("{mode: enforce, workloads: enforce, controls: {privileged: {}}}");
    for set in [
        policy("{mode: enforce, controls: {privileged: {}}}"),
        strict,
    ] {
        let edited = validate(&set, &edited);
        assert_eq!(edited["allowed"], true);
        assert_eq!(edited["warnings"], response["warnings"]);
    }
    let strict = policy("{mode: enforce, workloads: enforce, controls: {privileged: {}}}");
    assert_eq!(
        validate(&strict, &create("apps", "deployments", &deployment))["allowed"],
        false
    );
    let ignored = policy("{mode: enforce, workloads: ignore, controls: {privileged: {}}}");
    assert_eq!(
        validate(&ignored, &create("apps", "deployments", &deployment))["warnings"],
        json!(null)
    );
}

#[test]
fn a_template_is_never_rewritten() {
    let set = policy("{inject: {seccompProfile: RuntimeDefault}}");
    for name in [
        "024-create-deployments",
        "051-create-statefulsets",
        "052-create-daemonsets",
        "053-create-replicationcontrollers",
        "055-create-podtemplates",
        "056-create-jobs",
        "057-create-cronjobs",
    ] {
        let review = recorded(name);
        let response = answer(&set, Stage::Mutate, &review);
        assert_eq!(
            response,
            json!({"uid": review["request"]["uid"], "allowed": true}),
            "{name}"
        );
    }
}

#[test]
fn an_update_is_rejected_only_for_what_it_makes_worse() {
    let pod = |privileged: &[bool]| {
        let containers: Vec<_> = privileged
            .iter()
            .enumerate()
            .map(|(index, it)| json!({"name": format!("c{index}"), "image": "a", "securityContext": {"privileged": it}}))
            .collect();
        json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "a", "securityContext": {"privileged": true}}],
               "ephemeralContainers": containers}})
    };
    let set = policy("{mode: enforce, controls: {privileged: {}}}");
    assert_eq!(
        validate(&set, &create("", "pods", &pod(&[])))["allowed"],
        false
    );
    let mut label = update("", "pods", &pod(&[]), &pod(&[]));
    label["request"]["object"]["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(
        validate(&set, &label),
        json!({"uid": "u-1", "allowed": true})
    );
    let harmless = update("", "pods", &pod(&[]), &pod(&[false]));
    let response = validate(&set, &harmless);
    assert_eq!(response["allowed"], true, "{response}");
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("broken before, not rejected: "),
        "{warning}"
    );
    let response = validate(&set, &update("", "pods", &pod(&[]), &pod(&[true])));
    assert_eq!(response["allowed"], false);
    assert_eq!(
        response["status"]["details"]["causes"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn every_selected_policy_speaks_in_one_rejection() {
    let two = policies(
        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: one}\nspec: {mode: enforce, controls: {privileged: {}}}\n---\n\
         apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: two}\nspec: {mode: enforce, controls: {hostNamespaces: {}}}\n---\n\
         apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: else}\nspec: {mode: enforce, match: {namespaces: [other]}, controls: {runAsNonRoot: {}}}\n",
    );
    let pod = json!({"spec": {"hostPID": true, "containers": [{"name": "a", "securityContext": {"privileged": true}}]}});
    let message = validate(&two, &create("", "pods", &pod))["status"]["message"].to_string();
    assert!(
        message.contains(
            r#"breaks policies \"one\", \"two\": 2 findings (privileged, hostNamespaces)"#
        ),
        "{message}"
    );
    assert!(
        message.contains(r#"[policy \"two\"]"#) && !message.contains("runAsNonRoot"),
        "{message}"
    );
}

#[test]
fn injection_touches_nothing_that_is_set_and_keeps_what_podgate_does_not_know() {
    let set = policy("{inject: {runAsNonRoot: true, allowPrivilegeEscalation: false}}");
    let pod = json!({"metadata": {"name": "web"}, "spec": {"futureField": {"x": [1, 2.50]}, "containers": [
        {"name": "a", "image": "a", "futureToo": true},
        {"name": "b", "image": "b", "securityContext": {"allowPrivilegeEscalation": true, "somethingNew": 1}},
        {"name": "c", "image": "c", "securityContext": {"privileged": true}}]}});
    let review = create("", "pods", &pod);
    let after = mutate(&set, &review);
    let mut expected = pod;
    expected["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    expected["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false});
    assert_eq!(after, expected);
    // A second run has nothing to add.
    let again = answer(&set, Stage::Mutate, &create("", "pods", &after));
    assert_eq!(again, json!({"uid": "u-1", "allowed": true}));
    let annotation = answer(&set, Stage::Mutate, &review)["auditAnnotations"]["injected"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        annotation,
        r#"{"p":{"spec.containers[0].securityContext.allowPrivilegeEscalation":false,"spec.securityContext.runAsNonRoot":true}}"#
    );
}

#[test]
fn a_controller_is_told_in_one_line_that_fits_an_event() {
    let mut review = create(
        "",
        "pods",
        &json!({"metadata": {"generateName": "web-7d-", "ownerReferences": [
        {"kind": "ReplicaSet", "name": "web-7d", "controller": true}]}, "spec": {"containers": [{"name": "a", "securityContext": {"privileged": true}}]}}),
    );
    review["request"]["name"] = json!("");
    let set = policy("{mode: enforce, controls: {privileged: {}}}");
    for controller in [
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:kube-controller-manager",
    ] {
        review["request"]["userInfo"]["username"] = json!(controller);
        let response = validate(&set, &review);
        assert_eq!(
            response["status"]["message"],
            "Pod shop/web-7d- (of ReplicaSet web-7d) breaks policy \"p\": 1 finding (privileged): container \"a\": \
             spec.containers[0].securityContext.privileged is true; must be false or unset"
        );
    }
}

#[test]
fn recorded_reviews_are_answered_as_they_deserve() {
    let set = defaults();
    for (name, allowed) in [
        ("003-create-pods", true),
        ("007-update-pods", true),
        ("017-create-pods_binding", true),
        ("018-create-pods_eviction", true),
        ("019-connect-pods_exec", true),
        ("024-create-deployments", true),
        ("026-create-pods", false),
        ("041-update-deployments_scale", true),
        ("057-create-cronjobs", true),
        ("058-delete-pods", true),
    ] {
        assert_eq!(
            validate(&set, &recorded(name))["allowed"],
            allowed,
            "{name}"
        );
    }
}

#[test]
fn injections_do_not_depend_on_the_names_or_the_order_of_policies() {
    let set = |first: &str, second: &str, [one, two]: [&str; 2]| {
        policies(&format!(
            "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: {first}}}\nspec: {{inject: {{capabilities: {one}}}}}\n---\n\
             apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: {second}}}\nspec: {{inject: {{capabilities: {two}}}}}\n"
        ))
    };
    let pod = json!({"spec": {"containers": [{"name": "a"}]}});
    for (capabilities, expected) in [
        (
            ["{drop: [ALL]}", "{add: [CHOWN]}"],
            json!({"add": ["CHOWN"], "drop": ["ALL"]}),
        ),
        (
            ["{drop: [ALL]}", "{drop: [NET_RAW]}"],
            json!({"drop": ["ALL"]}),
        ),
    ] {
        for (first, second) in [("a", "b"), ("b", "a")] {
            let set = set(first, second, capabilities);
            let after = mutate(&set, &create("", "pods", &pod));
            assert_eq!(
                after["spec"]["containers"][0]["securityContext"]["capabilities"],
                expected
            );
            assert_eq!(mutate(&set, &create("", "pods", &after)), after);
        }
    }
}

#[test]
fn a_word_of_seccomp_is_no_app_armor_profile() {
    let pod = json!({"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "docker/default"}},
                     "spec": {"containers": [{"name": "a"}]}});
    let response = validate(
        &policy("{mode: enforce, level: baseline}"),
        &create("", "pods", &pod),
    );
    assert_eq!(response["allowed"], false, "{response}");
}

#[test]
fn a_policy_for_some_requesters_concerns_also_one_who_is_not_known() {
    let set = policy(
        "{mode: enforce, match: {users: [jane], groups: [devs]}, controls: {privileged: {}}}",
    );
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "i", "securityContext": {"privileged": true}}]}});
    let mut review = create("", "pods", &pod);
    for (user, groups, allowed) in [
        ("jane", json!(["devs"]), false),
        ("jane", json!(["ops"]), true),
        ("john", json!(["devs"]), true),
        ("", json!([]), false),
    ] {
        review["request"]["userInfo"] = json!({"username": user, "groups": groups});
        assert_eq!(
            validate(&set, &review)["allowed"],
            allowed,
            "{user} {groups}"
        );
    }
}
