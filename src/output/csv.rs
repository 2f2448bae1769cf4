//! Results as CSV, for a spreadsheet: a row for each object, each finding, each that was skipped and each error.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::results::{Failure, Finding, Object, Place, Results, Skipped};
use super::text::clean;

/// The first line. New columns come at the end.
pub const COLUMNS: [&str; 29] = [
    "record",
    "result",
    "namespace",
    "kind",
    "name",
    "apiVersion",
    "control",
    "level",
    "containerList",
    "container",
    "volume",
    "field",
    "path",
    "inPod",
    "current",
    "source",
    "required",
    "fix",
    "mode",
    "policies",
    "podMode",
    "podPolicies",
    "pods",
    "new",
    "file",
    "line",
    "column",
    "count",
    "message",
];

/// Spreadsheets take 32,767 characters in a cell.
const MAX_CELL: usize = 32_000;

/// The cells of a row, by column; the others are empty.
struct Row(BTreeMap<&'static str, String>);

/// Writes them, with a line break at the end of each row.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS).map_err(unwrapped)?;
    let objects = results.objects.iter().flat_map(|object| {
        let findings = object.findings.iter().map(|it| Row::finding(object, it));
        std::iter::once(Row::object(object)).chain(findings)
    });
    let skipped = results.skipped.iter().map(Row::skipped);
    let errors = results.errors.iter().map(Row::error);
    for row in objects.chain(skipped).chain(errors) {
        let cells = COLUMNS.map(|it| row.cell(it));
        writer.write_record(cells).map_err(unwrapped)?;
    }
    writer.flush()
}

/// What the writer below has said, so that a closed pipe is known as one.
fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

// === impl Row ===

impl Row {
    fn new(record: &str) -> Self {
        Self(BTreeMap::from([("record", record.to_owned())]))
    }

    fn with(mut self, column: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(column, value.into());
        self
    }

    fn at(self, place: Option<&Place>) -> Self {
        let Some(place) = place else { return self };
        let it = self.with("file", &place.file);
        if place.line == 0 {
            return it;
        }
        it.with("line", place.line.to_string())
            .with("column", place.column.to_string())
    }

    fn of(record: &str, object: &Object) -> Self {
        Self::new(record)
            .with("namespace", &object.namespace)
            .with("kind", &object.kind)
            .with("name", &object.name)
            .with("apiVersion", &object.api_version)
    }

    fn object(it: &Object) -> Self {
        Self::of("object", it)
            .with("result", it.fate.name())
            .with("pods", it.pods.to_string())
            .with("message", it.fate.would())
            .at(it.place.as_ref())
    }

    fn finding(object: &Object, it: &Finding) -> Self {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let container = it.container.as_ref();
        Self::of("finding", object)
            .with("result", it.fate().name())
            .with("control", &it.control)
            .with("level", text(&it.level))
            .with("containerList", container.map_or("", |it| &it.list))
            .with("container", container.map_or("", |it| &it.name))
            .with("volume", text(&it.volume))
            .with("field", &it.field)
            .with("path", &it.path)
            .with("inPod", text(&it.in_pod))
            .with("current", &it.current)
            .with("source", text(&it.source))
            .with("required", &it.required)
            .with("fix", text(&it.fix))
            .with("mode", it.mode.to_string())
            .with("policies", it.policies.join(" "))
            .with("podMode", it.pod_mode.to_string())
            .with("podPolicies", it.pod_policies.join(" "))
            .with("pods", it.pods.to_string())
            .with("new", it.new.to_string())
            .at(it.place.as_ref())
    }

    fn skipped(it: &Skipped) -> Self {
        Self::new("skipped")
            .with("name", &it.what)
            .with("count", it.count.to_string())
            .with("message", &it.why)
            .at(it.place.as_ref())
    }

    fn error(it: &Failure) -> Self {
        Self::new("error")
            .with("name", &it.what)
            .with("message", &it.why)
            .at(it.place.as_ref())
    }

    fn cell(&self, column: &str) -> String {
        self.0
            .get(column)
            .map_or(String::new(), |it| defused(&clean(it, MAX_CELL)))
    }
}

/// A text that no spreadsheet calculates with.
fn defused(text: &str) -> String {
    let is_formula = |c: char| "=+-@＝＋－＠".contains(c);
    if text.trim_start().starts_with(is_formula) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::results::testing::{cluster, hostile, manifests, nothing};
    use super::*;

    fn written(results: &Results) -> String {
        let mut out = Vec::new();
        write(results, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The rows, each as its cells by column.
    fn rows(results: &Results) -> Vec<BTreeMap<String, String>> {
        let text = written(results);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
        let rows = reader.deserialize();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn every_object_finding_skip_and_error_is_a_row() {
        let told: Vec<String> = rows(&manifests())
            .iter()
            .map(|it| {
                let cell = |name: &str| it[name].as_str();
                let [record, result, name] = ["record", "result", "name"].map(cell);
                format!("{record} {result} {name} {}", cell("line"))
            })
            .collect();
        let expected = [
            "object rejected web 1",
            "finding rejected web 5",
            "finding rejected web 6",
            "finding rejected web 7",
            "object podsRejected api 20",
            "finding podsRejected api 24",
            "object warned app 1",
            "finding warned app 5",
            "object recorded top 30",
            "finding recorded top 34",
            "object clean good 60",
            "skipped  ConfigMap shop/settings 90",
            "error  missing.yaml ",
            "error  bad.yaml 7",
        ];
        assert_eq!(told, expected);
        let finding = &rows(&manifests())[2];
        for (column, expected) in [
            ("control", "privileged"),
            ("container", "log"),
            ("path", "spec.containers[1].securityContext.privileged"),
            ("policies", "baseline"),
            ("file", "deploy/a b.yaml"),
            ("fix", "securityContext: {privileged: false}"),
        ] {
            assert_eq!(finding[column], expected);
        }
    }

    #[test]
    fn each_row_fills_only_columns_that_there_are() {
        let results = cluster();
        for object in &results.objects {
            for finding in &object.findings {
                for row in [Row::object(object), Row::finding(object, finding)] {
                    assert!(row.0.keys().all(|it| COLUMNS.contains(it)));
                }
            }
        }
        let skipped = results.skipped.iter().map(Row::skipped);
        for row in skipped.chain(results.errors.iter().map(Row::error)) {
            assert!(row.0.keys().all(|it| COLUMNS.contains(it)));
        }
        assert_eq!(
            written(&nothing("check")),
            format!("{}\n", COLUMNS.join(","))
        );
    }

    #[test]
    fn no_cell_is_a_formula_or_more_than_a_line() {
        let results = hostile();
        let rows = rows(&results);
        assert_eq!(rows.len(), written(&results).lines().count() - 1);
        for cell in rows.iter().flat_map(BTreeMap::values) {
            assert!(
                !cell.trim_start().starts_with(['=', '+', '-', '@']),
                "{cell}"
            );
            assert!(!cell.contains(char::is_control), "{cell}");
        }
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("  @x", "'  @x"),
            ("＝1", "'＝1"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(defused(text), expected);
        }
    }
}
