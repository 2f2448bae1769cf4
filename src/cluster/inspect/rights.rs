//! Who may do what, as the API server's authorizers say.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::Inspector;
use crate::cluster::snapshot::{Fact, Names, Need, Right};

/// Everything that [`inspect`](super::inspect) asks for: verb, group, resource, and where.
const OWN: [(&str, &str, &str, Place); 17] = [
    (
        "list",
        ADMISSION,
        "validatingwebhookconfigurations",
        Place::Cluster,
    ),
    (
        "list",
        ADMISSION,
        "mutatingwebhookconfigurations",
        Place::Cluster,
    ),
    ("list", "", "namespaces", Place::Cluster),
    ("list", "", "nodes", Place::Cluster),
    ("list", "", "pods", Place::Cluster),
    ("list", "node.k8s.io", "runtimeclasses", Place::Cluster),
    (
        "create",
        "authorization.k8s.io",
        "subjectaccessreviews",
        Place::Cluster,
    ),
    ("get", "", "services", Place::Own),
    ("get", "", "configmaps", Place::Own),
    ("get", "apps", "deployments", Place::Own),
    ("list", "discovery.k8s.io", "endpointslices", Place::Own),
    ("list", "policy", "poddisruptionbudgets", Place::Own),
    ("list", "", "pods", Place::Own),
    ("get", "", "pods/proxy", Place::Own),
    ("get", "", "pods/portforward", Place::Own),
    // API servers from 1.35 on ask for this one too.
    ("create", "", "pods/portforward", Place::Own),
    ("create", "", "pods", Place::Canary),
];

/// What podgate's service account needs, and what it should not have.
const GATE: [(&str, &str, &str, Place, Need); 17] = [
    ("get", "", "namespaces", Place::Cluster, Need::Always),
    ("list", "", "namespaces", Place::Cluster, Need::Always),
    ("watch", "", "namespaces", Place::Cluster, Need::Always),
    ("list", "", "pods", Place::Cluster, Need::Labels),
    ("create", "", "secrets", Place::Own, Need::Certificates),
    (
        "get",
        "",
        "secrets",
        Place::Named("podgate-certificates"),
        Need::Certificates,
    ),
    (
        "update",
        "",
        "secrets",
        Place::Named("podgate-certificates"),
        Need::Certificates,
    ),
    (
        "create",
        "coordination.k8s.io",
        "leases",
        Place::Own,
        Need::Certificates,
    ),
    (
        "get",
        "coordination.k8s.io",
        "leases",
        Place::Named("podgate"),
        Need::Certificates,
    ),
    (
        "update",
        "coordination.k8s.io",
        "leases",
        Place::Named("podgate"),
        Need::Certificates,
    ),
    (
        "patch",
        ADMISSION,
        "validatingwebhookconfigurations",
        Place::Validating,
        Need::Certificates,
    ),
    (
        "patch",
        ADMISSION,
        "mutatingwebhookconfigurations",
        Place::Mutating,
        Need::Certificates,
    ),
    ("*", "*", "*", Place::Cluster, Need::Never),
    ("get", "", "secrets", Place::Cluster, Need::Never),
    ("create", "", "pods", Place::Cluster, Need::Never),
    ("update", "", "namespaces", Place::Cluster, Need::Never),
    (
        "delete",
        ADMISSION,
        "validatingwebhookconfigurations",
        Place::Cluster,
        Need::Never,
    ),
];

const ADMISSION: &str = "admissionregistration.k8s.io";

/// Where a right is asked for.
#[derive(Clone, Copy)]
enum Place {
    Cluster,
    /// podgate's namespace.
    Own,
    /// The namespace of the canaries.
    Canary,
    /// One object in podgate's namespace.
    Named(&'static str),
    /// podgate's own configuration.
    Validating,
    Mutating,
}

// === impl Inspector ===

impl Inspector {
    /// What whoever looks may do.
    pub(super) async fn own_rights(&self, names: &Names) -> Vec<(Right, Fact<bool>)> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let asked = OWN.map(|(verb, group, resource, place)| {
            let right = place.right(verb, group, resource, names);
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes(&right)),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api = &api;
            async move {
                let params = PostParams::default();
                let asked = api.create(&params, &review);
                let what = "create selfsubjectaccessreviews.authorization.k8s.io";
                let answer = self.ask(what, asked).await;
                (
                    right,
                    answer.map(|it| it.status.is_some_and(|it| it.allowed)),
                )
            }
        });
        futures_util::future::join_all(asked).await
    }

    /// What podgate's service account may do.
    pub(super) async fn gate_rights(
        &self,
        names: &Names,
        account: &str,
    ) -> Vec<(Right, Need, Fact<bool>)> {
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let asked = GATE.map(|(verb, group, resource, place, need)| {
            let right = place.right(verb, group, resource, names);
            let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
            let own = format!("system:serviceaccounts:{}", names.namespace);
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(account.to_owned()),
                    groups: Some(groups.into_iter().chain([own]).collect()),
                    resource_attributes: Some(attributes(&right)),
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let api = &api;
            async move {
                let params = PostParams::default();
                let asked = api.create(&params, &review);
                let what = "create subjectaccessreviews.authorization.k8s.io";
                let answer = self.ask(what, asked).await;
                let may = answer.map(|it| it.status.is_some_and(|it| it.allowed));
                (right, need, may)
            }
        });
        futures_util::future::join_all(asked).await
    }
}

fn attributes(right: &Right) -> ResourceAttributes {
    let (resource, subresource) = right
        .resource
        .split_once('/')
        .unwrap_or((right.resource, ""));
    let some = |it: &str| (!it.is_empty()).then(|| it.to_owned());
    ResourceAttributes {
        verb: some(right.verb),
        group: some(right.group),
        resource: some(resource),
        subresource: some(subresource),
        namespace: some(&right.namespace),
        name: some(&right.name),
        ..ResourceAttributes::default()
    }
}

// === impl Place ===

impl Place {
    fn right(
        self,
        verb: &'static str,
        group: &'static str,
        resource: &'static str,
        names: &Names,
    ) -> Right {
        let (namespace, name) = match self {
            Self::Cluster => ("", ""),
            Self::Own => (names.namespace.as_str(), ""),
            Self::Canary => (names.canary.as_str(), ""),
            Self::Named(name) => (names.namespace.as_str(), name),
            Self::Validating => ("", names.validating.as_str()),
            Self::Mutating => ("", names.mutating.as_str()),
        };
        Right {
            verb,
            group,
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}
