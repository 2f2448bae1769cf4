//! The head of the page: what the run came to in one sentence, whether it saw everything, and how it was made.

use super::markup::Markup;
use super::{at, count, fate, number};
use crate::output::results::{Fate, Place, Results, Summary};

/// The verdict.
pub(super) fn sentence(results: &Results) -> String {
    let Summary {
        judged,
        rejected,
        pods_rejected,
        ..
    } = results.summary;
    let workloads = count(judged, "workload");
    match (rejected, pods_rejected) {
        _ if judged == 0 => format!("{workloads} judged"),
        (0, 0) => format!("{workloads} judged, none would be rejected"),
        (0, pods) => format!(
            "{} of {workloads} would have their Pods rejected",
            number(pods)
        ),
        (rejected, 0) => format!("{} of {workloads} would be rejected", number(rejected)),
        (rejected, pods) => format!(
            "{} of {workloads} would be rejected, {} would have their Pods rejected",
            number(rejected),
            number(pods)
        ),
    }
}

pub(super) fn write(out: &mut Markup, results: &Results) {
    let run = &results.run;
    out.element("header", &[], |out| {
        out.leaf(
            "p",
            &[("class", "tool")],
            &format!("podgate {}", run.command),
        );
        let ending = if run.complete {
            "."
        } else {
            ". The run is not complete."
        };
        out.leaf("h1", &[], &format!("{}{ending}", sentence(results)));
        if !run.complete || !results.errors.is_empty() {
            out.element("div", &[("class", "alarm"), ("role", "alert")], |out| {
                out.leaf("h2", &[], "NOT COMPLETE: not everything was judged");
                let errors = results.errors.iter();
                list(
                    out,
                    errors.map(|it| (&*it.what, &*it.why, 1, it.place.as_ref())),
                );
            });
        }
        tally(out, &results.summary);
        compared(out, results);
        facts(out, results);
        if !results.skipped.is_empty() {
            out.element("details", &[("class", "skips")], |out| {
                let times: u64 = results.skipped.iter().map(|it| it.count).sum();
                let summary = format!("{} not judged, on purpose", number(times));
                out.leaf("summary", &[], &summary);
                let skipped = results.skipped.iter();
                list(
                    out,
                    skipped.map(|it| (&*it.what, &*it.why, it.count, it.place.as_ref())),
                );
            });
        }
        contents(out, results);
    });
    out.line();
}

/// What, why, how many times, and where.
type Item<'a> = (&'a str, &'a str, u64, Option<&'a Place>);

fn list<'a>(out: &mut Markup, items: impl Iterator<Item = Item<'a>>) {
    out.element("ul", &[], |out| {
        for (what, why, times, place) in items {
            out.element("li", &[], |out| {
                out.leaf("b", &[], what);
                if times > 1 {
                    out.text(&format!(" ({})", number(times)));
                }
                out.text(&format!(": {why}"));
                if let Some(place) = place {
                    out.leaf("small", &[], &format!(" {}", at(place)));
                }
            });
        }
    });
}

/// The fates, counted, and as a bar.
fn tally(out: &mut Markup, summary: &Summary) {
    if summary.judged == 0 {
        return;
    }
    let fates = [
        (Fate::Rejected, summary.rejected),
        (Fate::PodsRejected, summary.pods_rejected),
        (Fate::Warned, summary.warned),
        (Fate::Recorded, summary.recorded),
        (Fate::Clean, summary.clean),
    ];
    let whole = format!("0 0 {} 1", summary.judged);
    let frame = [
        ("class", "bar"),
        ("viewBox", whole.as_str()),
        ("preserveAspectRatio", "none"),
        ("aria-hidden", "true"),
    ];
    out.element("svg", &frame, |out| {
        let mut start = 0;
        for (it, times) in fates.into_iter().filter(|(_, times)| *times > 0) {
            let (x, width) = (start.to_string(), times.to_string());
            let part = [
                ("class", fate(it).1),
                ("x", &x),
                ("width", &width),
                ("height", "1"),
            ];
            out.element("rect", &part, |_| {});
            start += times;
        }
    });
    out.element("ul", &[("class", "tally")], |out| {
        for (it, times) in fates {
            let (word, class) = fate(it);
            out.element("li", &[("class", class)], |out| {
                out.leaf("b", &[], &number(times));
                out.text(" ");
                out.leaf("span", &[], word);
            });
        }
    });
}

fn compared(out: &mut Markup, results: &Results) {
    let Some(since) = &results.run.since else {
        return;
    };
    let findings = results.objects.iter().flat_map(|it| &it.findings);
    let new = findings.filter(|it| it.new).count() as u64;
    let fixed = results
        .summary
        .fixed
        .map_or_else(String::new, |it| format!(", {} gone", number(it)));
    out.element("p", &[], |out| {
        out.leaf("b", &[], &format!("{}{fixed}", count(new, "new finding")));
        out.text(&format!(" since {since}."));
    });
}

fn facts(out: &mut Markup, results: &Results) {
    let run = &results.run;
    let seconds = run.seconds.map(|it| format!("{it:.1} s"));
    let scanned: Vec<String> = results
        .summary
        .scanned
        .iter()
        .map(|(what, times)| format!("{} {what}", number(*times)))
        .collect();
    let as_enforce = run
        .as_enforce
        .then_some("every finding counts as if its policy were in mode enforce");
    let facts = [
        ("findings", Some(number(results.summary.findings))),
        ("judged", some(run.selection.join(", "))),
        ("cluster", run.cluster.clone()),
        ("when", run.started.clone()),
        ("took", seconds),
        ("podgate", some(run.version.clone())),
        ("policy set", some(run.policy_set.clone())),
        ("policies", some(run.policies.join(", "))),
        ("as enforce", as_enforce.map(str::to_owned)),
        ("read", some(scanned.join(", "))),
    ];
    out.element("dl", &[], |out| {
        for (name, value) in facts {
            let Some(value) = value else { continue };
            out.element("div", &[], |out| {
                out.leaf("dt", &[], name);
                out.leaf("dd", &[], &value);
            });
        }
    });
}

/// What is on the page.
fn contents(out: &mut Markup, results: &Results) {
    if results.objects.is_empty() {
        return;
    }
    out.element("nav", &[("aria-label", "On this page")], |out| {
        if !results.namespaces.is_empty() {
            out.leaf(
                "a",
                &[("href", "#namespaces")],
                "Readiness of the namespaces",
            );
        }
        out.leaf("a", &[("href", "#matrix")], "Workloads and controls");
        out.leaf("a", &[("href", "#workloads")], "Findings by workload");
    });
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
