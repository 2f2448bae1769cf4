//! `podgate audit` of what a real API server holds: everything that was planted is found, and nothing else.

mod cut;
mod peak;
mod plan;
mod reports;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Once;

use serde_json::{Value, json};

use self::plan::Plan;
use super::harness::{Cluster, cluster};

fn audit(kubeconfig: &Path, arguments: &[&str]) -> (Output, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
    command
        .args(["audit", "--output=json", "--kubeconfig"])
        .arg(kubeconfig)
        .args(arguments);
    peak::run(&mut command)
}

#[track_caller]
fn results(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Gives a user one of the roles of `manifests/audit-rbac.yaml`.
#[track_caller]
fn allow(cluster: &Cluster, user: &str, role: &str) {
    // Two that apply it at once are in each other's way.
    static ROLES: Once = Once::new();
    let kubectl = cluster.kubectl();
    ROLES.call_once(|| {
        kubectl
            .run(&["apply", "-f", "manifests/audit-rbac.yaml"])
            .expect_success();
    });
    let binding = format!("{user}-{role}");
    let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
    kubectl
        .run(&["create", "clusterrolebinding", &binding, &role, &user])
        .expect_success();
}

/// Controls by workload, of the namespaces with this prefix.
fn found(results: &Value, prefix: &str) -> BTreeMap<[String; 3], (u64, Vec<String>)> {
    let objects = results["objects"].as_array().unwrap().iter();
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    objects
        .filter(|it| it["namespace"].as_str().unwrap().starts_with(prefix))
        .map(|it| {
            let findings = it["findings"].as_array().unwrap().iter();
            let told = findings.map(|it| format!("{} {}", text(&it["control"]), text(&it["path"])));
            let key = [&it["namespace"], &it["kind"], &it["name"]].map(text);
            (key, (it["pods"].as_u64().unwrap(), told.collect()))
        })
        .collect()
}

/// Namespaces; a hundred Pods and ten workloads in each.
const NAMESPACES: usize = 50;

#[test]
fn all_that_was_planted_is_found_at_its_owner_and_nothing_else() {
    let Some(cluster) = cluster() else { return };
    let plan = Plan::make(cluster, "audited", NAMESPACES);
    let kubeconfig = &cluster.kubectl().kubeconfig;

    let (output, peak) = audit(kubeconfig, &["--level=baseline"]);
    let all = results(&output);
    assert_eq!(found(&all, &plan.prefix), plan.expected);
    assert_eq!(
        output.status.code(),
        Some(1),
        "planted findings are rejected"
    );
    assert_eq!(all["run"]["complete"], true);
    let readiness = all["namespaces"].as_array().unwrap().iter();
    let ready: BTreeMap<&str, &Value> = readiness
        .map(|it| (it["name"].as_str().unwrap(), it))
        .collect();
    for (at, name) in plan.namespaces.iter().enumerate() {
        let expected = if plan::is_clean(at) {
            "baseline"
        } else {
            "privileged"
        };
        assert_eq!(ready[&**name]["readyFor"], expected, "{name}");
    }

    // One namespace alone is counted exactly.
    let one = format!("--namespace={}", plan.namespaces[0]);
    let (output, small_peak) = audit(kubeconfig, &["--level=baseline", &one]);
    let few = results(&output);
    assert_eq!(few["summary"]["scanned"], plan.scanned);
    assert_eq!(
        few["summary"]["judged"],
        few["objects"].as_array().unwrap().len()
    );
    let of_it: BTreeMap<_, _> = plan
        .expected
        .iter()
        .filter(|(key, _)| key[0] == plan.namespaces[0])
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(found(&few, ""), of_it);
    assert_eq!(
        few["skipped"],
        json!([{"what": "Pods", "why": "they have ended", "count": 1}])
    );
    let ten: Vec<String> = plan.namespaces[..10]
        .iter()
        .map(|it| format!("--namespace={it}"))
        .collect();
    let mut arguments = vec!["--level=baseline"];
    arguments.extend(ten.iter().map(String::as_str));
    let (_, ten_peak) = audit(kubeconfig, &arguments);
    eprintln!(
        "{} in {} s; peak memory: {peak} kB for everything, {ten_peak} kB for ten namespaces, {small_peak} kB for one",
        all["summary"]["scanned"], all["run"]["seconds"]
    );
    // What is kept follows what is found and the size of a page, not the number of Pods: five times as many, and fifty.
    assert!(2 * peak < 3 * ten_peak, "{peak} kB against {ten_peak} kB");
    assert!(peak < 3 * small_peak, "{peak} kB against {small_peak} kB");

    // Everything enforced is what the next level is about.
    let (output, _) = audit(
        kubeconfig,
        &["--level=baseline", &one, "--selector=app=web-3"],
    );
    let selected = results(&output);
    let keys: Vec<[String; 3]> = found(&selected, "").into_keys().collect();
    let expected: Vec<[String; 3]> = plan
        .expected
        .keys()
        .filter(|key| key[0] == plan.namespaces[0] && key[2] == "web-3")
        .cloned()
        .collect();
    assert_eq!(keys, expected);
}

#[test]
fn what_may_not_be_read_is_named_and_the_run_incomplete() {
    let Some(cluster) = cluster() else { return };
    let plan = Plan::make(cluster, "forbidden", 1);
    let kubeconfig = cluster.kubeconfig_of("auditor");
    let one = format!("--namespace={}", plan.namespaces[0]);

    let (output, _) = audit(&kubeconfig, &["--level=baseline", &one]);
    assert_eq!(output.status.code(), Some(2));
    let nothing = results(&output);
    assert_eq!(nothing["run"]["complete"], false);
    let errors = nothing["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 10, "{errors:#?}");
    let text = String::from_utf8_lossy(&output.stderr);
    for what in ["list of namespaces", "list of pods", "list of cronjobs"] {
        assert!(text.contains(&format!("error: {what}: ")), "{text}");
        assert!(
            errors
                .iter()
                .any(|it| it["what"] == *what && it["why"].as_str().unwrap().contains("auditor")),
            "{errors:#?}"
        );
    }

    allow(cluster, "auditor", "podgate-audit");
    super::harness::await_until("the auditor may read", || {
        let (output, _) = audit(&kubeconfig, &["--level=baseline", &one]);
        results(&output)["run"]["complete"] == true
    });
    let (output, _) = audit(&kubeconfig, &["--level=baseline", &one]);
    assert_eq!(found(&results(&output), ""), plan.expected);

    let (output, _) = audit(&kubeconfig, &["--namespace=no-such"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        results(&output)["errors"],
        json!([{"what": "namespace no-such", "why": "there is no such namespace"}])
    );
}

/// As a path on the node, which may hold anything.
const HOSTILE: &str = "/<script>alert(1)</script>\u{1b}[31m|`=cmd()";

#[test]
fn five_hundred_containers_are_one_line_and_hostile_values_stay_text() {
    let Some(cluster) = cluster() else { return };
    let ns = cluster.namespace("crowded-pod");
    let containers: Vec<Value> = (0..500)
        .map(|at| json!({"name": format!("c{at}"), "image": "registry.example/a:1", "securityContext": {"privileged": true}}))
        .collect();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "many"}, "spec": {
        "containers": containers, "volumes": [{"name": "v", "hostPath": {"path": HOSTILE}}]}});
    cluster.create_all([(format!("/api/v1/namespaces/{}/pods", ns.name), pod)]);
    let kubeconfig = &cluster.kubectl().kubeconfig;
    let one = format!("--namespace={}", ns.name);
    let (output, _) = audit(kubeconfig, &["--level=baseline", &one]);
    let all = results(&output);
    assert_eq!(all["summary"]["findings"], 501);
    let volume = all["objects"][0]["findings"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert!(
        volume["current"].as_str().unwrap().contains("<script>"),
        "{volume}"
    );
    for format in ["table", "csv", "markdown", "sarif", "junit", "html"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podgate"));
        command
            .args([
                "audit",
                "--level=baseline",
                &one,
                "--output",
                format,
                "--kubeconfig",
            ])
            .arg(kubeconfig);
        let (output, _) = peak::run(&mut command);
        assert_eq!(output.status.code(), Some(1), "{format}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "{format}: {text}");
        if matches!(format, "html" | "junit" | "markdown") {
            assert!(!text.contains("<script>alert"), "{format}: {text}");
        }
        if format == "table" {
            let lines = text.lines().filter(|it| it.contains("privileged  "));
            assert_eq!(lines.count(), 1, "{text}");
        }
    }
}

#[test]
fn an_api_server_that_goes_away_in_the_middle_is_waited_for_and_nothing_is_lost() {
    let Some(cluster) = cluster() else { return };
    let plan = Plan::make(cluster, "cut", 4);
    let (_, port) = cluster.url().rsplit_once(':').unwrap();
    // In the middle of the Pods of the second or third namespace.
    let wire = cut::Wire::new(port.parse().unwrap(), 250_000);
    let text = std::fs::read_to_string(&cluster.kubectl().kubeconfig).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let through = text.replace(cluster.url(), &format!("https://127.0.0.1:{}", wire.port));
    std::fs::write(&kubeconfig, through).unwrap();
    let namespaces: Vec<String> = plan
        .namespaces
        .iter()
        .map(|it| format!("--namespace={it}"))
        .collect();
    let mut arguments = vec!["--level=baseline"];
    arguments.extend(namespaces.iter().map(String::as_str));

    let (output, _) = audit(&kubeconfig, &arguments);

    assert!(wire.was_cut(), "it carried too little");
    let all = results(&output);
    assert_eq!(all["run"]["complete"], true, "{:#}", all["errors"]);
    assert_eq!(found(&all, ""), plan.expected);
}

#[test]
fn a_later_run_tells_what_is_new_and_what_is_fixed() {
    let Some(cluster) = cluster() else { return };
    let plan = Plan::make(cluster, "since", 1);
    let namespace = &plan.namespaces[0];
    let one = format!("--namespace={namespace}");
    let kubeconfig = &cluster.kubectl().kubeconfig;
    let (output, _) = audit(kubeconfig, &["--level=baseline", &one]);
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("before.json");
    std::fs::write(&saved, &output.stdout).unwrap();
    let since = format!("--since={}", saved.display());

    let (output, _) = audit(
        kubeconfig,
        &["--level=baseline", &one, &since, "--fail-on=new"],
    );
    assert_eq!(output.status.code(), Some(0), "nothing is new");
    let same = results(&output);
    assert_eq!(same["summary"]["fixed"], 0);

    let bare = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late"},
        "spec": {"hostPID": true, "containers": [{"name": "a", "image": "registry.example/a:1"}]}});
    cluster.create_all([(format!("/api/v1/namespaces/{namespace}/pods"), bare)]);
    let planted = plan::bare_name();
    cluster
        .kubectl()
        .run(&[
            "delete",
            "pod",
            "--namespace",
            namespace,
            "--grace-period=0",
            "--force",
            planted,
        ])
        .expect_success();
    let (output, _) = audit(
        kubeconfig,
        &["--level=baseline", &one, &since, "--fail-on=new"],
    );
    assert_eq!(output.status.code(), Some(1), "something is new");
    let later = results(&output);
    assert_eq!(later["summary"]["fixed"], 1);
    let new: Vec<&Value> = later["objects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| {
            it["findings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["new"] == true)
        })
        .map(|it| &it["name"])
        .collect();
    assert_eq!(new, ["late"]);
}
