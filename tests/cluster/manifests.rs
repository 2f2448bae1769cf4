//! What `manifests/` installs, as kustomize renders it and a real API server sees it.

use std::{fs, path::Path, process::Command};

use podgate::policy::{Mode, PolicySet, SHIPPED, Workloads};
use serde_json::{Value, json};

use super::harness::{SERVICE_ACCOUNT, cluster};
use super::objects::Objects;

/// What each of the installs consists of; those of cert-manager's kinds need its CRDs.
const EVERYWHERE: [&str; 16] = [
    "namespace/podgate-system",
    "resourcequota/podgate-critical-pods",
    "serviceaccount/podgate",
    "role.rbac.authorization.k8s.io/podgate",
    "rolebinding.rbac.authorization.k8s.io/podgate",
    "clusterrole.rbac.authorization.k8s.io/podgate",
    "clusterrole.rbac.authorization.k8s.io/podgate-events",
    "clusterrolebinding.rbac.authorization.k8s.io/podgate",
    "clusterrolebinding.rbac.authorization.k8s.io/podgate-events",
    "configmap/podgate-policies",
    "service/podgate",
    "networkpolicy.networking.k8s.io/podgate",
    "deployment.apps/podgate",
    "poddisruptionbudget.policy/podgate",
    "mutatingwebhookconfiguration.admissionregistration.k8s.io/podgate",
    "validatingwebhookconfiguration.admissionregistration.k8s.io/podgate",
];

/// What only podgate's own certificates need.
const CERTIFICATES: [&str; 4] = [
    "role.rbac.authorization.k8s.io/podgate-certificates",
    "rolebinding.rbac.authorization.k8s.io/podgate-certificates",
    "clusterrole.rbac.authorization.k8s.io/podgate-certificates",
    "clusterrolebinding.rbac.authorization.k8s.io/podgate-certificates",
];

#[test]
fn the_api_server_accepts_every_install_without_a_warning() {
    let Some(cluster) = cluster() else { return };
    for (directory, certificates) in [
        ("manifests", &CERTIFICATES[..]),
        ("manifests/overlays/audit", &CERTIFICATES[..]),
        ("manifests/overlays/files", &[]),
        ("manifests/overlays/client-certificates", &CERTIFICATES[..]),
    ] {
        let output = cluster
            .kubectl()
            .run(&["apply", "--dry-run=server", "-k", directory]);

        output.expect_success();
        // The namespace and the rights were created for the tests, not applied; kubectl remarks on that.
        let warnings = output.warnings();
        let others: Vec<_> = warnings
            .iter()
            .filter(|it| !it.contains("last-applied-configuration"))
            .collect();
        assert!(others.is_empty(), "{output}");
        let mut applied: Vec<_> = output
            .stdout
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        applied.sort_unstable();
        let mut expected = [&EVERYWHERE[..], certificates].concat();
        expected.sort_unstable();
        assert_eq!(applied, expected, "{directory}");
    }
}

#[test]
fn the_policies_of_the_install_are_the_shipped_ones() {
    let Some(cluster) = cluster() else { return };
    let objects = Objects::of(cluster, "manifests");
    let policies = objects.get("ConfigMap", "podgate-policies");
    let shipped: serde_json::Map<String, Value> = SHIPPED
        .iter()
        .map(|(name, text)| ((*name).into(), json!(text)))
        .collect();
    assert_eq!(policies["data"], Value::Object(shipped));
    // A name with a hash would be another for each content, and podgate would have nothing to follow.
    let mounted = &objects.get("Deployment", "podgate")["spec"]["template"]["spec"];
    assert_eq!(
        mounted["volumes"][0],
        json!({"name": "policies", "configMap": {"name": "podgate-policies"}})
    );
}

#[test]
fn the_audit_overlay_refuses_and_changes_nothing() {
    let Some(cluster) = cluster() else { return };
    let objects = Objects::of(cluster, "manifests/overlays/audit");

    let policies = objects.get("ConfigMap", "podgate-policies");
    let files: Vec<(String, String)> = policies["data"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
        .collect();
    for (name, text) in &files {
        let (_, shipped) = SHIPPED.iter().find(|(it, _)| it == name).unwrap();
        assert_eq!(
            *text,
            in_audit_mode(shipped),
            "manifests/components/audit/{name} is policies/{name} with `mode: audit` and `workloads: audit`"
        );
    }
    let set = PolicySet::load("the overlay", &files).unwrap();
    assert_eq!(
        set.policies()
            .iter()
            .map(|it| &*it.name)
            .collect::<Vec<_>>(),
        ["baseline", "restricted"]
    );
    for policy in set.policies() {
        assert!(policy.checks.iter().all(|(_, mode)| *mode == Mode::Audit));
        assert_eq!(policy.workloads, Workloads::UpTo(Mode::Audit));
        assert!(policy.injections.is_empty());
    }

    assert_eq!(objects.variable("PODGATE_POD_SECURITY_LABELS"), "false");
    for policy in objects.of_each_webhook("failurePolicy") {
        assert_eq!(policy, "Ignore");
    }
    // Not because none was looked at.
    let enforcing = Objects::of(cluster, "manifests");
    assert_eq!(enforcing.variable("PODGATE_POD_SECURITY_LABELS"), "true");
    assert_eq!(
        enforcing.of_each_webhook("failurePolicy"),
        ["Fail", "Fail", "Fail"]
    );
}

/// A policy file as `components/audit` has it.
pub fn in_audit_mode(text: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((key @ ("  mode" | "  workloads"), _)) => format!("{key}: audit\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn certificates_from_elsewhere_leave_podgate_no_right_to_make_its_own() {
    let Some(cluster) = cluster() else { return };
    for overlay in ["files", "cert-manager"] {
        let objects = Objects::of(cluster, &format!("manifests/overlays/{overlay}"));
        assert!(!objects.names().contains("podgate-certificates"));
        for role in objects.all(&["Role", "ClusterRole"]) {
            let rules = role["rules"].to_string();
            assert!(!rules.contains("secrets"), "{role:#}");
            assert!(!rules.contains("webhookconfigurations"), "{role:#}");
        }
        assert_eq!(objects.variable("PODGATE_CERTIFICATES"), "files");
        let file = objects.variable("PODGATE_TLS_CERT");
        assert_eq!(file, "/etc/podgate/tls/tls.crt");
        let pod = &objects.get("Deployment", "podgate")["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        assert!(
            mounts
                .iter()
                .any(|it| it["mountPath"] == "/etc/podgate/tls")
        );
        let volumes = pod["volumes"].as_array().unwrap();
        assert!(
            volumes
                .iter()
                .any(|it| it["secret"]["secretName"] == "podgate-tls")
        );
    }
}

#[test]
fn cert_manager_is_asked_for_the_name_that_the_api_server_calls() {
    let Some(cluster) = cluster() else { return };
    let objects = Objects::of(cluster, "manifests/overlays/cert-manager");
    let webhooks = objects.all(&[
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]);
    assert_eq!(webhooks.len(), 2);
    for configuration in webhooks {
        assert_eq!(
            configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
            "podgate-system/podgate-tls"
        );
    }
    let certificate = objects.get("Certificate", "podgate-tls");
    assert_eq!(certificate["spec"]["secretName"], "podgate-tls");
    for service in objects.of_each_webhook("clientConfig") {
        let service = &service["service"];
        let name = format!(
            "{}.{}.svc",
            service["name"].as_str().unwrap(),
            service["namespace"].as_str().unwrap()
        );
        assert!(
            certificate["spec"]["dnsNames"]
                .as_array()
                .unwrap()
                .contains(&json!(name))
        );
    }
}

#[test]
fn the_pods_of_the_deployment_are_accepted() {
    let Some(cluster) = cluster() else { return };
    let namespace = cluster.namespace("deployed");
    namespace
        .kubectl(&["create", "serviceaccount", "podgate"])
        .expect_success();

    let template = deployment()["spec"]["template"].clone();
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("podgate");

    namespace.create_from(&pod.to_string()).expect_success();
}

/// What podgate asks of others. Its own namespace is excluded from the webhooks, so nobody else would ask it of podgate.
const RESTRICTED: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: restricted}
spec:
  mode: enforce
  workloads: enforce
  level: restricted
  controls: {readOnlyRootFilesystem: {}, runAsUser: {ranges: [{min: 10000, max: 70000}]}}
";

#[test]
fn the_deployment_keeps_what_podgate_asks_of_others() {
    let Some(cluster) = cluster() else { return };
    let gate = cluster
        .gate("itself")
        .policy("restricted.yaml", RESTRICTED)
        .start();
    let namespace = gate.namespace("itself");
    let mut deployment = deployment();
    deployment["metadata"]["namespace"] = json!(namespace.name);

    let output = namespace.apply(&deployment.to_string());
    output.expect_success();
    assert_eq!(output.warnings(), Vec::<&str>::new());

    // Not because nobody looked.
    deployment["spec"]["template"]["spec"]["hostPID"] = json!(true);
    namespace
        .apply(&deployment.to_string())
        .expect_failure()
        .expect_stderr("  1. spec.template.spec.hostPID is true; must be false or unset");
}

#[test]
fn check_has_nothing_to_say_about_the_deployment_either() {
    let directory = tempfile::tempdir().unwrap();
    let policies = directory.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("restricted.yaml"), RESTRICTED).unwrap();
    let check = |manifest: &Path| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_podgate"));
        check.arg("check").arg(manifest).arg("--output=json");
        let output = check.arg("--policies").arg(&policies).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), found)
    };

    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base/gate/deployment.yaml");
    let (status, found) = check(&shipped);
    assert_eq!(status, Some(0), "{found:#}");
    assert_eq!(found["summary"]["judged"], 1, "{found:#}");
    assert_eq!(found["objects"][0]["findings"], json!([]), "{found:#}");

    // Not because nobody looked.
    let worse = directory.path().join("worse.yaml");
    let text = fs::read_to_string(&shipped).unwrap();
    fs::write(&worse, text.replace("drop: [ALL]", "drop: []")).unwrap();
    let (status, found) = check(&worse);
    assert_eq!(status, Some(1), "{found:#}");
    assert_eq!(
        found["objects"][0]["findings"][0]["control"], "capabilities",
        "{found:#}"
    );
}

#[test]
fn the_service_account_may_do_what_the_roles_explain_and_nothing_else() {
    let Some(cluster) = cluster() else { return };
    let may = |verb: &str, resource: &str, place: &str| {
        let arguments = [
            "auth",
            "can-i",
            verb,
            resource,
            place,
            "--as",
            SERVICE_ACCOUNT,
        ];
        cluster.kubectl().run(&arguments).stdout.trim() == "yes"
    };
    let (everywhere, own, other) = (
        "--all-namespaces",
        "--namespace=podgate-system",
        "--namespace=default",
    );
    let webhooks = "validatingwebhookconfigurations/podgate";
    let others_webhooks = "validatingwebhookconfigurations/another";
    for (verbs, resource, place) in [
        ("get list watch", "namespaces", everywhere),
        ("list", "pods", everywhere),
        ("get patch", webhooks, everywhere),
        (
            "get patch",
            "mutatingwebhookconfigurations/podgate",
            everywhere,
        ),
        ("create", "secrets", own),
        ("get update", "secrets/podgate-certificates", own),
        ("create", "leases.coordination.k8s.io", own),
        ("get update", "leases.coordination.k8s.io/podgate", own),
        ("create patch", "events.events.k8s.io", own),
        ("create", "events.events.k8s.io", everywhere),
        ("get", "replicasets.apps", everywhere),
        ("get", "jobs.batch", everywhere),
    ] {
        for verb in verbs.split(' ') {
            assert!(may(verb, resource, place), "{verb} {resource} {place}");
        }
    }
    for (verbs, resource, place) in [
        ("update delete", "namespaces", everywhere),
        ("get watch create delete", "pods", everywhere),
        ("list create update delete", webhooks, everywhere),
        ("get patch", others_webhooks, everywhere),
        ("get create", "secrets", other),
        ("get list watch", "secrets", own),
        ("patch delete", "secrets/podgate-certificates", own),
        ("get", "secrets/podgate-certificates", other),
        ("patch delete", "leases.coordination.k8s.io/podgate", own),
        ("get patch", "leases.coordination.k8s.io/another", own),
        ("get patch", "configmaps", own),
        ("get list", "events.events.k8s.io", own),
        ("patch", "events.events.k8s.io", other),
        ("list", "replicasets.apps", everywhere),
    ] {
        for verb in verbs.split(' ') {
            assert!(!may(verb, resource, place), "{verb} {resource} {place}");
        }
    }
}

const PAGE: &str = include_str!("../../manifests/README.md");

/// The kustomizations that the page shows, each in a directory of its own beside what it calls `podgate`.
fn shown_kustomizations() -> Vec<tempfile::TempDir> {
    let blocks = PAGE.split("```yaml\n").skip(1);
    let blocks = blocks.map(|it| it.split("```").next().unwrap());
    let shown = blocks.filter(|it| it.contains("kind: Kustomization"));
    shown
        .map(|text| {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let link = directory.path().join("podgate");
            std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), link).unwrap();
            let own = directory.path().join("own");
            fs::create_dir(&own).unwrap();
            fs::write(own.join("kustomization.yaml"), text).unwrap();
            for file in ["baseline.yaml", "team.yaml"] {
                fs::write(own.join(file), file).unwrap();
            }
            directory
        })
        .collect()
}

#[test]
fn the_kustomizations_that_the_page_shows_do_what_it_says() {
    let Some(cluster) = cluster() else { return };
    let shown = shown_kustomizations();
    let rendered: Vec<Objects> = shown
        .iter()
        .map(|it| Objects::of(cluster, it.path().join("own").to_str().unwrap()))
        .collect();
    let [settings, patched] = &rendered[..] else {
        panic!("the page shows {} kustomizations", rendered.len());
    };

    let deployment = &settings.get("Deployment", "podgate")["spec"];
    let pod = &deployment["template"]["spec"];
    assert_eq!(deployment["replicas"], 3);
    assert_eq!(
        pod["containers"][0]["image"],
        "registry.example/podgate:0.1.0"
    );
    // One ConfigMap, of the name that is mounted.
    assert_eq!(pod["volumes"][0]["configMap"]["name"], "podgate-policies");
    let policies = &settings.get("ConfigMap", "podgate-policies")["data"];
    let shipped = |name| SHIPPED.iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!(
        *policies,
        json!({
            "baseline.yaml": "baseline.yaml",
            "team.yaml": "team.yaml",
            "inject-defaults.yaml": shipped("inject-defaults.yaml"),
            "restricted.yaml": shipped("restricted.yaml"),
        })
    );

    let selectors = patched.of_each_webhook("namespaceSelector");
    assert_eq!(selectors.len(), 3);
    for selector in selectors {
        assert_eq!(
            selector["matchExpressions"][0]["values"],
            json!(["kube-system", "podgate-system", "calico-system"])
        );
    }
    assert!(!patched.names().contains("podgate-events"));
    assert_eq!(patched.variable("PODGATE_LISTEN"), "[::]:8443");
    assert_eq!(patched.variable("PODGATE_CERTIFICATES"), "files");
    assert_eq!(patched.variable("PODGATE_POD_SECURITY_LABELS"), "false");
    assert_eq!(
        patched.get("NetworkPolicy", "podgate")["spec"]["egress"][0]["ports"][2]["port"],
        16443
    );
}

#[test]
fn the_prometheus_operator_is_told_where_the_metrics_are_and_what_to_warn_of() {
    let Some(cluster) = cluster() else { return };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let link = directory.path().join("podgate");
    std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), link).unwrap();
    let own = directory.path().join("own");
    fs::create_dir(&own).unwrap();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["../podgate/manifests/base"],
        "components": ["../podgate/manifests/components/monitoring"],
    });
    fs::write(own.join("kustomization.yaml"), kustomization.to_string()).unwrap();

    let objects = Objects::of(cluster, own.to_str().unwrap());
    let monitor = &objects.get("PodMonitor", "podgate")["spec"];
    let pod = &objects.get("Deployment", "podgate")["spec"]["template"];
    assert_eq!(
        monitor["selector"]["matchLabels"],
        pod["metadata"]["labels"]
    );
    let mut ports = pod["spec"]["containers"][0]["ports"]
        .as_array()
        .unwrap()
        .iter();
    let endpoint = &monitor["podMetricsEndpoints"][0];
    assert!(ports.any(|it| it["name"] == endpoint["port"]), "{monitor}");
    let rules = &objects.get("PrometheusRule", "podgate")["spec"]["groups"][0]["rules"];
    assert_eq!(rules[0]["alert"], "PodgateDown");
}

#[test]
fn applying_again_keeps_a_policy_that_was_added_by_hand_and_puts_back_one_that_was_edited() {
    let Some(cluster) = cluster() else { return };
    let kubectl = cluster.kubectl();
    kubectl.run(&["apply", "-k", "policies"]).expect_success();
    let by_hand = json!({"data": {"team.yaml": "a team's", "baseline.yaml": "edited"}}).to_string();
    let own = "--namespace=podgate-system";
    kubectl
        .run(&[
            "patch",
            "configmap",
            "podgate-policies",
            own,
            "--patch",
            &by_hand,
        ])
        .expect_success();

    kubectl.run(&["apply", "-k", "policies"]).expect_success();

    let stored = kubectl
        .run(&["get", "configmap", "podgate-policies", own, "--output=json"])
        .json();
    assert_eq!(stored["data"]["team.yaml"], "a team's");
    let (_, baseline) = SHIPPED.iter().find(|it| it.0 == "baseline.yaml").unwrap();
    assert_eq!(stored["data"]["baseline.yaml"], *baseline);
}

/// The table of rights has a row for each rule of each role, with its verbs.
#[test]
fn every_right_is_in_the_table_of_the_page() {
    let Some(cluster) = cluster() else { return };
    let (_, section) = PAGE.split_once("\n## Rights\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut count = 0;
    let mut role = "";
    let mut told: Vec<(String, String)> = Vec::new();
    for row in section.lines().filter(|it| it.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if !cells[1].is_empty() {
            role = cells[1].split('`').nth(1).unwrap();
        }
        told.push((role.to_owned(), cells[2].to_owned()));
    }
    for role in Objects::of(cluster, "manifests").all(&["Role", "ClusterRole"]) {
        let name = role["metadata"]["name"].as_str().unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let words = |field: &str| -> Vec<String> {
                let values = rule[field].as_array().unwrap().iter();
                values.map(|it| it.as_str().unwrap().to_owned()).collect()
            };
            let verbs = words("verbs").join(", ");
            let is_told = told
                .iter()
                .any(|(of, right)| of == name && right.contains(&format!(": {verbs}")));
            assert!(is_told, "{name}: {verbs} {:?}", words("resources"));
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

fn deployment() -> Value {
    let source = include_str!("../../manifests/base/gate/deployment.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(source).unwrap();
    documents
        .into_iter()
        .find(|it| it["kind"] == "Deployment")
        .unwrap()
}
