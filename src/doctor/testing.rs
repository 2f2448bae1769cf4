//! A healthy install as a snapshot, from the manifests that podgate ships, and cases that break it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
pub(super) use k8s_openapi::api::admissionregistration::v1::MutatingWebhook as Webhook;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{CHECKS, examine};
use crate::cluster::snapshot::{
    Answer, Callee, Canary, CanarySort, Configuration, Names, Need, Replica, Right, Snapshot,
};
use crate::output::diagnosis::Observation;
use crate::policy::{SHIPPED, shipped};

pub(super) const NOW: i64 = 1_900_000_000;
const DAY: i64 = 24 * 60 * 60;

/// What is done to a healthy install, and how one of the observations begins then.
pub(super) struct Case {
    change: Box<dyn Fn(&mut Snapshot)>,
    expected: String,
}

/// A CA.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

// === impl Case ===

impl Case {
    pub(super) fn new(change: impl Fn(&mut Snapshot) + 'static, expected: &str) -> Self {
        Self {
            change: Box::new(change),
            expected: expected.to_owned(),
        }
    }

    /// Changes the first validating webhook, which judges Pods.
    pub(super) fn webhook(change: impl Fn(&mut Webhook) + 'static, expected: &str) -> Self {
        Self::new(
            move |it| change(&mut it.validating.as_mut().unwrap()[0].webhooks[0]),
            expected,
        )
    }
}

#[track_caller]
pub(super) fn cases(cases: &[Case]) {
    for case in cases {
        let mut snapshot = healthy();
        (case.change)(&mut snapshot);
        let seen = observed(&snapshot);
        assert!(
            seen.iter().any(|it| it.starts_with(&case.expected)),
            "{}\nis none of {seen:#?}",
            case.expected
        );
    }
}

/// Each observation in one line: severity, check, place, what.
pub(super) fn observed(snapshot: &Snapshot) -> Vec<String> {
    let line = |it: Observation| {
        let known = CHECKS.iter().any(|(check, _)| *check == it.check);
        assert!(known, "{}", it.check);
        format!(
            "{} {}: {}: {}",
            it.severity.word(),
            it.check,
            it.place,
            it.what
        )
    };
    examine(snapshot, None).into_iter().map(line).collect()
}

pub(super) fn from<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Adds a policy that injects this.
pub(super) fn inject(snapshot: &mut Snapshot, what: &str) {
    let text = format!(
        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: injects}}\nspec: {{inject: {{{what}}}}}\n"
    );
    let map = snapshot.policies.as_mut().unwrap().as_mut().unwrap();
    map.data
        .as_mut()
        .unwrap()
        .insert("injects.yaml".to_owned(), text);
}

/// Sets the version of a node's kubelet.
pub(super) fn kubelet(snapshot: &mut Snapshot, at: usize, version: &str) {
    let status = snapshot.nodes.as_mut().unwrap()[at]
        .status
        .as_mut()
        .unwrap();
    status.node_info.as_mut().unwrap().kubelet_version = version.to_owned();
}

/// The install of `manifests/`, running.
pub(super) fn healthy() -> Snapshot {
    let authority = Authority::new("podgate", NOW - DAY, NOW + 365 * DAY);
    let chain =
        vec![authority.certificate("podgate.podgate-system.svc", NOW - DAY, NOW + 60 * DAY)];
    let replica = |number: u8| Replica {
        pod: pod(number),
        readiness: Ok("[+]policies ok: 3 in force\nreadyz check passed\n".to_owned()),
        metrics: Ok(format!(
            "podgate_policies_stale 0\npodgate_policy_set_info{{hash=\"{}\"}} 1\n",
            shipped().unwrap().hash()
        )),
        certificates: Ok(chain.clone()),
    };
    let mut configurations = manifests("webhooks/webhooks.yaml");
    for configuration in &mut configurations {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            let bundle = ByteString(authority.pem().into_bytes());
            webhook["clientConfig"]["caBundle"] = serde_json::to_value(bundle).unwrap();
        }
    }
    let of_kind = |kind: &str| {
        let found = configurations.iter().filter(|it| it["kind"] == kind);
        found.map(from).collect::<Vec<Configuration>>()
    };
    let deployments = manifests("gate/deployment.yaml");
    let mut deployment = deployments[0].clone();
    deployment["status"] = json!({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2});
    let mut budget = manifests("gate/pdb.yaml")[0].clone();
    budget["status"] = json!({"expectedPods": 2, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1});
    let namespaces = ["default", "kube-system", "podgate-system", "shop"];
    let namespace = |name: &str| -> Namespace {
        from(&json!({"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}))
    };
    let policies = SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let names = Names::default();
    let key = (names.namespace.clone(), names.service.clone());
    Snapshot {
        now: NOW,
        api_server: Ok("v1.37.2".to_owned()),
        validating: Ok(of_kind("ValidatingWebhookConfiguration")),
        mutating: Ok(of_kind("MutatingWebhookConfiguration")),
        services: BTreeMap::from([(key, callee())]),
        namespaces: Ok(namespaces.map(namespace).into()),
        deployment: Ok(Some(from(&deployment))),
        budgets: Ok(vec![from(&budget)]),
        replicas: Ok(vec![replica(1), replica(2)]),
        policies: Ok(Some(ConfigMap {
            data: Some(BTreeMap::from(policies)),
            ..ConfigMap::default()
        })),
        nodes: Ok(vec![node("n1"), node("n2")]),
        runtime_classes: Ok(Vec::new()),
        app_armor_refusals: Ok(BTreeMap::new()),
        canaries: vec![
            Canary {
                sort: CanarySort::Good,
                answer: Ok(Answer::Admitted),
            },
            Canary {
                sort: CanarySort::Bad,
                answer: Ok(Answer::Refused(
                    403,
                    "admission webhook \"gate.podgate.dev\" denied the request: no".to_owned(),
                )),
            },
        ],
        own_rights: vec![(right("list", "nodes"), Ok(true))],
        gate_rights: vec![
            (right("watch", "namespaces"), Need::Always, Ok(true)),
            (right("list", "pods"), Need::Labels, Ok(true)),
            (right("get", "secrets"), Need::Certificates, Ok(true)),
            (right("get", "secrets"), Need::Never, Ok(false)),
        ],
        names,
    }
}

fn manifests(file: &str) -> Vec<Value> {
    let path = format!("{}/manifests/base/{file}", env!("CARGO_MANIFEST_DIR"));
    // An octal number is a float to a reader who does not know the field; nobody looks at it here.
    let text = std::fs::read_to_string(path)
        .unwrap()
        .replace(", defaultMode: 0440", "");
    serde_saphyr::from_multiple(&text).unwrap()
}

fn callee() -> Callee {
    let service: Service = from(&manifests("gate/service.yaml")[0]);
    let slice = json!({
        "addressType": "IPv4", "metadata": {"name": "podgate-x"},
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
        "ports": [{"name": "webhook", "port": 8443}],
    });
    Callee {
        service: Ok(Some(service)),
        slices: Ok(vec![from(&slice)]),
    }
}

fn pod(number: u8) -> Pod {
    let template = &manifests("gate/deployment.yaml")[0]["spec"]["template"];
    let mut pod = template.clone();
    pod["metadata"]["name"] = json!(format!("podgate-{number}"));
    pod["metadata"]["namespace"] = json!("podgate-system");
    pod["spec"]["nodeName"] = json!(format!("n{number}"));
    pod["status"] = json!({"phase": "Running"});
    from(&pod)
}

fn node(name: &str) -> k8s_openapi::api::core::v1::Node {
    from(&json!({"metadata": {"name": name}, "status": {"nodeInfo": {
        "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "",
        "kubeProxyVersion": "", "kubeletVersion": "v1.37.2", "machineID": "", "operatingSystem": "linux",
        "osImage": "", "systemUUID": "",
    }}}))
}

fn right(verb: &'static str, resource: &'static str) -> Right {
    Right {
        verb,
        group: "",
        resource,
        namespace: String::new(),
        name: String::new(),
    }
}

// === impl Authority ===

impl Authority {
    pub(super) fn new(name: &str, from: i64, until: i64) -> Self {
        let mut params = validity(CertificateParams::default(), from, until);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn certificate(&self, name: &str, from: i64, until: i64) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let params = validity(params, from, until);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.0).unwrap().der().clone()
    }
}

fn validity(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let at = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap())
    };
    params.not_before = at(from);
    params.not_after = at(until);
    params
}
