//! Reads what runs, list by list, and judges it on the way.

use std::collections::BTreeMap;

use kube::{Client, api::ListParams};
use tokio_util::sync::CancellationToken;

use crate::cluster::list::{ListError, Pages};
use crate::cluster::{segment, with_causes};
use crate::output::results::Results;
use crate::pod::Kind;

use super::batch::{Batch, add_skipped, failure};
use super::judge::{Judge, Labels};
use super::patience::{self, Broken, Patience};
use super::rollup::Rollup;

/// Objects of one page.
const PAGE: u32 = 250;
/// How often a list that expired is begun again.
const RESTARTS: u32 = 3;

/// The workloads, from the top: an owner is read before what it owns, so that one that goes on meanwhile is not missed.
const WORKLOADS: [Kind; 8] = [
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::CronJob,
    Kind::ReplicaSet,
    Kind::Job,
    Kind::ReplicationController,
    Kind::PodTemplate,
];

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These namespaces; all if there are none.
    pub namespaces: Vec<String>,
    /// Of these labels, Pods and workloads alike.
    pub labels: Option<String>,
    /// Pods with these fields. Of workloads then only those that own one.
    pub fields: Option<String>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'p> {
    /// What is being read: `pods`.
    pub what: &'p str,
    /// Objects of it that have been judged.
    pub done: u64,
    /// How many more there are, if it is known.
    pub remaining: Option<u64>,
    /// Objects of all kinds that have been judged.
    pub total: u64,
}

/// One scan.
pub struct Scan<'s> {
    client: Client,
    judge: &'s Judge,
    selection: Selection,
    stop: CancellationToken,
    progress: Box<dyn FnMut(Progress<'_>) + Send + 's>,
    namespaces: BTreeMap<String, Labels>,
    total: u64,
    results: Results,
}

// === impl Selection ===

impl Selection {
    /// In words, for the report.
    fn words(&self) -> Vec<String> {
        let namespaces = match &self.namespaces[..] {
            [] => vec!["all namespaces".to_owned()],
            some => some.iter().map(|it| format!("namespace {it}")).collect(),
        };
        let labels = self.labels.iter().map(|it| format!("labels {it}"));
        let fields = self.fields.iter().map(|it| format!("fields {it}"));
        namespaces.into_iter().chain(labels).chain(fields).collect()
    }
}

// === impl Scan ===

impl<'s> Scan<'s> {
    /// A scan that ends early, incomplete, when `stop` says so.
    #[must_use]
    pub fn new(
        client: Client,
        judge: &'s Judge,
        selection: Selection,
        stop: CancellationToken,
        progress: impl FnMut(Progress<'_>) + Send + 's,
    ) -> Self {
        let mut results = Results::new("audit", judge.set());
        results.run.selection = selection.words();
        results.run.as_enforce = judge.as_enforce();
        Self {
            client,
            judge,
            selection,
            stop,
            progress: Box::new(progress),
            namespaces: BTreeMap::new(),
            total: 0,
            results,
        }
    }

    /// Reads and judges everything. What cannot be read is in the results as an error.
    pub async fn run(mut self) -> Results {
        match self.version().await {
            Ok(version) => self.results.run.cluster = Some(version),
            Err(error) => {
                self.fail("version of the cluster", &with_causes(&error));
                if error.is_unreachable() {
                    self.fail(
                        "everything",
                        "not asked for: the API server cannot be reached",
                    );
                    self.results.count();
                    return self.results;
                }
            }
        }
        self.namespaces().await;
        let mut rollup = Rollup::default();
        for namespace in self.places() {
            self.pods(namespace.as_deref(), &mut rollup).await;
            for kind in WORKLOADS {
                self.workloads(kind, namespace.as_deref(), &mut rollup)
                    .await;
            }
        }
        let (objects, namespaces) = rollup.finish(&self.namespaces);
        self.results.objects = objects;
        self.results.namespaces = namespaces;
        self.results.sort();
        self.results.count();
        self.results
    }

    async fn version(&self) -> Result<String, Broken> {
        let mut patience = Patience::default();
        loop {
            let version = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Broken::Stopped),
                version = self.client.apiserver_version() => version,
            };
            match version {
                Ok(version) => return Ok(version.git_version),
                Err(error) => {
                    let error = Broken::List(ListError::Api(Box::new(error)));
                    patience.wait(error, &self.stop).await?;
                }
            }
        }
    }

    /// Where to read: everywhere at once, or namespace by namespace.
    fn places(&self) -> Vec<Option<String>> {
        match &self.selection.namespaces[..] {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        }
    }

    async fn namespaces(&mut self) {
        for name in self.places() {
            let params = match &name {
                None => ListParams::default(),
                Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
            };
            let batch = self
                .list(
                    "namespaces",
                    "/api/v1/namespaces",
                    params,
                    |_, _, batch, text| {
                        batch.namespace(text);
                    },
                )
                .await;
            if let Some(name) = &name
                && batch.failures.is_empty()
                && batch.namespaces.is_empty()
            {
                self.fail(&format!("namespace {name}"), "there is no such namespace");
            }
            self.namespaces.extend(batch.namespaces);
            self.results.errors.extend(batch.failures);
        }
    }

    async fn pods(&mut self, namespace: Option<&str>, rollup: &mut Rollup) {
        let mut params = ListParams::default();
        params.label_selector.clone_from(&self.selection.labels);
        params.field_selector.clone_from(&self.selection.fields);
        let path = path(Kind::Pod, namespace);
        let batch = self
            .list("pods", &path, params, |judge, namespaces, batch, text| {
                batch.pod(judge, namespaces, text);
            })
            .await;
        self.keep("pods", batch, rollup);
    }

    async fn workloads(&mut self, kind: Kind, namespace: Option<&str>, rollup: &mut Rollup) {
        let (what, path) = (kind.resource(), path(kind, namespace));
        let owns = matches!(kind, Kind::ReplicaSet | Kind::Job);
        let is_narrow = self.selection.labels.is_some() || self.selection.fields.is_some();
        if owns && is_narrow {
            // The owners of the Pods that were selected may not be selected themselves.
            let batch = self
                .list(what, &path, ListParams::default(), |_, _, batch, text| {
                    batch.owner(kind, text);
                })
                .await;
            let owners = Batch { seen: 0, ..batch };
            self.keep(what, owners, rollup);
        }
        if self.selection.fields.is_some() {
            return;
        }
        let mut params = ListParams::default();
        params.label_selector.clone_from(&self.selection.labels);
        let batch = self
            .list(what, &path, params, |judge, namespaces, batch, text| {
                batch.workload(kind, judge, namespaces, text);
            })
            .await;
        self.keep(what, batch, rollup);
    }

    fn keep(&mut self, what: &str, batch: Batch, rollup: &mut Rollup) {
        rollup.merge(batch.rollup);
        let seen = self
            .results
            .summary
            .scanned
            .entry(what.to_owned())
            .or_default();
        *seen += batch.seen;
        for it in batch.skipped {
            add_skipped(&mut self.results.skipped, &it.what, &it.why, it.count);
        }
        self.results.errors.extend(batch.failures);
    }

    /// Reads one list to its end and hands each item on. Begins again when the list expires.
    async fn list(
        &mut self,
        what: &str,
        path: &str,
        params: ListParams,
        each: impl Fn(&Judge, &BTreeMap<String, Labels>, &mut Batch, &str),
    ) -> Batch {
        let name = format!("list of {what}");
        let mut restarts = 0;
        let mut pages = self.begin(path, &params);
        let mut batch = Batch::default();
        loop {
            let page = match patience::next(&mut pages, &self.stop).await {
                Ok(Some(page)) => page,
                Ok(None) => return batch,
                Err(Broken::List(ListError::Expired)) if restarts < RESTARTS => {
                    restarts += 1;
                    pages = self.begin(path, &params);
                    batch = Batch::default();
                    continue;
                }
                Err(broken) => {
                    let so_far = match batch.seen {
                        0 => String::new(),
                        seen => format!(" (after {seen} of them)"),
                    };
                    batch.fail(&name, &format!("{}{so_far}", with_causes(&broken)));
                    return batch;
                }
            };
            for text in page.items() {
                batch.seen += 1;
                each(self.judge, &self.namespaces, &mut batch, text);
            }
            self.total += u64::try_from(page.items().len()).unwrap_or_default();
            (self.progress)(Progress {
                what,
                done: batch.seen,
                remaining: page.remaining,
                total: self.total,
            });
        }
    }

    fn begin(&self, path: &str, params: &ListParams) -> Pages {
        Pages::new(self.client.clone(), path, params.clone().limit(PAGE))
    }

    fn fail(&mut self, what: &str, why: &str) {
        self.results.errors.push(failure(what, why));
    }
}

fn path(kind: Kind, namespace: Option<&str>) -> String {
    let group = match kind.group() {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    let resource = kind.resource();
    match namespace {
        None => format!("{group}/{resource}"),
        Some(namespace) => format!("{group}/namespaces/{}/{resource}", segment(namespace)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
