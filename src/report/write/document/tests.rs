use crate::output::results::testing::{finding, hostile, in_container, object};
use crate::policy::Mode;

use super::*;

const UID: &str = "3f1c6f2e-8d0a-4f7e-9b1c-0a2b3c4d5e6f";

fn workload(findings: Vec<Finding>) -> Object {
    Object {
        api_version: "apps/v1".to_owned(),
        uid: Some(UID.to_owned()),
        ..object("Deployment", "shop", "web", findings)
    }
}

fn with(mode: Mode, pod_mode: Mode, it: Finding) -> Finding {
    Finding {
        mode,
        pod_mode,
        ..it
    }
}

#[track_caller]
fn report(object: &Object, api: ReportApi) -> Report {
    Report::of(object, api, Version::LATEST, Some(1_800_000_000)).unwrap()
}

/// A finding of every fate; of the Pods, of what the template does not hold.
fn mixed() -> Object {
    let in_pods = Finding {
        in_pod: Some("web-5d8-x7k".to_owned()),
        level: Some("restricted".to_owned()),
        pods: 3,
        ..in_container("containers", 2, "sidecar")
    };
    let no_level = Finding {
        level: None,
        policies: vec!["a".to_owned(), "b".to_owned()],
        ..finding("spec.hostNetwork")
    };
    workload(vec![
        with(Mode::Audit, Mode::Audit, no_level),
        with(Mode::Warn, Mode::Warn, in_pods),
        Finding {
            pod_policies: vec!["strict".to_owned()],
            ..with(
                Mode::Warn,
                Mode::Enforce,
                in_container("containers", 0, "web"),
            )
        },
    ])
}

#[test]
fn a_report_has_the_shape_of_its_api_and_the_conventions_of_both() {
    let [newer, older] = ReportApi::ALL.map(|api| report(&mixed(), api).value);
    assert_eq!(newer["apiVersion"], "openreports.io/v1alpha1");
    assert_eq!(newer["kind"], "Report");
    assert_eq!(newer["source"], "podgate");
    assert_eq!(
        newer["configuration"],
        json!({"limits": {"statusFilter": ["fail", "warn", "skip"]}})
    );
    assert_eq!(older["apiVersion"], "wgpolicyk8s.io/v1alpha2");
    assert_eq!(older["kind"], "PolicyReport");
    let keys: Vec<&String> = older.as_object().unwrap().keys().collect();
    let expected = [
        "apiVersion",
        "kind",
        "metadata",
        "results",
        "scope",
        "summary",
    ];
    assert_eq!(keys, expected);
    for part in ["results", "scope", "summary"] {
        assert_eq!(newer[part], older[part]);
    }

    let metadata = &older["metadata"];
    assert_eq!(metadata["name"], UID);
    assert_eq!(metadata["namespace"], "shop");
    assert_eq!(
        metadata["labels"],
        json!({"app.kubernetes.io/managed-by": "podgate"})
    );
    assert_eq!(
        metadata["ownerReferences"],
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": UID}])
    );
    assert_eq!(
        older["scope"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": UID})
    );
    assert_eq!(
        older["summary"],
        json!({"pass": 0, "fail": 1, "warn": 3, "error": 0, "skip": 0})
    );
}

#[test]
fn what_rejects_is_a_fail_and_all_else_a_warn_that_is_not_scored() {
    let value = report(&mixed(), ReportApi::OpenReports).value;
    let rows = value["results"].as_array().unwrap();
    let told: Vec<String> = rows
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            let mode = it["properties"]["mode"].as_str().unwrap();
            let texts = ["result", "severity", "policy", "rule", "category"].map(text);
            format!("{} {} {mode}", texts.join(" "), it["scored"])
        })
        .collect();
    let expected = [
        "fail high strict privileged Pod Security Standards (Baseline) true enforce",
        "warn info a hostNamespaces Pod Security false audit",
        "warn info b hostNamespaces Pod Security false audit",
        "warn low baseline privileged Pod Security Standards (Restricted) false warn",
    ];
    assert_eq!(told, expected);
    assert_eq!(
        rows[0]["message"],
        "container \"web\": securityContext.privileged is true; must be false or unset"
    );
    let mut properties = rows[0]["properties"].clone();
    properties.as_object_mut().unwrap().remove("resultID");
    assert_eq!(
        properties,
        json!({
            "standard": "baseline", "version": "v1.37", "controls": "privileged", "mode": "enforce",
            "container": "web", "containerList": "containers",
            "path": "spec.containers[0].securityContext.privileged",
            "fix": "securityContext: {privileged: false}",
        })
    );
    assert_eq!(
        rows[0]["timestamp"],
        json!({"seconds": 1_800_000_000, "nanos": 0})
    );
}

#[test]
fn what_changes_by_itself_changes_nothing() {
    let before = report(&mixed(), ReportApi::OpenReports);
    let mut object = mixed();
    object.pods = 40;
    for finding in &mut object.findings {
        finding.new = true;
        finding.pods += 17;
        if let Some(pod) = &mut finding.in_pod {
            *pod = "web-6f9-abc".to_owned();
            finding.path = "spec.containers[5].securityContext.privileged".to_owned();
        }
    }
    let later = Report::of(
        &object,
        ReportApi::OpenReports,
        Version::LATEST,
        Some(1_900_000_000),
    )
    .unwrap();
    assert_eq!(before.content, later.content);
    assert_ne!(before.value, later.value, "the time is another");

    object.findings[0].current = "false".to_owned();
    let changed = report(&object, ReportApi::OpenReports);
    assert_ne!(before.content, changed.content);
}

#[test]
fn a_row_keeps_its_id_wherever_it_moves_and_shares_it_with_no_other() {
    let ids = |object: &Object| -> Vec<String> {
        let value = report(object, ReportApi::OpenReports).value;
        let rows = value["results"].as_array().unwrap().iter();
        rows.map(|it| it["properties"]["resultID"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = ids(&mixed());
    let mut object = mixed();
    object.findings.reverse();
    for finding in &mut object.findings {
        finding.path = finding.path.replace("[0]", "[1]");
        finding.required = "put differently".to_owned();
    }
    let mut moved = ids(&object);
    let mut sorted = before.clone();
    moved.sort();
    sorted.sort();
    assert_eq!(moved, sorted);
    sorted.dedup();
    assert_eq!(sorted.len(), before.len());

    // Two that only differ in what is required of them.
    let twins = ids(&workload(vec![finding("spec.a"), finding("spec.a")]));
    assert_ne!(twins[0], twins[1]);
    // The same finding of another workload.
    let other = Object {
        uid: Some("other".to_owned()),
        ..workload(vec![finding("spec.a")])
    };
    assert_ne!(ids(&other)[0], twins[0]);
}

#[test]
fn hostile_texts_stay_values_of_one_line_and_name_nothing() {
    for mut object in hostile().objects {
        object.uid = Some(UID.to_owned());
        let value = report(&object, ReportApi::OpenReports).value;
        assert_eq!(value["metadata"]["name"], UID);
        for row in value["results"].as_array().unwrap() {
            let properties = row["properties"].as_object().unwrap().values();
            let texts = properties.chain([&row["message"], &row["policy"], &row["rule"]]);
            for text in texts {
                let text = text.as_str().unwrap();
                assert!(!text.contains(crate::output::text::misleads), "{text:?}");
                assert!(text.len() < 20_000);
            }
        }
    }
    for uid in [
        "",
        "../../../namespaces/ops",
        "a/b",
        "UPPER",
        "-a",
        "a-",
        "a?b",
        "ä",
        &"a".repeat(64),
    ] {
        let object = Object {
            uid: Some(uid.to_owned()),
            ..mixed()
        };
        let report = Report::of(&object, ReportApi::OpenReports, Version::LATEST, None);
        assert_eq!(report, None, "{uid}");
    }
    let nowhere = Object {
        namespace: String::new(),
        ..mixed()
    };
    assert_eq!(
        Report::of(&nowhere, ReportApi::OpenReports, Version::LATEST, None),
        None
    );
}

#[test]
fn a_report_stays_under_a_mebibyte_and_counts_what_is_cut() {
    let many = (0..6000).map(|at| {
        let fails = at >= 5900;
        let mode = if fails { Mode::Enforce } else { Mode::Warn };
        with(mode, mode, finding(&format!("spec.volumes[{at}]")))
    });
    let value = report(&workload(many.collect()), ReportApi::OpenReports).value;
    let bytes = serde_json::to_vec(&value).unwrap().len();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(bytes > 7 << 17, "no more is cut than has to be: {bytes}");
    assert_eq!(
        value["summary"],
        json!({"pass": 0, "fail": 100, "warn": 5900, "error": 0, "skip": 0})
    );
    let rows = value["results"].as_array().unwrap();
    let cut: usize = value["metadata"]["annotations"][CUT]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(rows.len() + cut, 6000);
    let fails = rows.iter().filter(|it| it["result"] == "fail").count();
    assert_eq!(fails, 100, "what is cut is not what rejects");

    let small = report(&mixed(), ReportApi::OpenReports).value;
    assert_eq!(small["metadata"]["annotations"][CUT], Value::Null);
}
