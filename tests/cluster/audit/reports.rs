//! `podgate audit --write-reports` against a real API server: what is stored, that a second run writes nothing, and what
//! is left alone.
//!
//! The CRDs are written by hand from the published schemas' lists of fields; they are not the projects' own files. Each
//! test has an API of its own, as CRDs are of the whole cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use podgate::output::{json as results_json, results::Results};
use podgate::policy::level::Version;
use podgate::report::{ReportApi, Reports, Selection};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::harness::{Cluster, await_until, cluster};
use super::plan::{self, Plan};
use super::{allow, audit, results};

const OPENREPORTS: &str = "reports.openreports.io";
const WGPOLICY: &str = "policyreports.wgpolicyk8s.io";

/// One row, as both schemas have it.
fn row() -> Value {
    let text = json!({"type": "string"});
    let reference = json!({"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
        "apiVersion": text, "kind": text, "namespace": text, "name": text, "uid": text,
        "resourceVersion": text, "fieldPath": text,
    }});
    json!({"type": "object", "required": ["policy"], "properties": {
        "source": text, "policy": text, "rule": text, "category": text, "message": text,
        "result": {"type": "string", "enum": ["pass", "fail", "warn", "error", "skip"]},
        "severity": {"type": "string", "enum": ["critical", "high", "low", "medium", "info"]},
        "scored": {"type": "boolean"},
        "timestamp": {"type": "object", "required": ["nanos", "seconds"], "properties": {
            "seconds": {"type": "integer", "format": "int64"},
            "nanos": {"type": "integer", "format": "int32"},
        }},
        "resources": {"type": "array", "items": reference},
        "properties": {"type": "object", "additionalProperties": text},
    }})
}

/// A CRD with what both have, and with `more` of the one.
fn crd(name: &str, version: &str, kind: &str, more: &Value) -> Value {
    let (plural, group) = name.split_once('.').unwrap();
    let text = json!({"type": "string"});
    let count = json!({"type": "integer"});
    let mut properties = json!({
        "apiVersion": text, "kind": text, "metadata": {"type": "object"},
        "scope": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
            "apiVersion": text, "kind": text, "namespace": text, "name": text, "uid": text,
            "resourceVersion": text, "fieldPath": text,
        }},
        "summary": {"type": "object", "properties": {
            "pass": count, "fail": count, "warn": count, "error": count, "skip": count,
        }},
        "results": {"type": "array", "items": row()},
    });
    for (name, schema) in more.as_object().unwrap() {
        properties[name] = schema.clone();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "annotations": {
            // The other group is protected, and asks where its API was approved.
            "api-approved.kubernetes.io": "unapproved, for a test",
        }},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": properties},
            }}],
        },
    })
}

/// The newer of the two, which has two fields more.
fn openreports() -> Value {
    let text = json!({"type": "string"});
    let results = json!({"type": "array", "items": {"type": "string", "enum": ["pass", "fail", "warn", "error", "skip"]}});
    let limits = json!({"type": "object", "properties": {"maxResults": {"type": "integer"}, "statusFilter": results}});
    let more = json!({"source": text, "configuration": {"type": "object", "properties": {"limits": limits}}});
    crd(OPENREPORTS, "v1alpha1", "Report", &more)
}

#[track_caller]
fn install(cluster: &Cluster, crd: &Value) {
    let kubectl = cluster.kubectl();
    let (text, name) = (crd.to_string(), crd["metadata"]["name"].as_str().unwrap());
    kubectl
        .run_with_input(&["create", "-f", "-"], &text)
        .expect_success();
    let wait = ["wait", "--for=condition=established", "--timeout=30s"];
    let name = format!("crd/{name}");
    kubectl
        .run(&[&wait[..], &[&name]].concat())
        .expect_success();
}

/// What is stored in a namespace, by name.
#[track_caller]
fn stored(cluster: &Cluster, resource: &str, namespace: &str) -> BTreeMap<String, Value> {
    let listed = cluster
        .kubectl()
        .run(&[
            "get",
            resource,
            "--namespace",
            namespace,
            "-o=json",
            "--show-managed-fields",
        ])
        .json();
    let items = listed["items"].as_array().unwrap().iter();
    items
        .map(|it| {
            let name = it["metadata"]["name"].as_str().unwrap();
            (name.to_owned(), it.clone())
        })
        .collect()
}

fn versions(stored: &BTreeMap<String, Value>) -> BTreeMap<&str, &Value> {
    let versions = stored.iter();
    versions
        .map(|(name, it)| {
            let version = &it["metadata"]["resourceVersion"];
            assert!(version.is_string(), "{it:#}");
            (&**name, version)
        })
        .collect()
}

/// Kind and name of what is reported on.
fn scopes(stored: &BTreeMap<String, Value>) -> BTreeSet<[String; 2]> {
    let scopes = stored.values().map(|it| &it["scope"]);
    scopes
        .map(|it| ["kind", "name"].map(|key| it[key].as_str().unwrap().to_owned()))
        .collect()
}

fn dirty(plan: &Plan, namespace: &str) -> BTreeSet<[String; 2]> {
    let all = plan.expected.iter();
    all.filter(|(key, (_, findings))| key[0] == namespace && !findings.is_empty())
        .map(|(key, _)| [key[1].clone(), key[2].clone()])
        .collect()
}

#[track_caller]
fn write(kubeconfig: &Path, plan: &Plan, api: &str) -> Output {
    let namespaces = plan.namespaces.iter().map(|it| format!("--namespace={it}"));
    let mut arguments = vec![
        "--level=baseline".to_owned(),
        "--write-reports".to_owned(),
        format!("--report-api={api}"),
    ];
    arguments.extend(namespaces);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    audit(kubeconfig, &arguments).0
}

#[track_caller]
fn expect(output: &Output, told: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(told), "{told}\n{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(results(output)["run"]["complete"], true);
}

/// The uid of an object.
#[track_caller]
fn uid(cluster: &Cluster, kind: &str, name: &str, namespace: &str) -> String {
    let it = cluster
        .kubectl()
        .run(&["get", kind, name, "--namespace", namespace, "-o=json"])
        .json();
    it["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// A report of another tool, under the name that podgate's would have.
#[track_caller]
fn foreign(cluster: &Cluster, namespace: &str, uid: &str) -> Value {
    let it = json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
        "metadata": {"name": uid, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "kyverno"}},
        "results": [{"policy": "theirs", "result": "fail"}],
    });
    let create = ["create", "-f", "-", "-o=json", "--show-managed-fields"];
    let kubectl = cluster.kubectl();
    kubectl.run_with_input(&create, &it.to_string()).json()
}

/// Somebody with the rights that are documented, and no others.
#[track_caller]
fn reporter(cluster: &Cluster, plan: &Plan) -> PathBuf {
    let kubeconfig = cluster.kubeconfig_of("reporter");
    allow(cluster, "reporter", "podgate-audit");
    let forbidden = "reports of openreports.io/v1alpha1: 0 written";
    await_until("the reporter may read, and may not write", || {
        let output = write(&kubeconfig, plan, "openreports");
        let errors = results(&output)["errors"].clone();
        let errors = errors.as_array().unwrap();
        String::from_utf8_lossy(&output.stderr).contains(forbidden)
            && output.status.code() == Some(2)
            && errors.len() == 1
            && errors[0]["what"] == "list of reports of openreports.io/v1alpha1"
            && errors[0]["why"].as_str().unwrap().contains("reporter")
    });
    allow(cluster, "reporter", "podgate-audit-reports");
    await_until("the reporter may write", || {
        let output = write(&kubeconfig, plan, "openreports");
        output.status.code() == Some(1)
    });
    kubeconfig
}

/// Mends the template of a Deployment in the second namespace, and removes a Pod from the first.
#[track_caller]
fn mend(cluster: &Cluster, one: &str, two: &str) {
    let containers = json!([{"name": "a", "image": "registry.example/a:1"}]);
    let mended = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let path = format!("/apis/apps/v1/namespaces/{two}/deployments/web-2");
    cluster.patch_all([(path, mended)]);
    let delete = ["delete", "pod", "--grace-period=0", "--force"];
    let gone = ["--namespace", one, plan::bare_name()];
    cluster
        .kubectl()
        .run(&[&delete[..], &gone].concat())
        .expect_success();
}

fn ours(stored: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut ours = stored.clone();
    ours.retain(|_, it| it["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "podgate");
    ours
}

#[test]
fn each_workload_that_breaks_something_has_a_report_that_changes_only_with_it() {
    let Some(cluster) = cluster() else { return };
    install(cluster, &openreports());
    let plan = Plan::make(cluster, "reported", 2);
    let [one, two] = &plan.namespaces[..] else {
        unreachable!("two were asked for")
    };
    let (dirty_one, dirty_two) = (dirty(&plan, one), dirty(&plan, two));
    let all = dirty_one.len() + dirty_two.len();
    assert!(dirty_one.len() > 3 && dirty_two.len() > 3);

    // Another tool was there before, and names its reports in the same way.
    let bare = uid(cluster, "pod", plan::bare_name(), one);
    let foreign = foreign(cluster, one, &bare);

    let kubeconfig = reporter(cluster, &plan);
    let first = stored(cluster, OPENREPORTS, one);
    assert_eq!(first[&bare], foreign);
    let reports = ours(&first);
    assert_eq!(scopes(&reports), dirty_one);
    assert_eq!(reports.len(), dirty_one.len());
    assert_eq!(first.len(), dirty_one.len() + 1);
    for (name, it) in &reports {
        let uid = it["scope"]["uid"].as_str().unwrap();
        let expected = if uid == bare {
            format!("{uid}-podgate")
        } else {
            uid.to_owned()
        };
        assert_eq!(*name, expected);
        assert_eq!(it["metadata"]["ownerReferences"][0]["uid"], uid);
    }
    let deployment = uid(cluster, "deployment", "web-0", one);
    expect_report(&first[&deployment], &deployment, one);

    // Nothing but the time has changed.
    let second = write(&kubeconfig, &plan, "openreports");
    expect(
        &second,
        &format!("reports of openreports.io/v1alpha1: 0 written, {all} unchanged, 0 removed"),
    );
    let again = stored(cluster, OPENREPORTS, one);
    assert_eq!(versions(&again), versions(&first));
    let before = stored(cluster, OPENREPORTS, two);
    assert_eq!(scopes(&before), dirty_two);

    // One is mended, another is gone; what nobody has looked at stays.
    mend(cluster, one, two);
    // The first of the two APIs that there are.
    let of_two = format!("--namespace={two}");
    let (output, _) = audit(
        &kubeconfig,
        &[
            "--level=baseline",
            "--write-reports",
            "--selector=app",
            &of_two,
        ],
    );
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("reports of openreports.io/v1alpha1: 0 written, ")
            && text.contains(" 0 removed"),
        "{text}"
    );
    assert_ne!(output.status.code(), Some(2));
    assert_eq!(
        versions(&stored(cluster, OPENREPORTS, two)),
        versions(&before)
    );

    let third = write(&kubeconfig, &plan, "openreports");
    expect(
        &third,
        &format!(
            "reports of openreports.io/v1alpha1: 0 written, {} unchanged, 2 removed",
            all - 2
        ),
    );
    let after = stored(cluster, OPENREPORTS, one);
    let mut expected = first.clone();
    expected.remove(&format!("{bare}-podgate"));
    assert_eq!(versions(&after), versions(&expected));
    let mut expected = dirty_two;
    expected.remove(&["Deployment", "web-2"].map(str::to_owned));
    assert_eq!(scopes(&stored(cluster, OPENREPORTS, two)), expected);
}

/// The report of a Deployment whose second container is privileged, as the API server holds it.
#[track_caller]
fn expect_report(report: &Value, uid: &str, namespace: &str) {
    let mut report = report.clone();
    let row = &mut report["results"][0];
    assert!(row["timestamp"]["seconds"].as_i64().unwrap() > 1_700_000_000);
    row.as_object_mut().unwrap().remove("timestamp");
    let id = row["properties"]["resultID"].as_str().unwrap().to_owned();
    assert_eq!(
        report["metadata"]["ownerReferences"],
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-0", "uid": uid}])
    );
    let managers = report["metadata"]["managedFields"].as_array().unwrap();
    let managers: Vec<[&Value; 2]> = managers
        .iter()
        .map(|it| [&it["manager"], &it["operation"]])
        .collect();
    assert_eq!(managers, [["podgate", "Apply"]]);
    report.as_object_mut().unwrap().remove("metadata");
    let expected = json!({
        "apiVersion": "openreports.io/v1alpha1",
        "kind": "Report",
        "source": "podgate",
        "configuration": {"limits": {"statusFilter": ["fail", "warn", "skip"]}},
        "scope": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "web-0", "uid": uid},
        "summary": {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0},
        "results": [{
            "source": "podgate",
            "policy": "baseline",
            "rule": "privileged",
            "category": "Pod Security Standards (Baseline)",
            "message": "container \"b\": securityContext.privileged is true; must be false or unset",
            "result": "fail",
            "scored": true,
            "severity": "high",
            "properties": {
                "standard": "baseline", "version": "v1.37", "controls": "privileged", "mode": "enforce",
                "container": "b", "containerList": "containers",
                "path": "spec.template.spec.containers[1].securityContext.privileged",
                "fix": "securityContext: {privileged: false}",
                "resultID": id,
            },
        }],
    });
    assert_eq!(report, expected, "{report:#}");
}

/// A report of very many findings is taken by the API server, and says how many it does not list.
async fn expect_cut(cluster: &Cluster, reports: &Reports, found: &Results) {
    let mut many = found.clone();
    many.objects.retain(|it| !it.findings.is_empty());
    many.objects.truncate(1);
    let object = &mut many.objects[0];
    let finding = object.findings[0].clone();
    object.findings = (0..6000)
        .map(|at| {
            let mut finding = finding.clone();
            finding.current = format!("true at {at}");
            finding
        })
        .collect();
    let (uid, namespace) = (object.uid.clone().unwrap(), object.namespace.clone());
    // What is missing from these results is not gone.
    let selection = Selection {
        labels: Some("app".to_owned()),
        ..Selection::default()
    };
    let stop = CancellationToken::new();
    let done = reports.write(&mut many, &selection, &stop).await;
    assert_eq!((done.written, done.removed), (1, 0), "{:?}", many.errors);
    let report = stored(cluster, WGPOLICY, &namespace).remove(&uid).unwrap();
    assert_eq!(report["summary"]["fail"], 6000);
    let cut = &report["metadata"]["annotations"]["podgate.dev/cut"];
    let cut: usize = cut.as_str().unwrap().parse().unwrap();
    assert!(cut > 0);
    let listed = report["results"].as_array().unwrap().len();
    assert_eq!(listed + cut, 6000);
}

#[test]
fn the_older_api_works_as_well_until_its_crd_is_removed_during_a_run() {
    let Some(cluster) = cluster() else { return };
    let kubeconfig = &cluster.kubectl().kubeconfig;
    let plan = Plan::make(cluster, "older", 1);
    let namespace = &plan.namespaces[0];

    let output = write(kubeconfig, &plan, "wgpolicy");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.starts_with("error: cannot write reports: this cluster does not serve policyreports of wgpolicyk8s.io/v1alpha2. "),
        "{text}"
    );

    install(
        cluster,
        &crd(WGPOLICY, "v1alpha2", "PolicyReport", &json!({})),
    );
    let all = dirty(&plan, namespace);
    let output = write(kubeconfig, &plan, "wgpolicy");
    let told = format!(
        "policyreports of wgpolicyk8s.io/v1alpha2: {} written, 0 unchanged, 0 removed",
        all.len()
    );
    expect(&output, &told);
    let first = stored(cluster, WGPOLICY, namespace);
    assert_eq!(scopes(&first), all);
    for it in first.values() {
        let rows = it["results"].as_array().unwrap();
        assert_eq!(it["summary"]["fail"], rows.len());
    }
    let output = write(kubeconfig, &plan, "wgpolicy");
    let told = format!(
        "policyreports of wgpolicyk8s.io/v1alpha2: 0 written, {} unchanged, 0 removed",
        all.len()
    );
    expect(&output, &told);
    let second = stored(cluster, WGPOLICY, namespace);
    assert_eq!(versions(&second), versions(&first));

    let mut found: Results =
        results_json::read(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(cluster.client());
    let discover = || {
        Reports::discover(
            client.clone(),
            Some(ReportApi::PolicyReport),
            Version::LATEST,
        )
    };
    let reports = runtime.block_on(discover()).unwrap();
    runtime.block_on(expect_cut(cluster, &reports, &found));
    cluster
        .kubectl()
        .run(&["delete", "crd", WGPOLICY])
        .expect_success();
    await_until("the API is gone", || runtime.block_on(discover()).is_err());
    let selection = Selection {
        namespaces: plan.namespaces.clone(),
        ..Selection::default()
    };
    let stop = CancellationToken::new();
    let done = runtime.block_on(reports.write(&mut found, &selection, &stop));
    assert_eq!(done.written, 0);
    assert!(!found.run.complete);
    let errors: Vec<String> = found
        .errors
        .iter()
        .map(|it| format!("{}: {}", it.what, it.why))
        .collect();
    let expected = "list of policyreports of wgpolicyk8s.io/v1alpha2: they are no longer served: \
        their CRD was removed during the run (no report was written)";
    assert_eq!(errors, [expected]);
}
