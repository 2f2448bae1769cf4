//! The ladder: how far each namespace is from the next level.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::markup::Markup;
use super::{anchor, number};
use crate::output::results::{LEVELS, Namespace, Results};

pub(super) fn write(out: &mut Markup, results: &Results, ids: &[String]) {
    if results.namespaces.is_empty() {
        return;
    }
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    out.element("section", &[("id", "namespaces")], |out| {
        out.leaf("h2", &[], "Readiness of the namespaces");
        out.element("div", &[("class", "scroll")], |out| {
            out.element("table", &[("class", "ladder")], |out| {
                out.leaf("caption", &[], "The strictest level that would reject nothing of what runs, and what stands in the way of the next.");
                out.element("thead", &[], |out| {
                    out.element("tr", &[], |out| {
                        for name in ["namespace", "workloads", LEVELS[0], LEVELS[1], LEVELS[2], "labels", "in the way"] {
                            out.leaf("th", &[("scope", "col")], name);
                        }
                    });
                });
                out.element("tbody", &[], |out| {
                    for namespace in &results.namespaces {
                        row(out, namespace, &ids);
                    }
                });
            });
        });
    });
    out.line();
}

fn row(out: &mut Markup, namespace: &Namespace, ids: &HashSet<&str>) {
    let at = |level: &str| LEVELS.iter().position(|it| *it == level).unwrap_or(0);
    let ready = at(&namespace.ready_for);
    let obstacles = namespace.obstacles.len() as u64;
    out.element(
        "tr",
        &[("id", &anchor::of_namespace(&namespace.name))],
        |out| {
            out.leaf("th", &[("scope", "row")], &namespace.name);
            out.leaf("td", &[("class", "n")], &number(namespace.workloads));
            for (index, level) in LEVELS.iter().enumerate() {
                if index <= ready {
                    out.leaf("td", &[("class", "o")], "✓ ready");
                } else if namespace.next.as_deref() == Some(level) {
                    out.leaf(
                        "td",
                        &[("class", "w")],
                        &format!("✗ {} in the way", number(obstacles)),
                    );
                } else {
                    out.leaf("td", &[], "–");
                }
            }
            out.element("td", &[], |out| {
                if namespace.labels.is_empty() {
                    out.text("none");
                }
                for (index, (key, value)) in namespace.labels.iter().enumerate() {
                    let is_last = index + 1 == namespace.labels.len();
                    let ending = if is_last { "" } else { "," };
                    out.leaf("span", &[], &format!("{key}={value}{ending}"));
                    out.text(" ");
                }
                let enforced = namespace.labels.get("enforce").map_or(0, |it| at(it));
                if ready > enforced {
                    out.leaf(
                        "small",
                        &[("class", "o")],
                        &format!("enforce can be raised to {} today", namespace.ready_for),
                    );
                }
            });
            out.element("td", &[], |out| {
                if obstacles == 0 {
                    return out.text("nothing is in the way");
                }
                out.element("details", &[], |out| {
                    out.leaf("summary", &[], &controls(namespace).join(", "));
                    out.element("ul", &[], |out| {
                        for it in &namespace.obstacles {
                            out.element("li", &[], |out| {
                                let id = anchor::of_object(&namespace.name, &it.kind, &it.name);
                                let label = format!("{} {}", it.kind, it.name);
                                if ids.contains(id.as_str()) {
                                    out.leaf("a", &[("href", &format!("#{id}"))], &label);
                                } else {
                                    out.text(&label);
                                }
                                out.text(&format!(": {}", it.controls.join(", ")));
                            });
                        }
                    });
                });
            });
        },
    );
    out.line();
}

/// The controls that stand in the way, each with how many workloads break it, the commonest first.
fn controls(namespace: &Namespace) -> Vec<String> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for control in namespace.obstacles.iter().flat_map(|it| &it.controls) {
        *times.entry(control).or_default() += 1;
    }
    let mut controls: Vec<(&str, u64)> = times.into_iter().collect();
    controls.sort_by_key(|(_, times)| Reverse(*times));
    let said = controls
        .iter()
        .map(|(it, times)| format!("{it}\u{a0}{}", number(*times)));
    said.collect()
}
