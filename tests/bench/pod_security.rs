//! The shapes of upstream's own benchmarks of Pod Security Admission: a Pod of 18.7 kB and a Deployment of it in
//! namespaces of eight kinds, and a namespace of 3,000 such Pods that begins to enforce more. Upstream's figures are of
//! decoded objects; here the bytes are read too, and the last case tells how much of it that is.

use std::collections::BTreeMap;

use divan::Bencher;
use divan::counter::ItemsCount;
use podgate::decision::Stage;
use podgate::pod::listed::Listed;
use podgate::pod::{PodView, json};
use podgate::policy::PolicySet;
use podgate::review::{Labels, Outcome, Review};

use super::workload::{GOOD, GOOD_POD, Shape, pod, review_of};

/// Four containers, as kube-dns has.
const RESTRICTED: Shape = Shape {
    init: 0,
    regular: 4,
    env: 24,
    managed: 24,
    context: GOOD,
    pod_context: GOOD_POD,
};
const BASELINE: Shape = Shape {
    context: "{}",
    pod_context: "{}",
    ..RESTRICTED
};

const NAMESPACES: [(&str, &[(&str, &str)]); 8] = [
    ("implicit", &[]),
    (
        "privileged",
        &[
            ("enforce", "privileged"),
            ("audit", "privileged"),
            ("warn", "privileged"),
        ],
    ),
    ("baseline", &[("enforce", "baseline")]),
    ("restricted", &[("enforce", "restricted")]),
    ("warn baseline", &[("warn", "baseline")]),
    ("warn restricted", &[("warn", "restricted")]),
    (
        "all baseline",
        &[
            ("enforce", "baseline"),
            ("audit", "baseline"),
            ("warn", "baseline"),
        ],
    ),
    (
        "warn baseline, audit restricted",
        &[("warn", "baseline"), ("audit", "restricted")],
    ),
];

fn set() -> PolicySet {
    let text =
        "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n";
    let files = [("configuration.yaml".to_owned(), text.to_owned())];
    PolicySet::load("bench", &files).expect("it is sound")
}

fn labels(name: &str) -> BTreeMap<String, String> {
    let (_, labels) = NAMESPACES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the names are those of the namespaces");
    let label = |(key, value): &(&str, &str)| {
        let key = format!("pod-security.kubernetes.io/{key}");
        (key, (*value).to_owned())
    };
    labels.iter().map(label).collect()
}

fn names() -> Vec<&'static str> {
    NAMESPACES.iter().map(|(name, _)| *name).collect()
}

fn verify(bencher: Bencher<'_, '_>, name: &str, body: &str) {
    let (set, labels) = (set(), labels(name));
    bencher.bench(|| {
        let review = Review::parse(body.as_bytes()).expect("it is a review");
        let answer = review.answer(Stage::Validate, &set, Labels::Known(&labels));
        assert_eq!(answer.outcome, Outcome::Allowed);
        answer.body.len()
    });
}

#[divan::bench(args = names())]
fn verify_pod(bencher: Bencher<'_, '_>, name: &str) {
    verify(bencher, name, &review_of("", "pods", &pod(&RESTRICTED)));
}

#[divan::bench(args = names())]
fn verify_deployment(bencher: Bencher<'_, '_>, name: &str) {
    let deployment = format!(
        r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"name":"web"}},"spec":{{"replicas":1,"template":{}}}}}"#,
        pod(&RESTRICTED)
    );
    verify(
        bencher,
        name,
        &review_of("apps", "deployments", &deployment),
    );
}

const PODS: usize = 3000;

/// A third of one owner, a third of another, a third of none.
fn pods() -> Vec<String> {
    let pod = pod(&BASELINE);
    assert!((18_000..19_500).contains(&pod.len()), "{}", pod.len());
    let owner = r#""uid":"0f1d7c1e-9f0a-4a3b-8d5f-6f4c2b7a9e10","controller":true"#;
    let kinds = [
        r#""uid":"a","controller":true"#,
        r#""uid":"b","controller":true"#,
        r#""uid":"c","controller":false"#,
    ]
    .map(|other| pod.replacen(owner, other, 1));
    kinds.into_iter().cycle().take(PODS).collect()
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn verify_namespace_of_3000_pods(bencher: Bencher<'_, '_>) {
    let set = set();
    let namespace = |enforce: &str| {
        format!(
            r#"{{"kind":"Namespace","apiVersion":"v1","metadata":{{"name":"web","labels":{{"pod-security.kubernetes.io/enforce":"{enforce}"}}}}}}"#
        )
    };
    let body = review_of("", "namespaces", &namespace("restricted"))
        .replace(r#""operation":"CREATE""#, r#""operation":"UPDATE""#)
        .replace(
            r#""oldObject":null"#,
            &format!(r#""oldObject":{}"#, namespace("baseline")),
        );
    let review = Review::parse(body.as_bytes()).expect("it is a review");
    let pods = pods();
    bencher.counter(ItemsCount::new(PODS)).bench(|| {
        let mut existing = review.existing(&set).expect("it enforces more");
        for pod in &pods {
            existing.add(pod).expect("it is a Pod");
        }
        let warnings = existing.warnings(0);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains("runAsNonRoot"));
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn decode_3000_pods(bencher: Bencher<'_, '_>) {
    let pods = pods();
    bencher.counter(ItemsCount::new(PODS)).bench(|| {
        let decode = |pod: &String| {
            let view: PodView<'_> = json::from_str(pod).expect("it is a Pod");
            let listed = Listed::decode(pod).expect("it is a Pod");
            view.spec.containers.len() + listed.metadata.name.len()
        };
        pods.iter().map(decode).sum::<usize>()
    });
}
