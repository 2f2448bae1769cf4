//! Where podgate goes further than Pod Security Admission when it is asked to, and what happens when a namespace cannot
//! be looked up.

use std::collections::BTreeMap;

use podgate::decision::Stage;
use podgate::policy::source::pod_security::Templates;
use podgate::policy::{Options, PolicySet};
use podgate::review::{Count, Counted, Labels, Review};
use serde_json::{Value, json};

use crate::support::{create, policies, policy, update};

const CONFIGURATION: &str = "apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
exemptions: {usernames: [robot]}
";

fn set(options: Options) -> PolicySet {
    policies(CONFIGURATION).with_pod_security_options(options)
}

fn workloads(workloads: Templates) -> PolicySet {
    set(Options {
        workloads,
        ..Options::default()
    })
}

#[track_caller]
fn answer(set: &PolicySet, labels: &[(&str, &str)], review: &Value) -> (Value, Vec<Count>) {
    let label = |(key, value): &(&str, &str)| {
        let key = format!("pod-security.kubernetes.io/{key}");
        (key, (*value).to_owned())
    };
    let labels: BTreeMap<String, String> = labels.iter().map(label).collect();
    told(set, Labels::Known(&labels), review)
}

#[track_caller]
fn told(set: &PolicySet, labels: Labels<'_>, review: &Value) -> (Value, Vec<Count>) {
    let body = serde_json::to_vec(review).unwrap();
    let answer = Review::parse(&body)
        .unwrap()
        .answer(Stage::Validate, set, labels);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (body["response"].clone(), answer.counts)
}

fn pod(spec: &Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": spec})
}

fn deployment(spec: &Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}})
}

fn open(name: &str) -> Value {
    json!({"hostPID": true, "containers": [{"name": name, "image": "i"}]})
}

fn sealed() -> Value {
    json!({"containers": [{"name": "a", "image": "i"}]})
}

const BASELINE: [(&str, &str); 2] = [("enforce", "baseline"), ("warn", "privileged")];
const WHY: &str = "violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";

#[test]
fn a_workload_is_told_nothing_or_that_its_pods_will_be_rejected_or_is_rejected() {
    let review = create("apps", "deployments", &deployment(&open("a")));
    let (response, _) = answer(&workloads(Templates::Upstream), &BASELINE, &review);
    assert_eq!(response, json!({"uid": "u-1", "allowed": true}));

    let (response, _) = answer(&workloads(Templates::Warn), &BASELINE, &review);
    assert_eq!(response["allowed"], true);
    let told = format!("its Pods will be rejected: {WHY}");
    assert_eq!(response["warnings"], json!([told]));

    let (response, counts) = answer(&workloads(Templates::Enforce), &BASELINE, &review);
    assert_eq!(response["allowed"], false);
    assert_eq!(
        response["status"]["message"],
        format!("deployments.apps \"web\" is forbidden: {WHY}")
    );
    assert_eq!(response["status"]["code"], 403);
    assert!(
        matches!(
            &counts[..],
            [Count {
                what: Counted::Evaluation {
                    decision: "deny",
                    mode: "enforce",
                    ..
                },
                resource: "controller",
                ..
            }]
        ),
        "{counts:?}"
    );

    let harmless = create("apps", "deployments", &deployment(&sealed()));
    for templates in [Templates::Warn, Templates::Enforce] {
        let (response, _) = answer(&workloads(templates), &BASELINE, &harmless);
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    }
}

#[test]
fn what_is_warned_of_anyway_is_not_said_twice() {
    let review = create("apps", "deployments", &deployment(&open("a")));
    let labels = [("enforce", "baseline")];
    let (response, _) = answer(&workloads(Templates::Warn), &labels, &review);
    assert_eq!(
        response["warnings"],
        json!([
            format!("would {}", WHY.replacen("violates", "violate", 1)),
            "its Pods will be rejected: violates PodSecurity \"baseline:latest\""
        ])
    );
}

#[test]
fn a_workload_that_broke_the_level_before_can_be_edited() {
    let set = workloads(Templates::Enforce);
    let old = deployment(&open("a"));
    let mut scaled = old.clone();
    scaled["spec"]["replicas"] = json!(3);
    let (response, _) = answer(
        &set,
        &BASELINE,
        &update("apps", "deployments", &old, &scaled),
    );
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"],
        json!([format!("its Pods will be rejected: {WHY}")])
    );
    let mut worse = old.clone();
    worse["spec"]["template"]["spec"]["hostIPC"] = json!(true);
    let (response, _) = answer(
        &set,
        &BASELINE,
        &update("apps", "deployments", &old, &worse),
    );
    assert_eq!(
        response["status"]["message"],
        "deployments.apps \"web\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostIPC=true)"
    );
}

#[test]
fn a_template_is_judged_as_if_injection_had_run() {
    let text = format!(
        "{CONFIGURATION}---\napiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: p}}\n\
         spec: {{mode: audit, inject: {{runAsNonRoot: true, allowPrivilegeEscalation: false, seccompProfile: RuntimeDefault, capabilities: {{drop: [ALL]}}}}}}\n"
    );
    let set = policies(&text).with_pod_security_options(Options {
        workloads: Templates::Enforce,
        ..Options::default()
    });
    let labels = [("enforce", "restricted"), ("warn", "privileged")];
    let (response, _) = answer(
        &set,
        &labels,
        &create("apps", "deployments", &deployment(&sealed())),
    );
    assert_eq!(response["allowed"], true, "{response}");
    let (response, _) = answer(&set, &labels, &create("", "pods", &pod(&sealed())));
    assert_eq!(response["allowed"], false, "a Pod is judged as it is");
}

#[test]
fn an_old_ephemeral_container_keeps_no_new_one_out_if_only_added_ones_are_judged() {
    let debugger = |name: &str, privileged: bool| json!({"name": name, "image": "i", "securityContext": {"privileged": privileged}});
    let with = |containers: &[Value]| {
        let mut spec = open("a");
        spec["ephemeralContainers"] = json!(containers);
        pod(&spec)
    };
    let review = |new: &Value| {
        let mut review = update("", "pods", &with(&[debugger("old", true)]), new);
        review["request"]["subResource"] = json!("ephemeralcontainers");
        review
    };
    let harmless = review(&with(&[debugger("old", true), debugger("new", false)]));
    let harmful = review(&with(&[debugger("old", true), debugger("new", true)]));
    let (response, _) = answer(&set(Options::default()), &BASELINE, &harmless);
    assert_eq!(response["allowed"], false, "as upstream");
    let added_only = set(Options {
        added_only: true,
        ..Options::default()
    });
    let (response, _) = answer(&added_only, &BASELINE, &harmless);
    assert_eq!(response["allowed"], true, "{response}");
    let (response, _) = answer(&added_only, &BASELINE, &harmful);
    assert_eq!(
        response["status"]["message"],
        "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"new\" must not set securityContext.privileged=true)"
    );
    // Whatever else changes a Pod is judged as a whole.
    let (response, _) = answer(
        &added_only,
        &BASELINE,
        &create("", "pods", &with(&[debugger("old", true)])),
    );
    assert_eq!(response["allowed"], false);
}

#[test]
fn a_rejection_goes_on_behind_upstreams_line_if_asked() {
    let explain = set(Options {
        explain: true,
        ..Options::default()
    });
    let (response, _) = answer(&explain, &BASELINE, &create("", "pods", &pod(&open("a"))));
    assert_eq!(
        response["status"]["message"],
        format!(
            "pods \"web\" is forbidden: {WHY}\n  1. spec.hostPID is true; must be false or unset\n     fix: spec: {{hostPID: false}}"
        )
    );
    // What a controller is told ends in an Event: one line.
    let mut review = create("", "pods", &pod(&open("a")));
    review["request"]["userInfo"]["username"] =
        json!("system:serviceaccount:kube-system:replicaset-controller");
    let (response, _) = answer(&explain, &BASELINE, &review);
    assert_eq!(
        response["status"]["message"],
        format!("pods \"web\" is forbidden: {WHY}")
    );
}

#[test]
fn a_namespace_that_cannot_be_looked_up_refuses_pods_and_not_workloads() {
    let set = set(Options::default());
    let failed = Labels::Failed("there is no namespace \"shop\"");
    let (response, counts) = told(&set, failed, &create("", "pods", &pod(&open("a"))));
    assert_eq!(
        response,
        json!({
            "uid": "u-1", "allowed": false,
            "status": {
                "status": "Failure", "code": 500, "reason": "InternalError",
                "message": "Internal error occurred: failed to lookup namespace \"shop\"",
                "details": {"causes": [{"message": "failed to lookup namespace \"shop\""}]},
            },
            "auditAnnotations": {
                "error": "Internal error occurred: failed to lookup namespace \"shop\": there is no namespace \"shop\"",
            },
        })
    );
    let fatal = Counted::Error { fatal: true };
    assert_eq!(counts[0].what, fatal);

    let review = create("apps", "deployments", &deployment(&open("a")));
    let (response, counts) = told(&set, failed, &review);
    assert_eq!(
        response,
        json!({
            "uid": "u-1", "allowed": true,
            "auditAnnotations": {"error": "failed to lookup namespace \"shop\": there is no namespace \"shop\""},
        })
    );
    assert_eq!(
        (&counts[0].what, counts[0].resource),
        (&fatal, "controller")
    );
    // Policies have their say all the same.
    let strict = policy("{mode: enforce, workloads: enforce, controls: {hostNamespaces: {}}}");
    let (response, _) = told(&strict.with_pod_security(), failed, &review);
    assert_eq!(response["allowed"], false);
}

#[test]
fn whoever_is_exempt_needs_no_namespace() {
    let set = set(Options::default());
    let mut review = create("", "pods", &pod(&open("a")));
    review["request"]["userInfo"]["username"] = json!("robot");
    let body = serde_json::to_vec(&review).unwrap();
    let parsed = Review::parse(&body).unwrap();
    assert!(!parsed.needs_labels(Stage::Validate, &set));
    let (response, counts) = told(&set, Labels::Unknown, &review);
    assert_eq!(response["auditAnnotations"], json!({"exempt": "user"}));
    assert_eq!(counts[0].what, Counted::Exemption);
    // Injection asks for no labels, since nobody injects by them.
    let body = serde_json::to_vec(&create("", "pods", &pod(&open("a")))).unwrap();
    let parsed = Review::parse(&body).unwrap();
    assert!(parsed.needs_labels(Stage::Validate, &set));
    assert!(!parsed.needs_labels(Stage::Mutate, &set));
}

#[test]
fn evaluations_are_counted_as_upstream_counts_them() {
    let set = set(Options::default());
    let evaluation = |decision, level, version: &'static str, mode| Counted::Evaluation {
        decision,
        level,
        version: version.into(),
        mode,
    };
    let error = Counted::Error { fatal: false };
    for (labels, spec, expected) in [
        (
            vec![],
            open("a"),
            vec![evaluation("allow", "privileged", "latest", "enforce")],
        ),
        (
            vec![("enforce", "baseline"), ("enforce-version", "v1.20")],
            open("a"),
            vec![evaluation("deny", "baseline", "v1.20", "enforce")],
        ),
        (
            vec![
                ("enforce", "privileged"),
                ("audit", "baseline"),
                ("audit-version", "v1.99"),
                ("warn", "baseline"),
            ],
            open("a"),
            vec![
                evaluation("allow", "privileged", "latest", "enforce"),
                evaluation("deny", "baseline", "future", "audit"),
                evaluation("deny", "baseline", "latest", "warn"),
            ],
        ),
        (
            vec![("enforce", "basline")],
            sealed(),
            vec![error, evaluation("deny", "restricted", "latest", "enforce")],
        ),
    ] {
        let (_, counts) = answer(&set, &labels, &create("", "pods", &pod(&spec)));
        let found: Vec<Counted> = counts.iter().map(|it| it.what.clone()).collect();
        assert_eq!(found, expected, "{labels:?}");
        assert!(
            counts
                .iter()
                .all(|it| (it.operation, it.resource, it.subresource) == ("create", "pod", ""))
        );
    }
    let (_, counts) = answer(
        &set,
        &[("warn", "baseline")],
        &create("", "pods", &json!({"spec": 7})),
    );
    assert_eq!(counts[0].what, Counted::Error { fatal: true });
    let mut odd = update("", "pods", &pod(&sealed()), &pod(&open("a")));
    odd["request"]["subResource"] = json!("made-up");
    odd["request"]["object"]["spec"]["containers"] = json!([]);
    let (_, counts) = answer(&set, &BASELINE, &odd);
    assert_eq!(
        (counts[0].operation, counts[0].subresource),
        ("update", "other")
    );
}

#[test]
fn only_a_namespace_that_begins_to_enforce_more_has_its_pods_looked_at() {
    let set = set(Options::default());
    let namespace = |enforce: &str| json!({"metadata": {"name": "web", "labels": {"pod-security.kubernetes.io/enforce": enforce}}});
    for (old, new, is_looked_at) in [
        ("privileged", "baseline", true),
        ("baseline", "restricted", true),
        ("restricted", "baseline", false),
        ("baseline", "baseline", false),
        ("restricted", "privileged", false),
    ] {
        let review = update("", "namespaces", &namespace(old), &namespace(new));
        let body = serde_json::to_vec(&review).unwrap();
        let review = Review::parse(&body).unwrap();
        let existing = review.existing(&set);
        assert_eq!(existing.is_some(), is_looked_at, "{old} -> {new}");
        assert!(existing.is_none_or(|it| it.namespace() == "web"));
    }
    let body = serde_json::to_vec(&create("", "namespaces", &namespace("baseline"))).unwrap();
    assert!(Review::parse(&body).unwrap().existing(&set).is_none());
}
