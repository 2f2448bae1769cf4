//! In the place of the API server's `PodSecurity` plugin, which the harness switches off: namespace labels decide.

use std::process::Command;

use serde_json::{Value, json};

use super::harness::{LABEL, cluster};

const CONFIGURATION: &str = "apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
exemptions: {usernames: [exempt-user]}
";

#[test]
fn upstreams_own_suite_passes() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("conformance")
        .policy("configuration.yaml", CONFIGURATION)
        .start();
    if Command::new("go").arg("version").output().is_err() {
        let message = "SKIPPED: upstream's suite is in Go, and Go does not run";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("{message}");
        return;
    }
    let output = Command::new("go")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance"))
        .args(["test", "./suite", "-count=1", "-v"])
        .env("KUBECONFIG", &cluster.kubectl().kubeconfig)
        .env("PODGATE_TEST_GATE", format!("{LABEL}={}", gate.name()))
        .output()
        .expect("Go runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.matches("--- PASS: ").count();
    let failed: Vec<&str> = text
        .lines()
        .filter(|it| it.contains("--- FAIL: "))
        .take(20)
        .collect();
    assert!(
        output.status.success() && failed.is_empty(),
        "{failed:#?}\n{}\n{}",
        &text[text.len().saturating_sub(4000)..],
        gate.log()
    );
    // It is all there: the suite says so itself by the number of its parts.
    assert!(passed >= 751, "{passed} passed");
}

#[test]
fn a_namespace_is_labelled_used_relabelled_and_exempt() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("labels")
        .policy("configuration.yaml", CONFIGURATION)
        .start();
    let enforce = ("pod-security.kubernetes.io/enforce", "baseline");
    let warn = ("pod-security.kubernetes.io/warn", "restricted");
    let ns = gate.namespace_labelled("labels", &[enforce, warn]);
    let pod = |name: &str, spec: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{{spec}, containers: [{{name: a, image: registry.example/a:1}}]}}\n"
        )
    };

    let output = ns.apply(&pod("web", "hostPID: true"));
    output.expect_failure();
    assert!(
        ns.redact(&output.stderr).contains(
            "denied the request: pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"
        ),
        "{output}"
    );

    let output = ns.apply(&pod("web", "hostPID: false"));
    output.expect_success();
    assert_eq!(
        output.warnings(),
        [
            "would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
        ]
    );

    let label = |value: &str| {
        let label = format!("pod-security.kubernetes.io/enforce={value}");
        cluster
            .kubectl()
            .run(&["label", "--overwrite", "namespace", &ns.name, &label])
    };
    // What runs already is told to whoever makes the namespace stricter, and stays.
    let output = label("restricted");
    output.expect_success();
    let warnings: Vec<String> = output
        .warnings()
        .into_iter()
        .map(|it| ns.redact(it))
        .collect();
    assert_eq!(
        warnings,
        [
            "existing pods in namespace \"NAMESPACE\" violate the new PodSecurity enforce level \"restricted:latest\"",
            "web: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ]
    );

    let output = label("basline");
    output.expect_failure();
    assert!(
        output.stderr.contains(
            "is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"basline\": must be one of privileged, baseline, restricted"
        ),
        "{output}"
    );

    let output = ns.kubectl_with_input(
        &[
            "create",
            "--as=exempt-user",
            "--as-group=system:masters",
            "--filename=-",
        ],
        &pod("exempt", "hostPID: true"),
    );
    output.expect_success();
    let events = ns.audit_events();
    let exempt = events
        .iter()
        .filter_map(|it| it["annotations"].get("gate.podgate.dev/exempt"))
        .next_back();
    assert_eq!(exempt.and_then(|it| it.as_str()), Some("user"));

    let (_, metrics) = gate.admin("/metrics");
    for series in [
        "pod_security_evaluations_total{decision=\"deny\",policy_level=\"baseline\",policy_version=\"latest\",mode=\"enforce\",request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1",
        "pod_security_evaluations_total{decision=\"deny\",policy_level=\"restricted\",policy_version=\"latest\",mode=\"warn\",request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1",
        "pod_security_exemptions_total{request_operation=\"create\",resource=\"pod\",subresource=\"\"} 1",
    ] {
        assert!(
            metrics.lines().any(|line| line == series),
            "{series} is not in\n{metrics}"
        );
    }

    label("privileged").expect_success();
    // What the gate knows of a namespace may be a moment old, as for the API server's own plugin.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !ns.apply(&pod("free", "hostPID: true")).status.success() {
        assert!(std::time::Instant::now() < deadline, "{}", gate.log());
    }
}

/// More than upstream looks at, made by one controller, and one Pod of another in the last page.
const MANY: usize = 3005;

#[test]
fn a_crowded_namespace_is_made_stricter_within_upstreams_limits() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("crowded")
        .policy("configuration.yaml", CONFIGURATION)
        .start();
    let ns = gate.namespace_labelled("crowded", &[]);
    let pod = |name: String, controller: &str, spec: Value| {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": controller, "uid": controller, "controller": true});
        let metadata = json!({"name": name, "ownerReferences": [owner]});
        let mut pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        pod["spec"]["containers"] = json!([{"name": "a", "image": "registry.example/a:1"}]);
        (format!("/api/v1/namespaces/{}/pods", ns.name), pod)
    };
    let many = (0..MANY).map(|at| pod(format!("many-{at:04}"), "one", json!({"hostPID": true})));
    let late = pod("z-late".to_owned(), "other", json!({"hostIPC": true}));
    cluster.create_all(many.chain([late]));

    let output = cluster.kubectl().run(&[
        "label",
        "namespace",
        &ns.name,
        "pod-security.kubernetes.io/enforce=baseline",
    ]);
    output.expect_success();
    let warnings: Vec<String> = output
        .warnings()
        .into_iter()
        .map(|it| ns.redact(it))
        .collect();
    // Within a second: on a busy machine fewer are looked at, and that is said too.
    let [limit, violate, rest @ ..] = &warnings[..] else {
        unreachable!("{output}")
    };
    assert!(
        limit.starts_with("new PodSecurity enforce level only checked against the first "),
        "{output}"
    );
    assert!(limit.ends_with(" of 3006 existing pods"), "{output}");
    assert_eq!(
        violate,
        "existing pods in namespace \"NAMESPACE\" violate the new PodSecurity enforce level \"baseline:latest\""
    );
    assert!(
        rest[0].starts_with("many-0000 (and ")
            && rest[0].ends_with(" other pods): host namespaces"),
        "{output}"
    );
}
