//! Looks at an installed gate from outside, and writes down what it finds. Judges nothing, and writes nothing to the
//! cluster: canaries are dry runs.

mod canary;
mod replica;
mod rights;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::{Api, Client, api::ListParams};
use serde::Deserialize;
use tokio::time::timeout;

use super::snapshot::{Callee, Configuration, Fact, Names, Replica, Snapshot, Sort, Unread};
use super::with_causes;

/// Pods that failed, of which a few are as telling as all.
const MAX_FAILED: u32 = 500;
/// The reason of a kubelet that cannot apply a profile.
const APP_ARMOR: &str = "AppArmor";

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// How long to wait for each answer.
    pub limit: Duration,
    /// Ask the API server about canaries.
    pub canaries: bool,
    /// See which certificates replicas present.
    pub certificates: bool,
    /// Ask replicas how they are.
    pub health: bool,
}

/// Who asks.
struct Inspector {
    client: Client,
    limit: Duration,
}

#[derive(Deserialize)]
struct Configurations {
    items: Vec<Configuration>,
}

/// Looks at the gate of these names, now.
pub async fn inspect(client: Client, names: Names, reach: Reach) -> Snapshot {
    let it = Inspector {
        client,
        limit: reach.limit,
    };
    let namespace = names.namespace.as_str();
    let (api_server, validating, mutating, namespaces, nodes, budgets, deployment, policies) = tokio::join!(
        it.version(),
        it.configurations(Sort::Validating),
        it.configurations(Sort::Mutating),
        it.list(Api::all(it.client.clone()), everything(), "list namespaces"),
        it.list(Api::all(it.client.clone()), everything(), "list nodes"),
        it.list(
            Api::namespaced(it.client.clone(), namespace),
            everything(),
            "list poddisruptionbudgets.policy"
        ),
        it.get::<Deployment>(namespace, &names.deployment, "deployments.apps"),
        it.get::<ConfigMap>(namespace, &names.policies, "configmaps"),
    );
    let account = service_account(&deployment, &names);
    let mut snapshot = Snapshot {
        names: names.clone(),
        now: jiff::Timestamp::now().as_second(),
        api_server,
        validating,
        mutating,
        services: BTreeMap::new(),
        namespaces,
        deployment,
        budgets,
        replicas: Ok(Vec::new()),
        policies,
        nodes,
        runtime_classes: it.runtime_classes().await,
        app_armor_refusals: it.app_armor_refusals().await,
        canaries: Vec::new(),
        own_rights: it.own_rights(&names).await,
        gate_rights: it.gate_rights(&names, &account).await,
    };
    snapshot.services = it.callees(&snapshot).await;
    snapshot.replicas = it.replicas(&snapshot, reach).await;
    if reach.canaries {
        snapshot.canaries = it.canaries(&snapshot).await;
    }
    snapshot
}

fn everything() -> ListParams {
    ListParams::default()
}

/// The user that podgate's Pods are to the API server.
fn service_account(deployment: &Fact<Option<Deployment>>, names: &Names) -> String {
    let spec = deployment.as_ref().ok().and_then(|it| {
        let template = &it.as_ref()?.spec.template;
        template.spec.as_ref()?.service_account_name.clone()
    });
    let account = spec.unwrap_or_else(|| "podgate".to_owned());
    format!("system:serviceaccount:{}:{account}", names.namespace)
}

// === impl Inspector ===

impl Inspector {
    /// Waits for an answer; `right` is what whoever asks needs for it.
    async fn ask<T>(&self, right: &str, asked: impl Future<Output = kube::Result<T>>) -> Fact<T> {
        match timeout(self.limit, asked).await {
            Err(_) => Err(Unread::TimedOut(self.limit)),
            Ok(Err(error)) => Err(unread(right, &error)),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    async fn list<K>(&self, api: Api<K>, params: ListParams, right: &str) -> Fact<Vec<K>>
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let found = self.ask(right, api.list(&params)).await?;
        Ok(found.items)
    }

    async fn get<K>(&self, namespace: &str, name: &str, resource: &str) -> Fact<Option<K>>
    where
        K: Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let right = format!("get {resource} in {namespace}");
        self.ask(&right, api.get_opt(name)).await
    }

    async fn version(&self) -> Fact<String> {
        let found = self
            .ask("get /version", self.client.apiserver_version())
            .await?;
        Ok(found.git_version)
    }

    async fn configurations(&self, sort: Sort) -> Fact<Vec<Configuration>> {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{}", sort.resource());
        let right = format!("list {}.admissionregistration.k8s.io", sort.resource());
        let request = request(http::Method::GET, &path, Vec::new())?;
        let found: Configurations = self.ask(&right, self.client.request(request)).await?;
        Ok(found.items)
    }

    /// The Services that podgate's webhooks name, and podgate's own if they name none.
    async fn callees(&self, snapshot: &Snapshot) -> BTreeMap<(String, String), Callee> {
        let names = &snapshot.names;
        let called = snapshot.own_webhooks().filter_map(|(_, webhook)| {
            let service = webhook.client_config.service.as_ref()?;
            Some((service.namespace.clone(), service.name.clone()))
        });
        let own = (names.namespace.clone(), names.service.clone());
        let mut keys: Vec<(String, String)> = called.chain([own]).collect();
        keys.sort();
        keys.dedup();
        let mut callees = BTreeMap::new();
        for (namespace, name) in keys {
            let service = self.get::<Service>(&namespace, &name, "services");
            let params =
                ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
            let right = format!("list endpointslices.discovery.k8s.io in {namespace}");
            let slices = Api::namespaced(self.client.clone(), &namespace);
            let slices = self.list(slices, params, &right);
            let (service, slices) = tokio::join!(service, slices);
            callees.insert((namespace, name), Callee { service, slices });
        }
        callees
    }

    /// The Pods that the Deployment selects, else those that the Service does.
    async fn replicas(&self, snapshot: &Snapshot, reach: Reach) -> Fact<Vec<Replica>> {
        let names = &snapshot.names;
        let namespace = names.namespace.as_str();
        let key = (names.namespace.clone(), names.service.clone());
        let service = snapshot.services.get(&key);
        let service = service.and_then(|it| it.service.as_ref().ok()?.as_ref()?.spec.clone());
        let selector = match (&snapshot.deployment, &service) {
            (Ok(Some(deployment)), _) => Some(deployment.spec.selector.clone()),
            (_, Some(service)) => service.selector.clone().map(|labels| LabelSelector {
                match_labels: Some(labels),
                match_expressions: None,
            }),
            _ => None,
        };
        let selector = selector.and_then(|it| Selector::try_from(it).ok());
        let Some(selector) = selector else {
            let why = "there is no Deployment and no Service that says which Pods are podgate's";
            return Err(Unread::Impossible(why.to_owned()));
        };
        let params = ListParams::default().labels_from(&selector);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let right = format!("list pods in {namespace}");
        let pods = self.list(api.clone(), params, &right).await?;
        // Evicted ones stay in the list for long, and are nobody's replica any more.
        let is_over = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let asked = pods
            .into_iter()
            .filter(|it| !is_over(it))
            .map(|pod| self.replica(&api, pod, service.as_ref(), snapshot, reach));
        Ok(futures_util::future::join_all(asked).await)
    }

    async fn runtime_classes(&self) -> Fact<Vec<String>> {
        let api: Api<RuntimeClass> = Api::all(self.client.clone());
        let right = "list runtimeclasses.node.k8s.io";
        let found = self.list(api, everything(), right).await?;
        Ok(found
            .into_iter()
            .filter_map(|it| it.metadata.name)
            .collect())
    }

    async fn app_armor_refusals(&self) -> Fact<BTreeMap<String, usize>> {
        let params = ListParams::default()
            .fields("status.phase=Failed")
            .limit(MAX_FAILED);
        let api: Api<Pod> = Api::all(self.client.clone());
        let failed = self.list(api, params, "list pods").await?;
        let mut refusals = BTreeMap::new();
        for pod in failed {
            let reason = pod.status.and_then(|it| it.reason);
            if reason.as_deref() == Some(APP_ARMOR) {
                let node = pod.spec.and_then(|it| it.node_name).unwrap_or_default();
                *refusals.entry(node).or_default() += 1;
            }
        }
        Ok(refusals)
    }
}

fn unread(right: &str, error: &kube::Error) -> Unread {
    match error {
        kube::Error::Api(status) if status.code == 403 => Unread::Forbidden(right.to_owned()),
        error => Unread::Failed(with_causes(error)),
    }
}

/// A request with that body.
fn request(
    method: http::Method,
    path: &str,
    body: Vec<u8>,
) -> Result<http::Request<Vec<u8>>, Unread> {
    http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| Unread::Failed(error.to_string()))
}
