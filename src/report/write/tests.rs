use crate::output::results::testing::{finding, nothing, object};

use super::testing::Stub;
use super::*;

/// A workload for each, all of which break something.
fn results(names: &[&str]) -> Results {
    let mut results = nothing("audit");
    results.objects = names.iter().map(|name| workload("shop", name)).collect();
    results.run.started = Some("2026-11-24T17:00:00Z".to_owned());
    results.count();
    results
}

fn workload(namespace: &str, name: &str) -> Object {
    Object {
        uid: Some(format!("uid-{name}")),
        ..object("Deployment", namespace, name, vec![finding("spec.hostPID")])
    }
}

async fn write(stub: &Stub, results: &mut Results, selection: &Selection) -> [u64; 3] {
    let stop = CancellationToken::new();
    let reports = Reports::discover(stub.client(), None, Version::LATEST)
        .await
        .unwrap();
    let done = reports.write(results, selection, &stop).await;
    [done.written, done.unchanged, done.removed]
}

fn everywhere() -> Selection {
    Selection::default()
}

fn errors(results: &Results) -> Vec<String> {
    let errors = results.errors.iter();
    errors
        .map(|it| format!("{}: {}", it.what, it.why))
        .collect()
}

const ROOT: &str = "/apis/openreports.io/v1alpha1/namespaces/shop/reports";

#[tokio::test]
async fn a_second_run_sends_nothing_and_a_fixed_workload_loses_its_report() {
    let stub = Stub::serving(&ReportApi::ALL);
    let mut first = results(&["a", "b", "c"]);
    first.objects[2].findings.clear();
    assert_eq!(write(&stub, &mut first, &everywhere()).await, [2, 0, 0]);
    assert_eq!(
        stub.state().writes,
        [format!("PATCH {ROOT}/uid-a"), format!("PATCH {ROOT}/uid-b")]
    );
    let stored = stub.state().stored.clone();

    let mut second = first.clone();
    second.run.started = Some("2026-11-25T17:00:00Z".to_owned());
    assert_eq!(write(&stub, &mut second, &everywhere()).await, [0, 2, 0]);
    assert_eq!(stub.state().stored, stored);
    assert!(second.run.complete);

    second.objects[0].findings.clear();
    second.objects[1].findings[0].current = "other".to_owned();
    assert_eq!(write(&stub, &mut second, &everywhere()).await, [1, 0, 1]);
    let names: Vec<String> = stub.state().stored.keys().cloned().collect();
    assert_eq!(names, [format!("{ROOT}/uid-b")]);
}

#[tokio::test]
async fn what_was_not_looked_at_is_not_removed() {
    let shop = Selection {
        namespaces: vec!["shop".to_owned()],
        ..everywhere()
    };
    let ops = Selection {
        namespaces: vec!["ops".to_owned()],
        ..everywhere()
    };
    let labels = Selection {
        labels: Some("app=web".to_owned()),
        ..shop.clone()
    };
    let fields = Selection {
        fields: Some("spec.nodeName=one".to_owned()),
        ..everywhere()
    };
    let stub = Stub::serving(&ReportApi::ALL);
    write(&stub, &mut results(&["a", "b"]), &everywhere()).await;
    for selection in [ops, labels, fields] {
        let done = write(&stub, &mut results(&[]), &selection).await;
        assert_eq!(done, [0, 0, 0], "{selection:?}");
    }
    let mut incomplete = results(&["a"]);
    incomplete.errors.push(failure("list of pods", "forbidden"));
    incomplete.count();
    assert_eq!(write(&stub, &mut incomplete, &shop).await, [0, 1, 0]);
    assert_eq!(incomplete.skipped.len(), 1);
    let skipped = &incomplete.skipped[0];
    assert_eq!(
        (&*skipped.what, skipped.count),
        ("reports of earlier runs", 1)
    );

    assert_eq!(write(&stub, &mut results(&["a"]), &shop).await, [0, 1, 1]);
}

#[tokio::test]
async fn a_report_of_another_tool_keeps_its_name_and_its_content() {
    let stub = Stub::serving(&ReportApi::ALL);
    let foreign = serde_json::json!({"metadata": {"name": "uid-a", "namespace": "shop",
        "labels": {"app.kubernetes.io/managed-by": "kyverno"}}});
    let path = format!("{ROOT}/uid-a");
    stub.state().stored.insert(path.clone(), foreign.clone());
    assert_eq!(
        write(&stub, &mut results(&["a"]), &everywhere()).await,
        [1, 0, 0]
    );
    assert_eq!(stub.state().stored[&path], foreign);
    let ours = format!("{ROOT}/uid-a-podgate");
    assert_eq!(
        stub.state().stored[&ours]["metadata"]["name"],
        "uid-a-podgate"
    );
    assert_eq!(
        write(&stub, &mut results(&["a"]), &everywhere()).await,
        [0, 1, 0]
    );
    assert_eq!(
        write(&stub, &mut results(&[]), &everywhere()).await,
        [0, 0, 1]
    );
    assert_eq!(stub.state().stored[&path], foreign);
}

#[tokio::test]
async fn a_crd_that_is_removed_during_the_run_is_named_and_the_run_incomplete() {
    let stub = Stub::serving(&[ReportApi::PolicyReport]);
    stub.state().lasts = Some(1);
    let mut results = results(&["a", "b", "c"]);
    assert_eq!(write(&stub, &mut results, &everywhere()).await, [1, 0, 0]);
    assert_eq!(
        errors(&results),
        [
            "policyreports of wgpolicyk8s.io/v1alpha2: they are no longer served: their CRD was removed during the run \
            (2 of 3 not written)"
        ]
    );
    assert!(!results.run.complete);
}

#[tokio::test]
async fn a_namespace_that_may_not_be_written_is_told_once_and_the_others_go_on() {
    let stub = Stub::serving(&ReportApi::ALL);
    stub.state().forbidden = Some("shop".to_owned());
    let mut results = results(&["a", "b", "c"]);
    results.objects.push(workload("ops", "d"));
    assert_eq!(write(&stub, &mut results, &everywhere()).await, [1, 0, 0]);
    let errors = errors(&results);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("reports of openreports.io/v1alpha1 in namespace shop: ")
            && errors[0].ends_with("(3 not written or removed)"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_workload_without_a_uid_is_counted_as_skipped() {
    let stub = Stub::serving(&ReportApi::ALL);
    let mut results = results(&["a", "b"]);
    results.objects[0].uid = None;
    results.objects[1].uid = Some("../b".to_owned());
    assert_eq!(write(&stub, &mut results, &everywhere()).await, [0, 0, 0]);
    assert_eq!(results.summary.skipped, 2);
    assert!(results.run.complete);
    assert!(stub.state().writes.is_empty());
}

#[tokio::test]
async fn an_interrupted_run_says_what_is_missing() {
    let stub = Stub::serving(&ReportApi::ALL);
    let stop = CancellationToken::new();
    stop.cancel();
    let reports = Reports::discover(stub.client(), None, Version::LATEST)
        .await
        .unwrap();
    let mut results = results(&["a"]);
    reports.write(&mut results, &everywhere(), &stop).await;
    assert!(!results.run.complete);
    let errors = errors(&results);
    assert!(errors[0].contains("interrupted"), "{errors:?}");
}
