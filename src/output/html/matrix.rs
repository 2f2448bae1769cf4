//! Workloads × controls: one row a workload, one letter where a control is broken.

use std::collections::{BTreeMap, BTreeSet};

use super::markup::Markup;
use super::{anchor, fate, number, outcome, rank};
use crate::control::NAMES;
use crate::output::results::{Finding, Object, Results};

pub(super) fn write(out: &mut Markup, results: &Results, ids: &[String]) {
    let controls = controls(&results.objects);
    out.element("section", &[("id", "matrix")], |out| {
        out.leaf("h2", &[], "Workloads and controls");
        if results.objects.is_empty() {
            return out.leaf("p", &[], "Nothing was judged.");
        }
        out.element("p", &[("class", "key")], |out| {
            for (class, letter, word) in [
                ("e", "E", " rejected"),
                ("p", "P", " its Pods rejected"),
                ("w", "W", " warned"),
                ("a", "A", " recorded"),
            ] {
                out.element("span", &[], |out| {
                    out.leaf("b", &[("class", class)], letter);
                    out.text(word);
                });
            }
            if results.run.since.is_some() {
                out.leaf("span", &[], "* new since the earlier run");
            }
        });
        out.element(
            "div",
            &[("id", "filter"), ("role", "search"), ("hidden", "")],
            |_| {},
        );
        let frame = [
            ("class", "scroll box"),
            ("tabindex", "0"),
            ("role", "region"),
            ("aria-label", "Workloads and controls"),
        ];
        out.element("div", &frame, |out| {
            out.element("table", &[("class", "matrix")], |out| {
                out.leaf(
                    "caption",
                    &[],
                    "The worst mode in which each workload breaks each control.",
                );
                out.element("thead", &[], |out| {
                    out.element("tr", &[], |out| {
                        for name in ["workload", "kind", "fate", "findings", "Pods"] {
                            out.leaf("th", &[("scope", "col")], name);
                        }
                        for name in &controls {
                            out.element("th", &[("scope", "col"), ("class", "v")], |out| {
                                out.leaf("span", &[], name);
                            });
                        }
                    });
                });
                out.line();
                out.element("tbody", &[], |out| {
                    for (object, id) in results.objects.iter().zip(ids) {
                        row(out, object, id, &controls);
                    }
                });
            });
        });
    });
    out.line();
}

/// Those that something breaks, in the order in which findings are shown; behind them what is no control of ours.
fn controls(objects: &[Object]) -> Vec<&str> {
    let findings = objects.iter().flat_map(|it| &it.findings);
    let mut broken: BTreeSet<&str> = findings.map(|it| it.control.as_str()).collect();
    let known = NAMES.iter().copied();
    let mut controls: Vec<&str> = known.filter(|it| broken.remove(it)).collect();
    controls.extend(broken);
    controls
}

fn row(out: &mut Markup, object: &Object, id: &str, controls: &[&str]) {
    let mut worst: BTreeMap<&str, (&Finding, bool)> = BTreeMap::new();
    for finding in &object.findings {
        let entry = worst.entry(&finding.control).or_insert((finding, false));
        entry.1 |= finding.new;
        if rank(finding) > rank(entry.0) {
            entry.0 = finding;
        }
    }
    out.element("tr", &[], |out| {
        out.element("th", &[("scope", "row")], |out| {
            out.element("a", &[("href", &format!("#{id}"))], |out| {
                if !object.namespace.is_empty() {
                    out.leaf("small", &[], &object.namespace);
                    out.text("/");
                }
                out.text(&object.name);
            });
        });
        out.leaf("td", &[], &object.kind);
        let (word, class) = fate(object.fate);
        out.leaf("td", &[("class", class)], word);
        out.leaf(
            "td",
            &[("class", "n")],
            &number(object.findings.len() as u64),
        );
        out.leaf("td", &[("class", "n")], &number(object.pods));
        for control in controls {
            let Some((finding, new)) = worst.get(control) else {
                out.element("td", &[], |_| {});
                continue;
            };
            let (letter, class, _) = outcome(finding);
            out.element("td", &[("class", "m")], |out| {
                let link = format!("#{}", anchor::of_control(id, control));
                out.leaf("a", &[("class", class), ("href", &link)], letter);
                if *new {
                    out.text("*");
                }
            });
        }
    });
    out.line();
}
