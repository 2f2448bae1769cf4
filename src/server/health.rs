//! What the outside may know of a running podgate: its metrics, its readiness, and the state of its policies.
//! Made before the server starts, so that loading policies and syncing namespaces can report into it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tracing::{error, info};

use crate::cluster::{
    certificates::{State, Trust},
    namespaces::{Namespaces, SyncState},
};

use super::{
    metrics::Metrics,
    readiness::{Condition, Readiness},
};

/// Metrics and readiness of one server. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Health {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    policies: Arc<Mutex<Policies>>,
}

/// What is in force, and why the newest is not.
#[derive(Debug, Default)]
struct Policies {
    in_force: Option<String>,
    refused: Option<String>,
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        let health = Self {
            metrics: Arc::default(),
            readiness: Readiness::default(),
            policies: Arc::default(),
        };
        let policies = health.policies.clone();
        health
            .readiness
            .require("policies", move || lock(&policies).condition());
        health
    }
}

impl Health {
    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The readiness register, for further conditions.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Makes podgate ready only when the namespaces have been listed once. A watch that fails later is noted, and podgate
    /// stays ready with the snapshot it has, until that may be older than this: labels that were changed since would be
    /// judged as they were.
    pub fn require_namespaces(&self, namespaces: &Namespaces, max_age: Duration) {
        let namespaces = namespaces.clone();
        self.readiness.require("namespaces", move || {
            namespaces_known(namespaces.sync(), max_age)
        });
    }

    /// Makes podgate ready only when the API servers trust the certificate that is kept in the cluster. Once they did,
    /// a caBundle that somebody changes is noted: it is mended sooner than another replica would be found.
    pub fn require_trust(&self, state: watch::Receiver<State>) {
        let proven = AtomicBool::new(false);
        self.readiness.require("caBundle", move || {
            let state = state.borrow();
            let error = state.error.as_deref().map(one_line);
            let because = error.map(|it| format!("; {it}")).unwrap_or_default();
            match &state.trust {
                Trust::Unknown => Condition::Failed(format!("not looked at yet{because}")),
                Trust::Unregistered => {
                    Condition::Ok(format!("there are no webhook configurations yet{because}"))
                }
                Trust::Full => {
                    proven.store(true, Ordering::Relaxed);
                    Condition::Ok(format!("trusted by the webhook configurations{because}"))
                }
                Trust::Missing(kinds) => {
                    let told = format!("not trusted by the {}{because}", kinds.join(" and the "));
                    if proven.load(Ordering::Relaxed) {
                        Condition::Ok(told)
                    } else {
                        Condition::Failed(told)
                    }
                }
            }
        });
    }

    /// Has the metrics say what is known of the certificates in the cluster.
    pub fn follow_certificates(&self, mut state: watch::Receiver<State>) {
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            while state.changed().await.is_ok() {
                metrics.certificates_kept(&state.borrow_and_update());
            }
        });
    }

    /// Says that a policy set came into force. `hash` tells sets apart, across replicas too.
    pub fn policies_loaded(&self, count: usize, hash: &str) {
        self.metrics.policies_reloaded(true);
        self.metrics.policies_in_force(count, hash);
        *lock(&self.policies) = Policies {
            in_force: Some(format!("{count} in force, set {hash}")),
            refused: None,
        };
        info!(count, hash, "policies in force");
    }

    /// Says that policies could not be used. If a set is in force already, it stays so and podgate stays ready.
    /// `reason` is for where there is one line, `excerpts` the same at length, for the log.
    pub fn policies_refused(&self, reason: &str, excerpts: &str) {
        self.metrics.policies_reloaded(false);
        let mut policies = lock(&self.policies);
        policies.refused = Some(one_line(reason));
        if let Some(in_force) = &policies.in_force {
            error!(
                "changed policies refused, the last good set stays in force ({in_force})\n{excerpts}"
            );
        } else {
            error!("policies refused, none in force\n{excerpts}");
        }
    }
}

// === impl Policies ===

impl Policies {
    fn condition(&self) -> Condition {
        match (&self.in_force, &self.refused) {
            (Some(in_force), None) => Condition::Ok(in_force.clone()),
            (Some(in_force), Some(reason)) => Condition::Ok(format!(
                "{in_force}; this is the last good set, the newest was refused: {reason}"
            )),
            (None, Some(reason)) => Condition::Failed(reason.clone()),
            (None, None) => Condition::Failed("not loaded yet".into()),
        }
    }
}

fn namespaces_known(sync: SyncState, max_age: Duration) -> Condition {
    match sync {
        SyncState::Pending(None) => Condition::Failed("not listed yet".into()),
        SyncState::Pending(Some(error)) => {
            Condition::Failed(format!("not listed yet: {}", one_line(&error)))
        }
        SyncState::Synced(count) => Condition::Ok(format!("{count} known")),
        SyncState::Stale { count, age, error } => {
            let told = format!(
                "{count} known, but the watch fails and they may be out of date by {} s: {}",
                age.unwrap_or_default().as_secs(),
                one_line(&error)
            );
            if age.is_some_and(|age| age > max_age) {
                Condition::Failed(told)
            } else {
                Condition::Ok(told)
            }
        }
    }
}

/// Every condition is one line of the readiness text.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Never left half-changed, so a poisoned lock is as good as any.
fn lock(policies: &Mutex<Policies>) -> MutexGuard<'_, Policies> {
    policies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_change_keeps_ready_and_says_so() {
        let health = Health::default();
        assert_eq!(
            health.readiness.report().text,
            "[-]policies failed: not loaded yet\nreadyz check failed\n"
        );
        health.policies_loaded(3, "1a2b");
        health.policies_refused("a.yaml:3:1:\n  unknown control", "excerpts");
        let report = health.readiness.report();
        assert!(report.ready);
        assert!(report.text.starts_with(
            "[+]policies ok: 3 in force, set 1a2b; this is the last good set, \
             the newest was refused: a.yaml:3:1: unknown control\n"
        ));
        let metrics = health.metrics.encode().expect("metrics encode");
        assert!(metrics.contains("podgate_policies_stale 1\n"));
        assert!(metrics.contains("podgate_policy_set_info{hash=\"1a2b\"} 1\n"));
        health.policies_loaded(4, "3c4d");
        assert!(
            health
                .readiness
                .report()
                .text
                .starts_with("[+]policies ok: 4 in force, set 3c4d\n")
        );
    }

    #[test]
    fn labels_that_may_be_too_old_are_not_judged_by() {
        for (seconds, is_ready) in [(90, true), (120, true), (121, false)] {
            let sync = SyncState::Stale {
                count: 3,
                age: Some(Duration::from_secs(seconds)),
                error: "gone\naway".into(),
            };
            let told = format!(
                "3 known, but the watch fails and they may be out of date by {seconds} s: gone away"
            );
            let expected = if is_ready {
                Condition::Ok(told)
            } else {
                Condition::Failed(told)
            };
            assert_eq!(namespaces_known(sync, Duration::from_mins(2)), expected);
        }
    }

    #[test]
    fn trust_is_waited_for_once_and_then_only_told() {
        let (sender, receiver) = watch::channel(State::default());
        let health = Health::default();
        health.require_trust(receiver);
        for (trust, expected) in [
            (Trust::Unknown, "[-]caBundle failed: not looked at yet"),
            (
                Trust::Missing(vec!["A", "B"]),
                "[-]caBundle failed: not trusted by the A and the B",
            ),
            (Trust::Full, "[+]caBundle ok: trusted"),
            (
                Trust::Missing(vec!["A"]),
                "[+]caBundle ok: not trusted by the A",
            ),
            (
                Trust::Unregistered,
                "[+]caBundle ok: there are no webhook configurations",
            ),
        ] {
            sender.send_modify(|it| it.trust = trust);
            let told = health.readiness.report().text;
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn refused_from_the_start_is_not_ready() {
        let health = Health::default();
        health.policies_refused("no policies in the directory", "excerpts");
        assert!(!health.readiness.report().ready);
    }
}
