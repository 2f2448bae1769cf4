//! `caBundle` in the two webhook configurations: read from both, written into them, and nothing else of them touched.
//! Needs `get` and `patch` on these two.

use std::fmt::Debug;

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::info;

use super::authority::text;

/// The two configurations of one gate.
pub(super) struct Configurations {
    mutating: Api<MutatingWebhookConfiguration>,
    validating: Api<ValidatingWebhookConfiguration>,
    name: String,
}

/// What the configurations trust.
pub(super) struct Found {
    configurations: Vec<Configuration>,
}

/// One of them.
struct Configuration {
    kind: Kind,
    version: String,
    /// The names of its webhooks and their bundles, in order.
    webhooks: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mutating,
    Validating,
}

// === impl Configurations ===

impl Configurations {
    pub(super) fn new(client: &Client, name: String) -> Self {
        Self {
            mutating: Api::all(client.clone()),
            validating: Api::all(client.clone()),
            name,
        }
    }

    /// Reads those that exist: a gate may be installed before it is registered.
    pub(super) async fn find(&self) -> kube::Result<Found> {
        let mut configurations = Vec::new();
        if let Some(found) = self.mutating.get_opt(&self.name).await? {
            let webhooks = found.webhooks.unwrap_or_default().into_iter();
            let webhooks = webhooks.map(|it| (it.name, it.client_config)).collect();
            configurations.push(Configuration::new(Kind::Mutating, found.metadata, webhooks));
        }
        if let Some(found) = self.validating.get_opt(&self.name).await? {
            let webhooks = found.webhooks.unwrap_or_default().into_iter();
            let webhooks = webhooks.map(|it| (it.name, it.client_config)).collect();
            configurations.push(Configuration::new(
                Kind::Validating,
                found.metadata,
                webhooks,
            ));
        }
        Ok(Found { configurations })
    }

    /// Has all of them trust exactly this. Who changed one since it was read is not overwritten: that is an error.
    pub(super) async fn write(&self, found: &Found, bundle: &str) -> kube::Result<()> {
        for configuration in &found.configurations {
            let Some(patch) = configuration.patch(bundle) else {
                continue;
            };
            match configuration.kind {
                Kind::Mutating => self.patch(&self.mutating, &patch).await?,
                Kind::Validating => self.patch(&self.validating, &patch).await?,
            }
            info!(configuration = %self.name, kind = ?configuration.kind, "caBundle written");
        }
        Ok(())
    }

    async fn patch<K>(&self, api: &Api<K>, patch: &json_patch::Patch) -> kube::Result<()>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let patch = Patch::<()>::Json(patch.clone());
        api.patch(&self.name, &PatchParams::default(), &patch)
            .await
            .map(drop)
    }
}

// === impl Found ===

impl Found {
    /// True if every webhook of every configuration trusts exactly this.
    pub(super) fn trusts(&self, bundle: &str) -> bool {
        self.bundles().all(|it| it == bundle)
    }

    /// The kinds of the configurations in which a webhook does not trust this one certificate.
    pub(super) fn without(&self, certificate: &str) -> Vec<&'static str> {
        let lacks = |configuration: &&Configuration| {
            let mut webhooks = configuration.webhooks.iter();
            webhooks.any(|(_, bundle)| !bundle.contains(certificate.trim_end()))
        };
        let lacking = self.configurations.iter().filter(lacks);
        lacking.map(|it| it.kind.name()).collect()
    }

    /// True if podgate is registered at all.
    pub(super) fn is_registered(&self) -> bool {
        !self.configurations.is_empty()
    }

    pub(super) fn bundles(&self) -> impl Iterator<Item = &str> {
        let all = self.configurations.iter().flat_map(|it| &it.webhooks);
        all.map(|(_, bundle)| bundle.as_str())
    }
}

// === impl Configuration ===

impl Configuration {
    fn new(kind: Kind, metadata: ObjectMeta, webhooks: Vec<(String, WebhookClientConfig)>) -> Self {
        let bundle = |it: Option<ByteString>| it.map(|it| text(&it.0)).unwrap_or_default();
        Self {
            kind,
            version: metadata.resource_version.unwrap_or_default(),
            webhooks: webhooks
                .into_iter()
                .map(|(name, client)| (name, bundle(client.ca_bundle)))
                .collect(),
        }
    }

    /// The change that has all webhooks trust this, if one does not.
    fn patch(&self, bundle: &str) -> Option<json_patch::Patch> {
        let value = json!(ByteString(bundle.as_bytes().to_vec()));
        let mut operations = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": self.version,
        })];
        for (at, (_, found)) in self.webhooks.iter().enumerate() {
            if found != bundle {
                let path = format!("/webhooks/{at}/clientConfig/caBundle");
                operations.push(json!({"op": "add", "path": path, "value": value}));
            }
        }
        if operations.len() == 1 {
            return None;
        }
        serde_json::from_value(json!(operations)).ok()
    }
}

// === impl Kind ===

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }
}
