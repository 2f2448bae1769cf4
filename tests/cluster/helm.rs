//! The chart in `manifests/chart`: the same objects as kustomize's, values that are checked, and a life on a real API
//! server that leaves nothing behind. With the real Helm.

use std::collections::BTreeSet;

use podgate::policy::SHIPPED;
use serde_json::{Value, json};

use super::harness::{Helm, Output, cluster, empty_cluster, helm};
use super::install::{
    Nodes, PRIVILEGED, await_admitted, await_refused, bundles, remove_namespace, type_in,
};
use super::manifests::in_audit_mode;
use super::objects::Objects;

const CHART: &str = "manifests/chart";

/// `helm template` in podgate's usual namespace.
fn template(helm: &Helm<'_>, arguments: &[&str]) -> Output {
    let own = ["template", "podgate", CHART, "--namespace=podgate-system"];
    helm.run(&[&own, arguments].concat())
}

#[track_caller]
fn rendered(helm: &Helm<'_>, arguments: &[&str]) -> Objects {
    let output = template(helm, arguments);
    output.expect_success();
    assert_eq!(output.stderr, "", "{output}");
    // What a hook makes, Helm does not remove.
    assert!(!output.stdout.contains("helm.sh/hook"));
    Objects::parse(&output.stdout)
}

/// The objects in one order, without what only Helm has or what is the namespace's alone.
fn comparable(mut objects: Objects) -> Vec<Value> {
    // Helm makes the release's namespace itself.
    objects.0.retain(|it| it["kind"] != "Namespace");
    for object in &mut objects.0 {
        if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
            let of_helm = [
                "app.kubernetes.io/instance",
                "app.kubernetes.io/version",
                "app.kubernetes.io/managed-by",
                "helm.sh/chart",
            ];
            labels.retain(|key, _| !of_helm.contains(&key.as_str()));
        }
        // What Kubernetes takes by name has no order.
        let pod = &mut object["spec"]["template"]["spec"];
        for list in [
            "/volumes",
            "/containers/0/env",
            "/containers/0/volumeMounts",
        ] {
            if let Some(list) = pod.pointer_mut(list).and_then(Value::as_array_mut) {
                list.sort_by_key(|it| it["name"].to_string());
            }
        }
    }
    let key = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
    objects.0.sort_by_key(key);
    objects.0
}

#[test]
fn the_chart_renders_the_objects_of_kustomize() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    for (values, directory) in [
        (&[][..], "manifests"),
        (&["--set=mode=audit"], "manifests/overlays/audit"),
        (
            &["--set=certificates.source=cert-manager"],
            "manifests/overlays/cert-manager",
        ),
        (
            &["--set=certificates.source=secret"],
            "manifests/overlays/files",
        ),
        (
            &["--set=clientCertificates.configMap=podgate-clients"],
            "manifests/overlays/client-certificates",
        ),
    ] {
        let chart = comparable(rendered(&helm, values));
        let kustomize = comparable(Objects::of(cluster, directory));
        let names = |of: &[Value]| -> Vec<String> {
            let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
            of.iter().map(name).collect()
        };
        assert_eq!(names(&chart), names(&kustomize), "{directory}");
        for (one, other) in chart.iter().zip(&kustomize) {
            assert_eq!(one, other, "{one:#}\n{other:#}");
        }
    }
}

#[test]
fn the_policies_in_the_chart_are_the_shipped_ones() {
    for (name, text) in SHIPPED {
        let path = format!(
            "{}/{CHART}/files/policies/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let copy = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(copy, text, "cp policies/{name} {CHART}/files/policies/");
    }
}

#[test]
fn lint_finds_nothing() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    helm.run(&["lint", "--strict", CHART]).expect_success();
    helm.run(&["lint", "--strict", CHART, "--set=replica=3"])
        .expect_failure();
}

#[test]
fn values_that_are_unknown_or_wrong_are_refused_by_name() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    for (value, error) in [
        ("replica=3", "additional properties 'replica' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        (
            "image.tagg=1",
            "at '/image': additional properties 'tagg' not allowed",
        ),
        ("image.digest=sha256:1", "at '/image/digest': "),
        (
            "mode=warn",
            "at '/mode': value must be one of 'enforce', 'audit'",
        ),
        (
            "failurePolicy=fail",
            "at '/failurePolicy': value must be one of '', 'Fail', 'Ignore'",
        ),
        (
            "certificates.source=certmanager",
            "at '/certificates/source': value must be one of ",
        ),
        // Only a Secret of one's own has an authority that podgate cannot know.
        (
            "certificates.caBundle=aaaa",
            "at '/certificates/source': value must be 'secret'",
        ),
        (
            "clientCertificates.configMap=Mine",
            "at '/clientCertificates/configMap': 'Mine' does not match",
        ),
        (
            "timeoutSeconds=60",
            "at '/timeoutSeconds': maximum: got 60, want 30",
        ),
        (
            "excludedNamespaces={Calico}",
            "at '/excludedNamespaces/0': 'Calico' does not match",
        ),
        (
            "policies.team=x",
            "at '/policies': additional properties 'team' not allowed",
        ),
        (
            "monitoring=true",
            "at '/monitoring': got boolean, want object",
        ),
        (
            "resources.cpu=1",
            "at '/resources': additional properties 'cpu' not allowed",
        ),
        (
            "shippedPolicies=false",
            "no policies: podgate does not run without any",
        ),
    ] {
        template(&helm, &["--set", value])
            .expect_failure()
            .expect_stderr(error);
    }
}

#[test]
fn every_value_is_in_the_schema_and_on_the_page() {
    let schema: Value =
        serde_json::from_str(include_str!("../../manifests/chart/values.schema.json")).unwrap();
    let values: Value =
        serde_saphyr::from_str(include_str!("../../manifests/chart/values.yaml")).unwrap();
    let keys =
        |of: &Value| -> BTreeSet<String> { of.as_object().unwrap().keys().cloned().collect() };
    let mut known = keys(&schema["properties"]);
    // Helm adds it to every chart.
    known.remove("global");
    assert_eq!(keys(&values), known);
    let page = include_str!("../../manifests/README.md");
    for (key, value) in values.as_object().unwrap() {
        let row = |it: &str| it.starts_with("| `") && it.contains(&format!("`{key}`"));
        assert!(page.lines().any(row), "the table of the page lacks {key}");
        let of = &schema["properties"][key]["properties"];
        // Resources, selectors and policies take what the user has.
        if of.is_object() && key != "resources" {
            assert_eq!(keys(value), keys(of), "{key}");
        }
    }
}

#[test]
fn policies_are_added_replaced_and_left_out_by_name() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    let values = r#"{"policies": {"team.yaml": "a team's", "baseline.yaml": "another", "restricted.yaml": ""}}"#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values).unwrap();
    let path = file.path().to_str().unwrap();

    let objects = rendered(&helm, &["--values", path]);
    let inject = SHIPPED.iter().find(|it| it.0 == "inject-defaults.yaml");
    assert_eq!(
        objects.get("ConfigMap", "podgate-policies")["data"],
        json!({"team.yaml": "a team's", "baseline.yaml": "another", "inject-defaults.yaml": inject.unwrap().1})
    );

    let objects = rendered(&helm, &["--values", path, "--set=shippedPolicies=false"]);
    assert_eq!(
        objects.get("ConfigMap", "podgate-policies")["data"],
        json!({"team.yaml": "a team's", "baseline.yaml": "another"})
    );

    // What is the user's own keeps its mode.
    let objects = rendered(
        &helm,
        &[
            "--set-file=policies.own\\.yaml=policies/baseline.yaml",
            "--set=mode=audit",
        ],
    );
    let data = &objects.get("ConfigMap", "podgate-policies")["data"];
    let baseline = SHIPPED.iter().find(|it| it.0 == "baseline.yaml").unwrap().1;
    assert_eq!(data["own.yaml"], baseline);
    assert_eq!(data["baseline.yaml"], in_audit_mode(baseline));
}

#[test]
fn the_release_namespace_is_excluded_whatever_its_name() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    let arguments = [
        "template",
        "podgate",
        CHART,
        "--namespace=gate",
        "--set=excludedNamespaces={calico-system}",
        "--set=certificates.source=cert-manager",
    ];
    let output = helm.run(&arguments);
    output.expect_success();
    // Nothing is left of the usual name: it would be one that is excluded and that anybody can create.
    assert!(!output.stdout.contains("podgate-system"), "{output}");
    let objects = Objects::parse(&output.stdout);
    let selectors = objects.of_each_webhook("namespaceSelector");
    assert_eq!(selectors.len(), 3);
    for selector in selectors {
        assert_eq!(
            selector["matchExpressions"][0]["values"],
            json!(["kube-system", "gate", "calico-system"])
        );
    }
}

#[test]
fn the_values_reach_the_objects() {
    let Some(cluster) = cluster() else { return };
    let Some(helm) = helm(cluster) else { return };
    let digest = format!("sha256:{}", "0".repeat(64));
    let image = format!("--set=image.repository=registry.example/podgate,image.digest={digest}");
    let objects = rendered(
        &helm,
        &[
            &image,
            "--set=image.pullSecrets={pull},image.pullPolicy=Always,replicas=3,extraArgs={--drain-delay=8s}",
            "--set=podSecurityLabels=false,events=false,networkPolicy.apiServerPorts={16443},priorityClassName=gate",
            "--set=monitoring.podMonitor=true,failurePolicy=Ignore,timeoutSeconds=3,tolerations[0].operator=Exists",
            "--set=certificates.source=secret,certificates.caBundle=YQ==,certificates.secretName=mine",
            "--set=clientCertificates.configMap=who,clientCertificates.names={one,two}",
        ],
    );
    let deployment = &objects.get("Deployment", "podgate")["spec"];
    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["image"],
        format!("registry.example/podgate@{digest}")
    );
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["args"], json!(["serve", "--drain-delay=8s"]));
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(pod["priorityClassName"], "gate");
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], "mine");
    assert_eq!(pod["volumes"][2]["configMap"]["name"], "who");
    assert_eq!(objects.variable("PODGATE_CLIENT_NAME"), "one,two");
    assert_eq!(deployment["replicas"], 3);
    assert_eq!(objects.variable("PODGATE_POD_SECURITY_LABELS"), "false");
    assert_eq!(objects.variable("PODGATE_EVENTS"), "false");
    let egress = &objects.get("NetworkPolicy", "podgate")["spec"]["egress"];
    assert_eq!(
        egress[0]["ports"],
        json!([{"port": 16443, "protocol": "TCP"}])
    );
    assert_eq!(objects.of_each_webhook("failurePolicy"), ["Ignore"; 3]);
    assert_eq!(objects.of_each_webhook("timeoutSeconds"), [3; 3]);
    for client in objects.of_each_webhook("clientConfig") {
        assert_eq!(client["caBundle"], "YQ==");
    }
    let names = objects.names();
    for none in [
        "podgate-events",
        "podgate-critical-pods",
        "podgate-certificates",
    ] {
        assert!(!names.contains(none), "{none}");
    }
    let component = Objects::parse(include_str!(
        "../../manifests/components/monitoring/podmonitor.yaml"
    ));
    assert_eq!(
        objects.get("PodMonitor", "podgate")["spec"],
        component.get("PodMonitor", "podgate")["spec"]
    );

    let objects = rendered(
        &helm,
        &["--set=registerWebhooks=false,networkPolicy.enabled=false"],
    );
    assert!(objects.of_each_webhook("name").is_empty());
    assert!(objects.all(&["NetworkPolicy"]).is_empty());
}

#[test]
fn a_release_is_installed_upgraded_rolled_back_and_leaves_nothing_behind() {
    let Some((cluster, _turn)) = empty_cluster() else {
        return;
    };
    let Some(helm) = helm(cluster) else { return };
    let mut nodes = Nodes::of(cluster);
    let shop = cluster.namespace("shop");
    let run = |rest: &str| {
        type_in(
            cluster,
            &helm,
            &format!("helm {rest} --namespace podgate-system"),
        );
    };

    run("install podgate manifests/chart --create-namespace");
    nodes.follow();
    if nodes.powerless {
        return;
    }
    await_refused(&shop);
    let trusted = bundles(cluster);
    assert!(trusted.len() == 3 && trusted.iter().all(Value::is_string));

    // One gate a cluster: the second does not take over the objects of the first.
    helm.run(&["install", "second", CHART, "--namespace=default"])
        .expect_failure()
        .expect_stderr("exists and cannot be imported into the current release");

    // Nothing restarts here: what the API server trusts must outlive the upgrade, or no Pod could be created.
    run("upgrade podgate manifests/chart --set excludedNamespaces={calico-system}");
    assert_eq!(bundles(cluster), trusted);
    shop.create_from(PRIVILEGED)
        .expect_failure()
        .expect_stderr("breaks policy \"baseline\"");
    let network = cluster.namespace_named("calico-system");
    await_admitted(&network);

    run("upgrade podgate manifests/chart --set mode=audit");
    nodes.follow();
    await_admitted(&shop);

    run("rollback podgate 1");
    nodes.follow();
    await_refused(&shop);
    await_refused(&network);
    assert_eq!(bundles(cluster), trusted);

    run("uninstall podgate");
    await_admitted(&shop);
    drop(nodes);
    remove_namespace(cluster, &helm);
}
