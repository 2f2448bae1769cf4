//! One section a workload: what it breaks, where, what is there, what must be, and the YAML that mends it.

use super::markup::Markup;
use super::{count, fate, number, outcome};
use crate::output::results::{Finding, Injected, Object, Results};

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
            let findings = count(object.findings.len() as u64, "finding");
            out.leaf("span", &[], &format!("{findings}{new}"));
        });
        facts(out, object);
        if !object.findings.is_empty() {
            findings(out, &object.findings);
        }
        if !object.injected.is_empty() {
            injected(out, &object.injected);
        }
    });
    out.line();
}

fn facts(out: &mut Markup, object: &Object) {
    let mut facts = vec![object.api_version.clone()];
    facts.push(if object.pods == 0 {
        "its template was judged".to_owned()
    } else {
        format!("{} judged", count(object.pods, "running Pod"))
    });
    if let Some(place) = &object.place {
        facts.push(format!("{}:{}:{}", place.file, place.line, place.column));
    }
    facts.extend(object.uid.iter().map(|it| format!("uid {it}")));
    if object.findings.is_empty() {
        facts.push("nothing stands against it".to_owned());
    }
    out.leaf("p", &[("class", "facts")], &facts.join(" · "));
}

fn findings(out: &mut Markup, findings: &[Finding]) {
    out.element("div", &[("class", "scroll")], |out| {
        out.element("table", &[], |out| {
            out.leaf("caption", &[], "Findings");
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in ["control", "where", "is", "must be", "policies", "fix"] {
                        out.leaf("th", &[("scope", "col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                for group in merged(findings) {
                    row(out, &group);
                }
            });
        });
    });
}

/// Findings that say the same of several containers, together; the order stays that of the first of each.
fn merged(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|it| says_the_same(it[0], finding)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// All but which container it is about.
fn says_the_same(one: &Finding, two: &Finding) -> bool {
    let said = |it: &Finding| Finding {
        container: None,
        path: String::new(),
        place: None,
        ..it.clone()
    };
    one.container.is_some()
        && two.container.is_some()
        && one.control == two.control
        && said(one) == said(two)
}

fn row(out: &mut Markup, group: &[&Finding]) {
    let first = group[0];
    let (_, class, word) = outcome(first);
    out.element("tr", &[], |out| {
        out.element("th", &[("scope", "row")], |out| {
            out.text(&first.control);
            out.leaf("b", &[("class", class)], word);
            if let Some(level) = &first.level {
                out.leaf("small", &[], level);
            }
            if first.new {
                out.leaf("em", &[], "new");
            }
        });
        out.element("td", &[], |out| {
            for finding in group {
                out.element("div", &[], |out| place(out, finding));
            }
            if let Some(pod) = &first.in_pod {
                out.leaf("small", &[], &format!("in Pod {pod}"));
            }
            if first.pods > 0 {
                out.leaf("small", &[], &count(first.pods, "running Pod"));
            }
        });
        out.element("td", &[], |out| {
            out.leaf("code", &[], &first.current);
            if let Some(source) = &first.source {
                out.leaf("small", &[], &format!("from {source}"));
            }
        });
        out.leaf("td", &[], &first.required);
        out.element("td", &[], |out| {
            let mut policies: Vec<&str> = first.policies.iter().map(String::as_str).collect();
            policies.extend(
                first
                    .pod_policies
                    .iter()
                    .map(String::as_str)
                    .filter(|it| !first.policies.iter().any(|other| other == it)),
            );
            out.text(&policies.join(", "));
        });
        out.element("td", &[], |out| {
            if let Some(fix) = &first.fix {
                out.element("pre", &[], |out| out.lines(fix));
            }
        });
    });
    out.line();
}

fn place(out: &mut Markup, finding: &Finding) {
    if let Some(container) = &finding.container {
        let list = match container.list.as_str() {
            "initContainers" => "init container ",
            "ephemeralContainers" => "ephemeral container ",
            _ => "container ",
        };
        out.text(list);
        out.leaf("b", &[], &container.name);
        out.text(" ");
    }
    if let Some(volume) = &finding.volume {
        out.text("volume ");
        out.leaf("b", &[], volume);
        out.text(" ");
    }
    out.leaf("code", &[], &finding.path);
    if let Some(place) = &finding.place {
        out.leaf("small", &[], &format!("{}:{}", place.file, place.line));
    }
}

fn injected(out: &mut Markup, injected: &[Injected]) {
    out.element("table", &[], |out| {
        out.leaf(
            "caption",
            &[],
            "Injected into the Pods that are made from it",
        );
        out.element("tbody", &[], |out| {
            for it in injected {
                out.element("tr", &[], |out| {
                    out.element("th", &[("scope", "row")], |out| {
                        out.leaf("code", &[], &it.path);
                    });
                    out.element("td", &[], |out| {
                        out.leaf("code", &[], &it.value.to_string());
                    });
                    out.leaf("td", &[], &it.policy);
                });
            }
        });
    });
}
