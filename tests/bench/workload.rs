//! What both benchmarks measure: review bodies as an API server writes them, and the work done on each.
//!
//! The bodies are built, not recorded, so that their size can be told: Go's field order, compact, with the
//! `managedFields`, probes, resources and mounts that ordinary Pods have.

use std::fmt::Write as _;

use podgate::decision::Stage;
use podgate::pod::{PodView, Text, json};
use podgate::policy::PolicySet;
use podgate::review::{Outcome, Review};
use serde::Deserialize;

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) body: String,
    pub(crate) work: Work,
    /// Instructions and allocations that it may cost; none where it is there to compare with.
    pub(crate) budget: Option<(u64, u64)>,
}

/// What is done with the body.
pub(crate) enum Work {
    /// Decode, decide, answer.
    Answer(Stage, PolicySet),
    /// Decode into the view, by podgate's decoder.
    Decode,
    /// Decode into the same view, by `serde_json`.
    SerdeJson,
    /// Parse into a `serde_json::Value`.
    Value,
}

/// The envelope that both decoders read in the comparison.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    #[serde(borrow)]
    object: PodView<'a>,
}

/// What a Pod is built from.
pub(crate) struct Shape {
    pub(crate) init: usize,
    pub(crate) regular: usize,
    /// Environment variables a container.
    pub(crate) env: usize,
    /// Entries in `managedFields` a container, beyond those of its fields.
    pub(crate) managed: usize,
    pub(crate) context: &'static str,
    pub(crate) pod_context: &'static str,
}

const RESTRICTED: &str = "{mode: enforce, level: restricted}";
pub(crate) const GOOD: &str = r#"{"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}"#;
pub(crate) const GOOD_POD: &str = r#"{"runAsUser":1000,"runAsNonRoot":true,"fsGroup":1000,"seccompProfile":{"type":"RuntimeDefault"}}"#;

const SMALL: Shape = Shape {
    init: 1,
    regular: 2,
    env: 5,
    managed: 0,
    context: GOOD,
    pod_context: GOOD_POD,
};
const LARGE: Shape = Shape {
    init: 2,
    regular: 12,
    env: 28,
    managed: 24,
    context: GOOD,
    pod_context: GOOD_POD,
};
/// Says nothing about security, so that everything is injected.
const BARE: Shape = Shape {
    init: 0,
    regular: 2,
    env: 8,
    managed: 8,
    context: "{}",
    pod_context: "{}",
};

/// Writes three values on the Pod and one on each container, which makes six operations with two containers in it:
/// none of them has a parent that is missing.
const INJECT: &str = "{inject: {seccompProfile: RuntimeDefault, runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}}";

/// Everything that is measured.
pub(crate) fn cases() -> Vec<Case> {
    let validate = |specs: &[String]| Work::Answer(Stage::Validate, policies(specs));
    let one = || validate(&[RESTRICTED.to_owned()]);
    let hundred = |spec: &dyn Fn(u32) -> String| -> Vec<String> { (0..100).map(spec).collect() };
    // A team each; one of them is ours.
    let teams = hundred(&|at| {
        let namespaces = if at == 70 {
            "sho*".to_owned()
        } else {
            format!("team-{at}-*")
        };
        format!("{{mode: enforce, level: restricted, match: {{namespaces: [\"{namespaces}\"]}}}}")
    });
    let alike = hundred(&|_| {
        "{mode: enforce, level: restricted, match: {namespaces: [\"sho*\"]}}".to_owned()
    });
    // No two of them can share this check.
    let distinct = hundred(&|at| {
        let max = 60_000 + at;
        format!(
            "{{mode: enforce, level: restricted, match: {{namespaces: [\"sho*\"]}}, controls: {{runAsUser: {{ranges: [{{min: 1, max: {max}}}]}}}}}}"
        )
    });
    let (small, large, bare) = (review(&SMALL), review(&LARGE), review(&BARE));
    let case = |name, body: &String, work, budget| Case {
        name,
        body: body.clone(),
        work,
        budget,
    };
    vec![
        case(
            "7 kB: decode, decide, answer",
            &small,
            one(),
            Some((75_000, 20)),
        ),
        case("7 kB: decode", &small, Work::Decode, None),
        case("7 kB: decode, by serde_json", &small, Work::SerdeJson, None),
        case("7 kB: serde_json::Value", &small, Work::Value, None),
        case(
            "63 kB: decode, decide, answer",
            &large,
            one(),
            Some((400_000, 60)),
        ),
        case("63 kB: decode", &large, Work::Decode, None),
        case(
            "63 kB: decode, by serde_json",
            &large,
            Work::SerdeJson,
            None,
        ),
        case("63 kB: serde_json::Value", &large, Work::Value, None),
        case(
            "7 kB: mutate, 6 operations",
            &bare,
            Work::Answer(Stage::Mutate, policies(&[INJECT.to_owned()])),
            Some((82_000, 60)),
        ),
        case(
            "7 kB: 100 policies, one concerned",
            &small,
            validate(&teams),
            None,
        ),
        case(
            "7 kB: 100 policies, all alike",
            &small,
            validate(&alike),
            None,
        ),
        case(
            "7 kB: 100 policies, all different",
            &small,
            validate(&distinct),
            None,
        ),
    ]
}

// === impl Case ===

impl Case {
    /// Does it once; the result keeps the compiler from leaving it out.
    pub(crate) fn run(&self) -> usize {
        let body = self.body.as_bytes();
        match &self.work {
            Work::Answer(stage, set) => {
                let review = Review::parse(body).expect("the body is a review");
                let answer = review.answer(*stage, set, None);
                let expected = match stage {
                    Stage::Mutate => Outcome::Patched,
                    Stage::Validate | Stage::Whole => Outcome::Allowed,
                };
                assert_eq!(answer.outcome, expected);
                answer.body.len()
            }
            Work::Decode => read(&json::from_slice(body).expect("the body is a review")),
            Work::SerdeJson => read(&serde_json::from_slice(body).expect("the body is a review")),
            Work::Value => {
                let value: serde_json::Value =
                    serde_json::from_slice(body).expect("the body is JSON");
                value.as_object().map_or(0, serde_json::Map::len)
            }
        }
    }
}

fn read(envelope: &Envelope<'_>) -> usize {
    envelope.request.uid.len() + envelope.request.object.spec.containers.len()
}

fn policies(specs: &[String]) -> PolicySet {
    let files = specs.iter().enumerate().map(|(at, spec)| {
        let text = format!(
            "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: policy-{at}}}\nspec: {spec}\n"
        );
        (format!("{at}.yaml"), text)
    });
    PolicySet::load("bench", &files.collect::<Vec<_>>()).expect("the policies are good")
}

fn review(shape: &Shape) -> String {
    review_of("", "pods", &pod(shape))
}

/// The CREATE of an object as that resource of the group.
pub(crate) fn review_of(group: &str, resource: &str, object: &str) -> String {
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"f0453ed3-af48-4cdb-a91c-fac62bbba281","kind":{{"group":"{group}","version":"v1","kind":"Any"}},"resource":{{"group":"{group}","version":"v1","resource":"{resource}"}},"requestKind":{{"group":"{group}","version":"v1","kind":"Any"}},"requestResource":{{"group":"{group}","version":"v1","resource":"{resource}"}},"name":"web-7d4b9c6f5-x2x9k","namespace":"shop","operation":"CREATE","userInfo":{{"username":"system:serviceaccount:kube-system:replicaset-controller","uid":"3c1c7a0e-0d0f-4b57-9d2b-1f0a6a3f5e11","groups":["system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"]}},"object":{object},"oldObject":null,"dryRun":false,"options":{{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}}}}"#
    )
}

pub(crate) fn pod(shape: &Shape) -> String {
    let list = |kind: &str, count| {
        let all: Vec<_> = (0..count)
            .map(|at| container(&format!("{kind}-{at}"), shape))
            .collect();
        all.join(",")
    };
    let init = if shape.init == 0 {
        String::new()
    } else {
        format!(r#""initContainers":[{}],"#, list("init", shape.init))
    };
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"web-7d4b9c6f5-x2x9k","generateName":"web-7d4b9c6f5-","namespace":"shop","uid":"e4756265-dd4f-495f-af2c-fe76b9e53d3c","creationTimestamp":"2026-11-23T16:56:41Z","labels":{{"app.kubernetes.io/name":"web","app.kubernetes.io/part-of":"shop","pod-template-hash":"7d4b9c6f5"}},"annotations":{{"prometheus.io/scrape":"true","prometheus.io/port":"8080"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d4b9c6f5","uid":"0f1d7c1e-9f0a-4a3b-8d5f-6f4c2b7a9e10","controller":true,"blockOwnerDeletion":true}}],"managedFields":[{}]}},"spec":{{"volumes":[{{"name":"tmp","emptyDir":{{}}}},{{"name":"config","configMap":{{"name":"web-config","defaultMode":420}}}},{{"name":"kube-api-access-7k2xq","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}},{{"configMap":{{"name":"kube-root-ca.crt","items":[{{"key":"ca.crt","path":"ca.crt"}}]}}}},{{"downwardAPI":{{"items":[{{"path":"namespace","fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.namespace"}}}}]}}}}],"defaultMode":420}}}}],{init}"containers":[{}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"web","serviceAccount":"web","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}},{{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"}},"status":{{"phase":"Pending","qosClass":"Burstable"}}}}"#,
        managed_fields(shape),
        list("app", shape.regular),
        shape.pod_context,
    )
}

fn container(name: &str, shape: &Shape) -> String {
    let env: Vec<_> = (0..shape.env)
        .map(|at| {
            format!(r#"{{"name":"SETTING_{at}","value":"https://backend-{at}.shop.svc:8443/v1"}}"#)
        })
        .collect();
    format!(
        r#"{{"name":"{name}","image":"registry.example/shop/{name}:1.27.3@sha256:9c6a1f4a2d7be15f8c7e1a0d3b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70","args":["--listen=:8080","--config=/etc/web/config.yaml"],"ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}}],"env":[{}],"resources":{{"limits":{{"cpu":"500m","memory":"256Mi"}},"requests":{{"cpu":"100m","memory":"128Mi"}}}},"volumeMounts":[{{"name":"tmp","mountPath":"/tmp"}},{{"name":"config","readOnly":true,"mountPath":"/etc/web"}},{{"name":"kube-api-access-7k2xq","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}}],"livenessProbe":{{"httpGet":{{"path":"/livez","port":8080,"scheme":"HTTP"}},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent","securityContext":{}}}"#,
        env.join(","),
        shape.context,
    )
}

fn managed_fields(shape: &Shape) -> String {
    let mut containers = String::new();
    for at in 0..shape.regular {
        let mut more = String::new();
        for entry in 0..shape.env.min(shape.managed) {
            // Writing into a `String` cannot fail.
            let _ = write!(
                more,
                r#""k:{{\"name\":\"SETTING_{entry}\"}}":{{".":{{}},"f:name":{{}},"f:value":{{}}}},"#
            );
        }
        let _ = write!(
            containers,
            r#""k:{{\"name\":\"app-{at}\"}}":{{".":{{}},"f:args":{{}},"f:env":{{{more}".":{{}}}},"f:image":{{}},"f:imagePullPolicy":{{}},"f:name":{{}}}},"#
        );
    }
    format!(
        r#"{{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-11-23T16:56:41Z","fieldsType":"FieldsV1","fieldsV1":{{"f:metadata":{{"f:generateName":{{}},"f:labels":{{".":{{}},"f:pod-template-hash":{{}}}},"f:ownerReferences":{{".":{{}},"k:{{\"uid\":\"0f1d7c1e-9f0a-4a3b-8d5f-6f4c2b7a9e10\"}}":{{}}}}}},"f:spec":{{"f:containers":{{{containers}".":{{}}}},"f:dnsPolicy":{{}},"f:restartPolicy":{{}},"f:securityContext":{{}}}}}}}}"#
    )
}
