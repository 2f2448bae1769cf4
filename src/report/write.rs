//! The findings as reports in the cluster: one for each workload that breaks something, written only when it changed.
//!
//! A report is podgate's if its label says so; no other is touched, not even where the name that a report should have is
//! taken by one. What is there already is read first, names and annotations only, and compared by a hash of the content,
//! so that a second run over an unchanged cluster writes nothing.
//! Needs `list`, `create`, `patch` and `delete` on the reports.

mod api;
mod document;
mod store;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::fmt;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::output::results::{Failure, Object, Results, Skipped};
use crate::policy::level::Version;

use self::document::Report;
use self::store::{AllKnown, Store};
use super::batch::{add_skipped, failure};
use super::patience::Broken;
use super::scan::Selection;

pub use self::api::{ReportApi, ReportApiError};

/// Whose reports they are: the field manager, and the value of the label [`MANAGED_BY`].
const MANAGER: &str = "podgate";
/// The label that says whose a report is.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation with the hash of the content.
const CONTENT: &str = "podgate.dev/content";
/// The annotation that counts the rows that the summary counts and a report has no room for.
const CUT: &str = "podgate.dev/cut";
/// What has become of an API that was served when the run began.
const GONE: &str = "they are no longer served: their CRD was removed during the run";

/// Writes reports in one API of one cluster.
pub struct Reports {
    store: Store,
    /// Of the levels in whose words findings are graded.
    version: Version,
}

/// What has been done. To be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// As what.
    pub api: ReportApi,
    /// New or changed.
    pub written: u64,
    /// As they were, and not sent.
    pub unchanged: u64,
    /// Their workloads are clean or gone.
    pub removed: u64,
}

/// One run of it.
struct Writing<'w> {
    reports: &'w Reports,
    stop: &'w CancellationToken,
    done: Written,
    /// By namespace and status: the first reason, and how many were refused so.
    refused: BTreeMap<(String, Option<u16>), (String, u64)>,
    failures: Vec<Failure>,
    skipped: Vec<Skipped>,
}

/// Why nothing more can be done.
struct Ended(String);

// === impl Written ===

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api,
            written,
            unchanged,
            removed,
        } = self;
        write!(
            f,
            "{api}: {written} written, {unchanged} unchanged, {removed} removed"
        )
    }
}

// === impl Reports ===

impl Reports {
    /// Asks the cluster which API it serves. Grades are of this version of the levels.
    ///
    /// # Errors
    /// If it does not serve what was asked for, or neither.
    pub async fn discover(
        client: Client,
        asked: Option<ReportApi>,
        version: Version,
    ) -> Result<Self, ReportApiError> {
        let api = ReportApi::discover(&client, asked).await?;
        let store = Store { client, api };
        Ok(Self { store, version })
    }

    /// Writes a report for each object of the results in which something was found, and removes those of ours whose
    /// workloads are clean or gone. What a narrowed or incomplete scan has not seen is not gone: nothing is removed then.
    ///
    /// What cannot be written is added to the results as an error.
    pub async fn write(
        &self,
        results: &mut Results,
        selection: &Selection,
        stop: &CancellationToken,
    ) -> Written {
        let mut writing = Writing {
            reports: self,
            stop,
            done: Written {
                api: self.store.api,
                written: 0,
                unchanged: 0,
                removed: 0,
            },
            refused: BTreeMap::new(),
            failures: Vec::new(),
            skipped: Vec::new(),
        };
        writing.all(results, selection).await;
        let (done, failures, skipped) = writing.finish();
        results.errors.extend(failures);
        results.skipped.extend(skipped);
        results.sort();
        results.count();
        done
    }
}

/// The name of a report whose proper one is another tool's: several name theirs after the uid of the workload.
fn second_name(uid: &str) -> String {
    format!("{uid}-{MANAGER}")
}

// === impl Writing ===

impl Writing<'_> {
    async fn all(&mut self, results: &Results, selection: &Selection) {
        let name = format!("list of {}", self.reports.store.api);
        let mut known = match self.reports.store.known(selection, self.stop).await {
            Ok(known) => known,
            Err(broken) => {
                let why = self.why(&broken).await;
                // Without it every report would be written anew.
                self.failures
                    .push(failure(&name, &format!("{why} (no report was written)")));
                return;
            }
        };
        let started = results.run.started.as_deref();
        let seconds = started
            .and_then(|it| it.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_second);
        let dirty: Vec<&Object> = results
            .objects
            .iter()
            .filter(|it| !it.findings.is_empty())
            .collect();
        for (done, object) in dirty.iter().enumerate() {
            let put = self.put(object, seconds, &mut known).await;
            if let Err(Ended(why)) = put {
                let left = dirty.len() - done;
                let why = format!("{why} ({left} of {} not written)", dirty.len());
                self.failures
                    .push(failure(&self.reports.store.api.to_string(), &why));
                return;
            }
        }
        self.remove(known, results.run.complete, selection).await;
    }

    /// Writes one report, unless it is there as it should be.
    async fn put(
        &mut self,
        object: &Object,
        seconds: Option<i64>,
        known: &mut AllKnown,
    ) -> Result<(), Ended> {
        let Reports { store, version } = self.reports;
        let Some(mut report) = Report::of(object, store.api, *version, seconds) else {
            let why = "their workload has no uid that they could be named after";
            add_skipped(&mut self.skipped, "reports", why, 1);
            return Ok(());
        };
        let namespace = &object.namespace;
        let names = [report.uid.clone(), second_name(&report.uid)];
        let known = names
            .into_iter()
            .find_map(|name| known.remove(&(namespace.clone(), name)));
        if known.as_ref().and_then(|it| it.content.as_ref()) == Some(&report.content) {
            self.done.unchanged += 1;
            return Ok(());
        }
        if self.is_forbidden(namespace) {
            return Ok(());
        }
        let is_ours = known.is_some();
        if let Some(known) = known {
            report.value["metadata"]["name"] = known.name.into();
        }
        let mut answer = store.apply(namespace, &report, is_ours, self.stop).await;
        if !is_ours && matches!(&answer, Err(broken) if broken.code() == Some(409)) {
            report.value["metadata"]["name"] = second_name(&report.uid).into();
            answer = store.apply(namespace, &report, false, self.stop).await;
        }
        match answer {
            Ok(()) => self.done.written += 1,
            Err(broken) => self.refuse(namespace, &broken).await?,
        }
        Ok(())
    }

    /// Removes what is left of ours, if it is known that there is nothing to report any more.
    async fn remove(&mut self, known: AllKnown, is_complete: bool, selection: &Selection) {
        if selection.labels.is_some() || selection.fields.is_some() {
            return;
        }
        if !is_complete {
            let why = "the scan is incomplete, so their workloads may not be clean: not removed";
            let count = u64::try_from(known.len()).unwrap_or(u64::MAX);
            if count > 0 {
                add_skipped(&mut self.skipped, "reports of earlier runs", why, count);
            }
            return;
        }
        let total = known.len();
        for (done, known) in known.values().enumerate() {
            if self.is_forbidden(&known.namespace) {
                continue;
            }
            let ended = match self.reports.store.delete(known, self.stop).await {
                Ok(()) => {
                    self.done.removed += 1;
                    Ok(())
                }
                // Somebody else was faster: the garbage collector, or a second run.
                Err(broken) if broken.code() == Some(404) => Ok(()),
                Err(broken) => self.refuse(&known.namespace, &broken).await,
            };
            if let Err(Ended(why)) = ended {
                let why = format!("{why} ({} of {total} not removed)", total - done);
                self.failures
                    .push(failure(&self.reports.store.api.to_string(), &why));
                return;
            }
        }
    }

    /// Notes that a report was not written or removed, and whether it makes sense to go on.
    async fn refuse(&mut self, namespace: &str, broken: &Broken) -> Result<(), Ended> {
        if matches!(broken, Broken::Stopped) {
            return Err(Ended(broken.to_string()));
        }
        if self.is_gone(broken).await {
            return Err(Ended(GONE.to_owned()));
        }
        let refused = self
            .refused
            .entry((namespace.to_owned(), broken.code()))
            .or_insert_with(|| (broken.to_string(), 0));
        refused.1 += 1;
        Ok(())
    }

    /// True, and counted, if nothing can be written in this namespace: one refusal is enough.
    fn is_forbidden(&mut self, namespace: &str) -> bool {
        let refused = self.refused.get_mut(&(namespace.to_owned(), Some(403)));
        refused.map(|(_, count)| *count += 1).is_some()
    }

    /// True if the whole API went away. A CRD that is being removed takes no more writes.
    async fn is_gone(&self, broken: &Broken) -> bool {
        let Store { client, api } = &self.reports.store;
        matches!(broken.code(), Some(404 | 405))
            && api
                .is_served(client)
                .await
                .is_ok_and(|is_served| !is_served)
    }

    async fn why(&self, broken: &Broken) -> String {
        if self.is_gone(broken).await {
            GONE.to_owned()
        } else {
            broken.to_string()
        }
    }

    fn finish(self) -> (Written, Vec<Failure>, Vec<Skipped>) {
        let mut failures = self.failures;
        for ((namespace, _), (why, count)) in self.refused {
            let what = format!("{} in namespace {namespace}", self.reports.store.api);
            failures.push(failure(
                &what,
                &format!("{why} ({count} not written or removed)"),
            ));
        }
        (self.done, failures, self.skipped)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
