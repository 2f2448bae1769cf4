#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::review::Counted;

const PAGE: &str = include_str!("../../../manifests/metrics.md");

/// What is said of one metric: its type, and the names of its labels.
type Told = (String, BTreeSet<String>);

/// Every metric, each with at least one series.
fn all() -> String {
    let metrics = Metrics::default();
    metrics.policies_in_force(3, "1a2b3c");
    metrics.pod_security(&[Count {
        what: Counted::Error { fatal: true },
        operation: "create",
        resource: "pod",
        subresource: "",
    }]);
    metrics.encode().unwrap()
}

/// By its name as Prometheus stores it.
fn encoded() -> BTreeMap<String, Told> {
    let text = all();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let suffix = if kind == "counter" { "_total" } else { "" };
        let series = format!(
            "{name}{}{{",
            if kind == "histogram" {
                "_count"
            } else {
                suffix
            }
        );
        let labels = text
            .lines()
            .filter_map(|it| it.strip_prefix(&series)?.split_once('}'))
            .flat_map(|(labels, _)| labels.split(',').filter_map(|it| it.split_once('=')))
            .map(|(label, _)| label.to_owned());
        found.insert(
            format!("{name}{suffix}"),
            (kind.to_owned(), labels.collect()),
        );
    }
    found
}

/// By the rows of its tables: `name` | type | `labels` | meaning | what to do.
fn documented() -> BTreeMap<String, Told> {
    let code = |cell: &str| -> Vec<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let mut found = BTreeMap::new();
    for line in PAGE.lines().filter(|it| it.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{line}");
        let [name, kind, labels] = [cells[0], cells[1], cells[2]];
        assert!(cells[3..].iter().all(|it| !it.is_empty()), "{line}");
        let told = (kind.to_owned(), code(labels).into_iter().collect());
        assert_eq!(found.insert(code(name).concat(), told), None, "{line}");
    }
    found
}

#[test]
fn every_metric_is_on_its_page_and_nothing_else_is() {
    assert_eq!(
        encoded(),
        documented(),
        "left: /metrics, right: manifests/metrics.md"
    );
}
