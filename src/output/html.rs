//! The results of a run as one HTML file that can be mailed around.
//!
//! It asks nothing of the outside, is readable without its script, and holds everything once: the script filters and
//! sorts what the page shows. What comes from outside is written by [`Markup`] alone, which escapes all of it; the
//! content security policy then allows this style and this script and nothing else.

mod anchor;
mod markup;
mod matrix;
mod namespaces;
mod paths;
mod verdict;
mod workload;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::results::{Fate, Finding, Place, Results};
use crate::policy::Mode;
use markup::Markup;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The whole file.
#[must_use]
pub fn render(results: &Results) -> String {
    let ids = anchor::of_objects(&results.objects);
    let mut out = Markup::default();
    out.constant("<!DOCTYPE html>\n");
    out.element("html", &[("lang", "en")], |out| {
        out.element("head", &[], |out| head(out, results));
        out.line();
        out.element("body", &[], |out| {
            verdict::write(out, results);
            out.element("main", &[], |out| {
                namespaces::write(out, results, &ids);
                matrix::write(out, results, &ids);
                workload::write(out, results, &ids);
            });
            out.element("script", &[], |out| out.constant(SCRIPT));
        });
    });
    out.line();
    out.finish()
}

fn head(out: &mut Markup, results: &Results) {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    out.void("meta", &[("charset", "utf-8")]);
    out.void(
        "meta",
        &[
            ("http-equiv", "Content-Security-Policy"),
            ("content", &policy),
        ],
    );
    out.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    out.void(
        "meta",
        &[
            ("name", "viewport"),
            ("content", "width=device-width, initial-scale=1"),
        ],
    );
    // Without it a browser asks a server for one.
    out.void("link", &[("rel", "icon"), ("href", "data:,")]);
    let title = format!(
        "podgate {}: {}",
        results.run.command,
        verdict::sentence(results)
    );
    out.leaf("title", &[], &title);
    out.element("style", &[], |out| out.constant(STYLE));
}

/// As the content security policy names a content.
fn hash(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content)))
}

/// What a finding leads to, for a reader: its letter, which is its class in lower case, and its word.
fn outcome(finding: &Finding) -> (&'static str, &'static str, &'static str) {
    match (finding.mode, finding.pod_mode) {
        (Mode::Enforce, _) => ("E", "e", "enforce"),
        (_, Mode::Enforce) => ("P", "p", "Pods rejected"),
        (Mode::Warn, _) | (_, Mode::Warn) => ("W", "w", "warn"),
        _ => ("A", "a", "audit"),
    }
}

/// How bad that is.
fn rank(finding: &Finding) -> (Mode, Mode) {
    match outcome(finding).0 {
        "E" => (Mode::Enforce, Mode::Enforce),
        "P" => (Mode::Warn, Mode::Enforce),
        "W" => (Mode::Warn, Mode::Warn),
        _ => (Mode::Audit, Mode::Audit),
    }
}

/// A fate as the page names it, and its class.
fn fate(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::Rejected => ("rejected", "e"),
        Fate::PodsRejected => ("Pods rejected", "p"),
        Fate::Warned => ("warned", "w"),
        Fate::Recorded => ("recorded", "a"),
        Fate::Clean => ("clean", "o"),
    }
}

/// `deploy/web.yaml:12:7`, or the file alone.
fn at(place: &Place) -> String {
    match place {
        Place { file, line: 0, .. } => file.clone(),
        Place {
            file, line, column, ..
        } => format!("{file}:{line}:{column}"),
    }
}

/// `12,345`
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 finding`, `1,200 findings`.
fn count(times: u64, noun: &str) -> String {
    let ending = if times == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(times))
}
