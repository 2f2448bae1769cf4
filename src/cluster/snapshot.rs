//! What an installed gate looks like from outside, at one moment: plain data, as [`inspect`](super::inspect) found it.
//!
//! What could not be read is a fact like any other, with its reason: nothing is ever missing in silence.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// What was read, or why it could not be.
pub type Fact<T> = Result<T, Unread>;

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The right to do so is missing; in words, as in `list nodes`.
    #[error("you may not {0}")]
    Forbidden(String),
    /// Nobody answered in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// It went wrong in another way.
    #[error("{0}")]
    Failed(String),
    /// What it depends on is missing.
    #[error("{0}")]
    Impossible(String),
}

/// What the objects of the install are called. The defaults are the names in `manifests/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The namespace of everything that has one.
    pub namespace: String,
    /// The Service that the API server is to call.
    pub service: String,
    /// The `ValidatingWebhookConfiguration`.
    pub validating: String,
    /// The `MutatingWebhookConfiguration`.
    pub mutating: String,
    /// The Deployment.
    pub deployment: String,
    /// The `ConfigMap` of policies.
    pub policies: String,
    /// The namespace in which canaries are tried.
    pub canary: String,
}

/// Everything that was found.
#[derive(Debug)]
pub struct Snapshot {
    /// What was looked for.
    pub names: Names,
    /// When, in Unix time.
    pub now: i64,
    /// `v1.37.2`
    pub api_server: Fact<String>,
    /// All configurations of the cluster, of one sort.
    pub validating: Fact<Vec<Configuration>>,
    /// The same of the other sort.
    pub mutating: Fact<Vec<Configuration>>,
    /// The Services that the webhooks name, by namespace and name.
    pub services: BTreeMap<(String, String), Callee>,
    /// All namespaces.
    pub namespaces: Fact<Vec<Namespace>>,
    /// The Deployment.
    pub deployment: Fact<Option<Deployment>>,
    /// The budgets in podgate's namespace.
    pub budgets: Fact<Vec<PodDisruptionBudget>>,
    /// podgate's Pods.
    pub replicas: Fact<Vec<Replica>>,
    /// The policies.
    pub policies: Fact<Option<ConfigMap>>,
    /// All nodes.
    pub nodes: Fact<Vec<Node>>,
    /// The names of all `RuntimeClass`es.
    pub runtime_classes: Fact<Vec<String>>,
    /// Pods of the cluster that a kubelet refused for want of AppArmor, by node.
    pub app_armor_refusals: Fact<BTreeMap<String, usize>>,
    /// Pods that the API server was asked about.
    pub canaries: Vec<Canary>,
    /// What whoever looks may do.
    pub own_rights: Vec<(Right, Fact<bool>)>,
    /// What podgate's service account may do, and whether it should.
    pub gate_rights: Vec<(Right, Need, Fact<bool>)>,
}

/// The two sorts of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Calls `/validate`.
    Validating,
    /// Calls `/mutate`.
    Mutating,
}

/// A `ValidatingWebhookConfiguration` or a `MutatingWebhookConfiguration`. The webhooks of the second have all fields
/// of those of the first, and one more.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configuration {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Its webhooks.
    #[serde(default)]
    pub webhooks: Vec<MutatingWebhook>,
}

/// A Service that a webhook names, and who is behind it.
#[derive(Debug, Clone)]
pub struct Callee {
    /// The Service; none if there is no such.
    pub service: Fact<Option<Service>>,
    /// Its endpoints.
    pub slices: Fact<Vec<EndpointSlice>>,
}

/// A Pod of podgate, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Replica {
    /// The Pod.
    pub pod: Pod,
    /// What `/readyz?verbose` says.
    pub readiness: Fact<String>,
    /// What `/metrics` says.
    pub metrics: Fact<String>,
    /// The certificates that it presents, its own first.
    pub certificates: Fact<Vec<CertificateDer<'static>>>,
}

/// A Pod that the API server was asked about in a dry run.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Which.
    pub sort: CanarySort,
    /// What came back.
    pub answer: Fact<Answer>,
}

/// The canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanarySort {
    /// Breaks nothing, not even `restricted`.
    Good,
    /// Shares the namespaces of its node.
    Bad,
}

/// What the API server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It would be created.
    Admitted,
    /// It would not be, with this status.
    Refused(u16, String),
}

/// Something that somebody may do or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// `get`
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// `pods`, `pods/proxy`
    pub resource: &'static str,
    /// The namespace; empty for all of them, or for what has none.
    pub namespace: String,
    /// The one object; empty for all of them.
    pub name: String,
}

/// Whether podgate's service account should have a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it podgate does not become ready.
    Always,
    /// For what the Pod Security labels of namespaces say.
    Labels,
    /// Where podgate keeps its own certificates in the cluster.
    Certificates,
    /// podgate has no use for it.
    Never,
}

// === impl Names ===

impl Default for Names {
    fn default() -> Self {
        Self {
            namespace: "podgate-system".to_owned(),
            service: "podgate".to_owned(),
            validating: "podgate".to_owned(),
            mutating: "podgate".to_owned(),
            deployment: "podgate".to_owned(),
            policies: "podgate-policies".to_owned(),
            canary: "default".to_owned(),
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// All configurations of that sort, and the name that podgate's should have.
    pub fn registered(&self, sort: Sort) -> (&Fact<Vec<Configuration>>, &str) {
        match sort {
            Sort::Validating => (&self.validating, &self.names.validating),
            Sort::Mutating => (&self.mutating, &self.names.mutating),
        }
    }

    /// podgate's own configuration of that sort, if it could be read and is there.
    #[must_use]
    pub fn own(&self, sort: Sort) -> Option<&Configuration> {
        let (all, name) = self.registered(sort);
        let mut all = all.iter().flatten();
        all.find(|it| it.metadata.name.as_deref() == Some(name))
    }

    /// podgate's webhooks, in the order of [`Sort::ALL`].
    pub fn own_webhooks(&self) -> impl Iterator<Item = (Sort, &MutatingWebhook)> {
        Sort::ALL.into_iter().flat_map(|sort| {
            let webhooks = self.own(sort).into_iter().flat_map(|it| &it.webhooks);
            webhooks.map(move |it| (sort, it))
        })
    }

    /// The CA bundles that podgate's webhooks have, each once.
    #[must_use]
    pub fn bundles(&self) -> Vec<&ByteString> {
        let mut found: Vec<&ByteString> = Vec::new();
        for (_, webhook) in self.own_webhooks() {
            if let Some(bundle) = &webhook.client_config.ca_bundle
                && !found.contains(&bundle)
            {
                found.push(bundle);
            }
        }
        found
    }
}

// === impl Sort ===

impl Sort {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Validating, Self::Mutating];

    /// The kind of its configurations.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
        }
    }

    /// Their plural in paths.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Validating => "validatingwebhookconfigurations",
            Self::Mutating => "mutatingwebhookconfigurations",
        }
    }

    /// Where podgate serves it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Validating => "/validate",
            Self::Mutating => "/mutate",
        }
    }
}

// === impl CanarySort ===

impl CanarySort {
    /// Both; the good one first.
    pub const ALL: [Self; 2] = [Self::Good, Self::Bad];

    /// Its name as a Pod.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "podgate-doctor-good",
            Self::Bad => "podgate-doctor-bad",
        }
    }

    /// The Pod.
    #[must_use]
    pub fn pod(self) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name()},
            "spec": {
                "hostPID": self == Self::Bad,
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "canary", "image": "podgate.invalid/canary:never-pulled",
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        })
    }
}

// === impl Right ===

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            verb,
            group,
            resource,
            namespace,
            name,
        } = self;
        write!(f, "{verb} {resource}")?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        if !name.is_empty() {
            write!(f, " {name}")?;
        }
        if !namespace.is_empty() {
            write!(f, " in {namespace}")?;
        }
        Ok(())
    }
}
