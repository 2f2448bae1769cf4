//! One section a workload: what it breaks, where, what is there, what must be, and the YAML that mends it.

use std::collections::{BTreeMap, HashSet};

use super::markup::Markup;
use super::{anchor, at, count, fate, number, outcome, paths};
use crate::output::results::{Finding, Item, Object, Results, items};

/// Names that are shown at once; the others are behind a click.
const MAX_SHOWN: usize = 8;

pub(super) fn write(out: &mut Markup, results: &Results, ids: &[String]) {
    if results.objects.is_empty() {
        return;
    }
    out.element("section", &[("id", "workloads")], |out| {
        out.leaf("h2", &[], "Findings by workload");
        for (object, id) in results.objects.iter().zip(ids) {
            section(out, object, id);
        }
    });
    out.line();
}

fn section(out: &mut Markup, object: &Object, id: &str) {
    out.element("details", &[("id", id), ("class", "workload")], |out| {
        out.element("summary", &[], |out| {
            out.element("h3", &[], |out| {
                out.leaf("small", &[], &format!("{} ", object.kind));
                if !object.namespace.is_empty() {
                    out.text(&format!("{}/", object.namespace));
                }
                out.text(&object.name);
            });
            let (word, class) = fate(object.fate);
            out.leaf("b", &[("class", class)], word);
            let new = object.findings.iter().filter(|it| it.new).count() as u64;
            let new = if new == 0 {
                String::new()
            } else {
                format!(", {} new", number(new))
            };
            let findings = match object.findings.len() as u64 {
                0 => "no findings".to_owned(),
                some => count(some, "finding"),
            };
            out.leaf("span", &[], &format!("{findings}{new}"));
        });
        facts(out, object);
        if !object.findings.is_empty() {
            findings(out, &object.findings, id);
        }
        if !object.injected.is_empty() {
            injected(out, object);
        }
    });
    out.line();
}

fn facts(out: &mut Markup, object: &Object) {
    let mut facts = vec![object.api_version.clone()];
    if object.pods > 0 {
        facts.push(format!("{} judged", count(object.pods, "running Pod")));
    } else if object.kind != "Pod" {
        facts.push("its template was judged".to_owned());
    }
    facts.extend(object.place.as_ref().map(at));
    facts.extend(object.uid.iter().map(|it| format!("uid {it}")));
    if object.findings.is_empty() {
        facts.push("nothing stands against it".to_owned());
    }
    out.leaf("p", &[("class", "facts")], &facts.join(" · "));
}

fn findings(out: &mut Markup, findings: &[Finding], id: &str) {
    out.element("table", &[("class", "findings")], |out| {
        out.leaf("caption", &[], "Findings");
        out.element("thead", &[], |out| {
            out.element("tr", &[], |out| {
                for name in ["control", "where", "is", "must be", "policies", "fix"] {
                    out.leaf("th", &[("scope", "col")], name);
                }
            });
        });
        out.element("tbody", &[], |out| {
            let mut seen = HashSet::new();
            for Item { members: group } in items(findings) {
                let control = &group[0].control;
                let is_first = seen.insert(control);
                let id = is_first.then(|| anchor::of_control(id, control));
                row(out, &group, id.as_deref());
            }
        });
    });
}

fn row(out: &mut Markup, group: &[&Finding], id: Option<&str>) {
    let first = group[0];
    let (_, class, word) = outcome(first);
    let attributes: Vec<(&'static str, &str)> = id.map(|it| ("id", it)).into_iter().collect();
    out.element("tr", &attributes, |out| {
        out.element("th", &[("scope", "row")], |out| {
            out.leaf("span", &[], &first.control);
            out.leaf("b", &[("class", class)], word);
            if let Some(level) = &first.level {
                out.leaf("small", &[], level);
            }
            if first.new {
                out.leaf("em", &[], "new");
            }
        });
        out.element("td", &[], |out| places(out, group));
        out.element("td", &[], |out| {
            out.leaf("code", &[], &first.current);
            if let Some(source) = &first.source {
                out.element("small", &[], |out| {
                    out.text("from ");
                    out.path(source);
                });
            }
        });
        out.leaf("td", &[], &first.required);
        out.leaf("td", &[], &policies(first).join(", "));
        out.element("td", &[], |out| {
            if let Some(fix) = &first.fix {
                out.element("pre", &[], |out| out.lines(fix));
            }
        });
    });
    out.line();
}

/// Those that ask for it of the object, and behind them those that ask only for its Pods.
fn policies(finding: &Finding) -> Vec<&str> {
    let of_pods = finding.pod_policies.iter();
    let more = of_pods.filter(|it| !finding.policies.contains(it));
    let all = finding.policies.iter().chain(more);
    all.map(String::as_str).collect()
}

fn places(out: &mut Markup, group: &[&Finding]) {
    let first = group[0];
    for (list, noun) in [
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ] {
        let containers = group.iter().filter_map(|it| it.container.as_ref());
        let of_it = containers.filter(|it| it.list == list);
        let names: Vec<&str> = of_it.map(|it| it.name.as_str()).collect();
        if !names.is_empty() {
            let ending = if names.len() == 1 { " " } else { "s " };
            out.element("div", &[], |out| {
                out.text(&format!("{noun}{ending}"));
                few(out, "b", &names);
            });
        }
    }
    if let Some(volume) = &first.volume {
        out.element("div", &[], |out| {
            out.text("volume ");
            out.leaf("b", &[], volume);
        });
    }
    for path in paths::joined(group.iter().map(|it| it.path.as_str())) {
        out.element("div", &[], |out| {
            out.element("code", &[], |out| out.path(&path));
        });
    }
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for place in group.iter().filter_map(|it| it.place.as_ref()) {
        match lines.last_mut() {
            Some((file, of_it)) if *file == place.file => of_it.push(place.line.to_string()),
            _ => lines.push((&place.file, vec![place.line.to_string()])),
        }
    }
    for (file, of_it) in &lines {
        out.element("small", &[], |out| {
            out.text(&format!("{file}:"));
            few(out, "span", of_it);
        });
    }
    if let Some(pod) = &first.in_pod {
        out.leaf("small", &[], &format!("in Pod {pod}"));
    }
    if first.pods > 0 {
        out.leaf("small", &[], &count(first.pods, "running Pod"));
    }
}

/// `a, b, c`, and from [`MAX_SHOWN`] on behind a click.
fn few(out: &mut Markup, element: &'static str, items: &[impl AsRef<str>]) {
    let list = |out: &mut Markup, items: &[_]| {
        for (index, item) in items.iter().enumerate() {
            out.text(if index > 0 { ", " } else { "" });
            out.leaf(element, &[], AsRef::<str>::as_ref(item));
        }
    };
    // One more takes no more room than to say so.
    let shown = if items.len() > MAX_SHOWN + 1 {
        MAX_SHOWN
    } else {
        items.len()
    };
    list(out, &items[..shown]);
    if shown < items.len() {
        out.element("details", &[], |out| {
            let more = (items.len() - shown) as u64;
            out.leaf("summary", &[], &format!("and {} more", number(more)));
            list(out, &items[shown..]);
        });
    }
}

/// One row for what one policy writes into the same field of several containers.
fn injected(out: &mut Markup, object: &Object) {
    let mut order = Vec::new();
    let mut paths_of: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for it in &object.injected {
        let key = (it.policy.as_str(), it.value.to_string());
        let paths = paths_of.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        paths.push(&it.path);
    }
    out.element("table", &[("class", "injected")], |out| {
        let caption = if object.kind == "Pod" {
            "Injected into it"
        } else {
            "Injected into the Pods that are made from it"
        };
        out.leaf("caption", &[], caption);
        out.element("thead", &[], |out| {
            out.element("tr", &[], |out| {
                for name in ["field", "value", "policy"] {
                    out.leaf("th", &[("scope", "col")], name);
                }
            });
        });
        out.element("tbody", &[], |out| {
            for key in &order {
                let (policy, value) = key;
                for path in paths::joined(paths_of.get(key).into_iter().flatten().copied()) {
                    out.element("tr", &[], |out| {
                        out.element("th", &[("scope", "row")], |out| {
                            out.element("code", &[], |out| out.path(&path));
                        });
                        out.element("td", &[], |out| out.leaf("code", &[], value));
                        out.leaf("td", &[], policy);
                    });
                }
            }
        });
    });
}
