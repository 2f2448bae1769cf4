//! In the place of the API server's `PodSecurity` plugin, which the harness switches off: namespace labels decide.

use std::process::Command;

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

    label("privileged").expect_success();
    // What the gate knows of a namespace may be a moment old, as for the API server's own plugin.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !ns.apply(&pod("free", "hostPID: true")).status.success() {
        assert!(std::time::Instant::now() < deadline, "{}", gate.log());
    }
}
