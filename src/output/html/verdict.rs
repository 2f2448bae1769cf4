//! The head of the page: what the run came to in one sentence, whether it saw everything, and how it was made.

use super::markup::Markup;
use super::{count, number};
use crate::output::results::Results;

/// The verdict.
pub(super) fn sentence(results: &Results) -> String {
    let summary = &results.summary;
    let mut parts = Vec::new();
    for (times, what) in [
        (summary.rejected, "would be rejected"),
        (summary.pods_rejected, "would have their Pods rejected"),
        (summary.warned, "would be warned about"),
        (summary.recorded, "would be recorded"),
        (summary.clean, "clean"),
    ] {
        if times > 0 {
            parts.push(format!("{} {what}", number(times)));
        }
    }
    let judged = count(summary.judged, "workload");
    if parts.is_empty() {
        return format!("{judged} judged");
    }
    format!("{judged} judged: {}", parts.join(", "))
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
                list(out, results.errors.iter().map(|it| (&it.what, &it.why, 1)));
            });
        }
        compared(out, results);
        facts(out, results);
        if !results.skipped.is_empty() {
            out.element("details", &[("class", "skips")], |out| {
                let skipped: u64 = results.skipped.iter().map(|it| it.count).sum();
                out.leaf(
                    "summary",
                    &[],
                    &format!("{} not judged, on purpose", number(skipped)),
                );
                list(
                    out,
                    results
                        .skipped
                        .iter()
                        .map(|it| (&it.what, &it.why, it.count)),
                );
            });
        }
    });
    out.line();
}

fn list<'a>(out: &mut Markup, items: impl Iterator<Item = (&'a String, &'a String, u64)>) {
    out.element("ul", &[], |out| {
        for (what, why, times) in items {
            out.element("li", &[], |out| {
                out.leaf("b", &[], what);
                if times > 1 {
                    out.text(&format!(" ({})", number(times)));
                }
                out.text(&format!(": {why}"));
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
    out.leaf(
        "p",
        &[],
        &format!("Since {since}: {} new{fixed}.", count(new, "finding")),
    );
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
        ("when", run.started.clone()),
        ("took", seconds),
        ("cluster", run.cluster.clone()),
        ("judged", some(run.selection.join(", "))),
        ("read", some(scanned.join(", "))),
        ("policies", some(run.policies.join(", "))),
        ("policy set", some(run.policy_set.clone())),
        ("as enforce", as_enforce.map(str::to_owned)),
        ("findings", Some(number(results.summary.findings))),
        ("podgate", some(run.version.clone())),
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

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
