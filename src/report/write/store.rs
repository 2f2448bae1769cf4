//! The reports that are in the cluster: which are ours, and how one is written and removed.

use std::collections::BTreeMap;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{Request, request};
use kube::{Client, Error};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::cluster::list::{ListError, Pages};
use crate::cluster::segment;
use crate::pod::json;
use crate::report::patience::{self, Broken, Patience};
use crate::report::scan::Selection;

use super::api::ReportApi;
use super::document::Report;
use super::{CONTENT, MANAGED_BY, MANAGER};

/// Reports of one page; of each only its metadata is read.
const PAGE: u32 = 500;
/// How often a list that expired is begun again.
const RESTARTS: u32 = 3;

/// All reports of one API.
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) api: ReportApi,
}

/// A report of ours that is in the cluster.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) namespace: String,
    pub(super) name: String,
    uid: String,
    resource_version: String,
    /// What its content hashes to, if it says so.
    pub(super) content: Option<String>,
}

/// Ours, by namespace and name.
pub(super) type AllKnown = BTreeMap<(String, String), Known>;

/// One item of a list of reports.
#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

// === impl Store ===

impl Store {
    /// Ours, in the namespaces that were looked at.
    pub(super) async fn known(
        &self,
        selection: &Selection,
        stop: &CancellationToken,
    ) -> Result<AllKnown, Broken> {
        let places: Vec<Option<&str>> = match &selection.namespaces[..] {
            [] => vec![None],
            some => some.iter().map(|it| Some(it.as_str())).collect(),
        };
        let mut known = AllKnown::new();
        for namespace in places {
            let mut restarts = 0;
            loop {
                match self.list(namespace, stop).await {
                    Err(Broken::List(ListError::Expired)) if restarts < RESTARTS => restarts += 1,
                    Err(broken) => return Err(broken),
                    Ok(listed) => break known.extend(listed),
                }
            }
        }
        Ok(known)
    }

    async fn list(
        &self,
        namespace: Option<&str>,
        stop: &CancellationToken,
    ) -> Result<AllKnown, Broken> {
        let mut listed = AllKnown::new();
        let params = ListParams::default()
            .labels(&format!("{MANAGED_BY}={MANAGER}"))
            .limit(PAGE);
        let path = self.api.path(namespace);
        let mut pages = Pages::new(self.client.clone(), &path, params).metadata_only();
        while let Some(page) = patience::next(&mut pages, stop).await? {
            for text in page.items() {
                let it = json::from_str::<Stored>(text).map_err(ListError::Decode)?;
                let Metadata {
                    name,
                    namespace,
                    uid,
                    resource_version,
                    mut annotations,
                } = it.metadata;
                let content = annotations.remove(CONTENT);
                listed.insert(
                    (namespace.clone(), name.clone()),
                    Known {
                        namespace,
                        name,
                        uid,
                        resource_version,
                        content,
                    },
                );
            }
        }
        Ok(listed)
    }

    /// Sends a request until it is answered, refused, or given up.
    async fn send(
        &self,
        build: impl Fn() -> Result<http::Request<Vec<u8>>, request::Error>,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let mut patience = Patience::default();
        loop {
            let request = build().map_err(|error| Box::new(Error::BuildRequest(error)))?;
            let answer = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Broken::Stopped),
                answer = self.client.request_text(request) => answer,
            };
            match answer {
                Ok(_) => return Ok(()),
                Err(error) => patience.wait(Broken::Write(Box::new(error)), stop).await?,
            }
        }
    }

    /// Applies a report. `force` takes fields that somebody else has written, which is right only for one of ours.
    pub(super) async fn apply(
        &self,
        namespace: &str,
        report: &Report,
        force: bool,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let path = self.api.path(Some(namespace));
        let name = report.value["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        let mut params = PatchParams::apply(MANAGER);
        params.force = force;
        let build =
            || Request::new(&path).patch(&segment(name), &params, &Patch::Apply(&report.value));
        self.send(build, stop).await
    }

    /// Removes a report, if it still is the one that was listed.
    pub(super) async fn delete(
        &self,
        known: &Known,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let path = self.api.path(Some(&known.namespace));
        let text = |it: &String| Some(it.clone()).filter(|it| !it.is_empty());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: text(&known.uid),
                resource_version: text(&known.resource_version),
            }),
            ..DeleteParams::default()
        };
        let build = || Request::new(&path).delete(&segment(&known.name), &params);
        self.send(build, stop).await
    }
}
