//! Results as SARIF 2.1.0, which code hosts show beside the lines of a change.
//!
//! One rule a control and one result a finding, never merged: each has a line of its own to stand at. A result keeps its
//! fingerprint when lines move above it, so that a host knows it again.

mod uri;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::control::{self, NAMES};
use crate::policy::fingerprint;

use super::results::{Fate, Finding, Item, Object, Place, Results};
use super::text::{MAX_VALUE, clean, title};

/// Where the shape is fixed.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name of the fingerprint; what it is made from changes only with the number.
const FINGERPRINT: &str = "podgateFinding/v1";
/// How much of a reason is shown.
const MAX_WHY: usize = 1000;

/// Writes them, indented, with a line break at the end.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [run(results)],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

fn run(results: &Results) -> Value {
    let mut repeats = BTreeMap::new();
    let found: Vec<Value> = results
        .objects
        .iter()
        .flat_map(|object| object.findings.iter().map(move |it| (object, it)))
        .map(|(object, finding)| result(results, object, finding, &mut repeats))
        .collect();
    json!({
        "tool": {"driver": {
            "name": "podgate",
            "version": results.run.version,
            "rules": NAMES.iter().map(|it| rule(it)).collect::<Vec<_>>(),
        }},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation(results)],
        "results": found,
        "properties": {
            "command": results.run.command,
            "policies": results.run.policies,
            "policySet": results.run.policy_set,
            "selection": results.run.selection,
            "summary": results.summary,
        },
    })
}

fn rule(name: &str) -> Value {
    let summary = control::summary(name).unwrap_or(name);
    json!({
        "id": name,
        "name": name,
        "shortDescription": {"text": summary},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["kubernetes", "security"]},
    })
}

fn invocation(results: &Results) -> Value {
    let errors = results.errors.iter().map(|it| {
        let text = format!("{}: {}", clean(&it.what, MAX_WHY), clean(&it.why, MAX_WHY));
        notification("error", &text, it.place.as_ref())
    });
    let skipped = results.skipped.iter().map(|it| {
        let what = clean(&it.what, MAX_WHY);
        let text = format!("{} skipped: {what}: {}", it.count, clean(&it.why, MAX_WHY));
        notification("note", &text, it.place.as_ref())
    });
    let mut invocation = json!({
        "executionSuccessful": results.run.complete,
        "toolExecutionNotifications": errors.chain(skipped).collect::<Vec<_>>(),
    });
    if let Some(started) = &results.run.started {
        invocation["startTimeUtc"] = json!(started);
    }
    invocation
}

fn notification(level: &str, text: &str, place: Option<&Place>) -> Value {
    let mut it = json!({"level": level, "message": message(text)});
    if let Some(place) = place {
        it["locations"] = json!([{"physicalLocation": physical(place)}]);
    }
    it
}

fn result(
    results: &Results,
    object: &Object,
    finding: &Finding,
    repeats: &mut BTreeMap<String, u64>,
) -> Value {
    let level = match finding.fate() {
        Fate::Rejected | Fate::PodsRejected => "error",
        Fate::Warned => "warning",
        Fate::Recorded | Fate::Clean => "note",
    };
    let item = Item {
        members: vec![finding],
    };
    let fix = finding
        .fix
        .as_deref()
        .map_or(String::new(), |it| format!("\nfix: {}", clean(it, MAX_WHY)));
    let text = format!(
        "{}{}\n{}{fix}",
        object.title(),
        item.verdict(),
        item.statement()
    );
    let mut location = json!({"logicalLocations": [{
        "name": clean(&object.name, 253),
        "fullyQualifiedName": format!(
            "{} {}",
            title(&object.kind, &object.namespace, &object.name),
            item.path()
        ),
        "kind": "resource",
    }]});
    if let Some(place) = finding.place.as_ref().or(object.place.as_ref()) {
        location["physicalLocation"] = physical(place);
    }
    let mut it = json!({
        "ruleId": finding.control,
        "level": level,
        "message": message(&text),
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: identity(object, finding, repeats)},
        "properties": properties(finding),
    });
    if let Some(index) = NAMES.iter().position(|name| *name == finding.control) {
        it["ruleIndex"] = json!(index);
    }
    if results.run.since.is_some() {
        it["baselineState"] = json!(if finding.new { "new" } else { "unchanged" });
    }
    it
}

/// What of a finding its message does not say by itself, for whoever filters.
fn properties(finding: &Finding) -> Value {
    let mut it = Map::new();
    let mut put = |key: &str, value: Value| {
        it.insert(key.to_owned(), value);
    };
    put("mode", json!(finding.mode.to_string()));
    put("podMode", json!(finding.pod_mode.to_string()));
    let names = |names: &[String]| json!(names.iter().map(|it| clean(it, 253)).collect::<Vec<_>>());
    put("policies", names(&finding.policies));
    put("podPolicies", names(&finding.pod_policies));
    if let Some(container) = &finding.container {
        put("container", json!(clean(&container.name, MAX_VALUE)));
    }
    if let Some(volume) = &finding.volume {
        put("volume", json!(clean(volume, MAX_VALUE)));
    }
    if let Some(level) = &finding.level {
        put("podSecurityLevel", json!(level));
    }
    if finding.pods > 0 {
        put("pods", json!(finding.pods));
    }
    Value::Object(it)
}

/// The same for a finding that has only moved: nothing in it counts lines or positions.
fn identity(object: &Object, finding: &Finding, repeats: &mut BTreeMap<String, u64>) -> String {
    let (list, container) = match &finding.container {
        None => ("", ""),
        Some(it) => (it.list.as_str(), it.name.as_str()),
    };
    let place = finding.place.as_ref().or(object.place.as_ref());
    let hash = fingerprint([
        place.map_or("", |it| &it.file),
        &object.kind,
        &object.namespace,
        &object.name,
        &finding.control,
        list,
        container,
        finding.volume.as_deref().unwrap_or_default(),
        &finding.field,
    ]);
    let count = repeats.entry(hash.clone()).or_default();
    *count += 1;
    format!("{hash}:{count}")
}

/// A text in which nothing is a link: `[text](target)` would be one. Braces mean something only beside `arguments`, which
/// are never given.
fn message(text: &str) -> Value {
    json!({"text": text.replace("](", "\\](")})
}

fn physical(place: &Place) -> Value {
    let mut it = json!({"artifactLocation": {"uri": uri::of_file(&place.file)}});
    // No region means the whole file.
    if place.line > 0 {
        let (line, column) = (place.line, place.column.max(1));
        let end = (place.end_line, place.end_column).max((line, column));
        it["region"] = json!({
            "startLine": line,
            "startColumn": column,
            "endLine": end.0,
            "endColumn": end.1.max(1),
        });
    }
    it
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
