//! How far each namespace is from the next level.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::results::{LEVELS, Namespace, Obstacle};

use super::judge::Labels;

/// How the keys of Pod Security labels begin.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// What a workload breaks, by level: baseline, restricted.
pub(super) type Breaks = [BTreeSet<&'static str>; 2];

/// The workloads of one namespace, by kind and name.
#[derive(Debug, Default)]
pub(super) struct Workloads(BTreeMap<(String, String), Breaks>);

// === impl Workloads ===

impl Workloads {
    pub(super) fn add(&mut self, kind: &str, name: &str, breaks: Breaks) {
        self.0.insert((kind.to_owned(), name.to_owned()), breaks);
    }

    /// What the namespace could be held to, and what stands in the way of more.
    pub(super) fn namespace(self, name: &str, labels: Option<&Labels>) -> Namespace {
        let breaks = |level: usize| self.0.values().any(|breaks| !breaks[level].is_empty());
        let ready = match (breaks(0), breaks(1)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        let stands_in_the_way = |((kind, name), breaks): (&(String, String), &Breaks)| {
            let controls = breaks.get(ready).filter(|it| !it.is_empty())?;
            Some(Obstacle {
                kind: kind.clone(),
                name: name.clone(),
                controls: controls.iter().map(ToString::to_string).collect(),
            })
        };
        let labels = labels.into_iter().flatten().filter_map(|(key, value)| {
            let key = key.strip_prefix(PREFIX)?;
            Some((key.to_owned(), value.clone()))
        });
        Namespace {
            name: name.to_owned(),
            labels: labels.collect(),
            workloads: u64::try_from(self.0.len()).unwrap_or(u64::MAX),
            ready_for: LEVELS[ready].to_owned(),
            next: LEVELS.get(ready + 1).map(ToString::to_string),
            obstacles: self.0.iter().filter_map(stands_in_the_way).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(baseline: &[&'static str], restricted: &[&'static str]) -> Breaks {
        [baseline, restricted].map(|it| it.iter().copied().collect())
    }

    #[test]
    fn a_namespace_is_ready_for_the_strictest_level_that_nothing_breaks() {
        for (workloads, ready, next, obstacles) in [
            (vec![], "restricted", None, 0),
            (vec![breaks(&[], &[])], "restricted", None, 0),
            (
                vec![breaks(&[], &["seccomp"]), breaks(&[], &[])],
                "baseline",
                Some("restricted"),
                1,
            ),
            (
                vec![
                    breaks(&["privileged"], &["seccomp"]),
                    breaks(&[], &["seccomp"]),
                ],
                "privileged",
                Some("baseline"),
                1,
            ),
        ] {
            let mut all = Workloads::default();
            for (at, breaks) in workloads.into_iter().enumerate() {
                all.add("Deployment", &format!("web-{at}"), breaks);
            }
            let it = all.namespace("shop", None);
            assert_eq!(
                (&*it.ready_for, it.next.as_deref(), it.obstacles.len()),
                (ready, next, obstacles)
            );
        }
    }
}
