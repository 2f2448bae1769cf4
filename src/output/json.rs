//! Results as JSON: the model as it is, and read back, so that a run can be compared with a later one.

use std::io::{self, Write};

use super::results::{API_VERSION, KIND, Results};

/// Why a text is no results.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No JSON, or of another shape.
    #[error("these are no results of podgate: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another kind of object, or results in a shape of another time.
    #[error("expected {API_VERSION} {KIND}, found {0} {1}")]
    Kind(String, String),
}

/// What every version of the results has.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    api_version: String,
    kind: String,
}

/// Writes them, indented, with a line break at the end.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, results)?;
    out.write_all(b"\n")
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// If it is something else.
pub fn read(text: &str) -> Result<Results, ReadError> {
    let Type { api_version, kind } = serde_json::from_str(text)?;
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(ReadError::Kind(api_version, kind));
    }
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::results::testing::{cluster, hostile, manifests};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for results in [manifests(), cluster(), hostile()] {
            let mut out = Vec::new();
            write(&results, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.ends_with("}\n") && !text.contains('\u{1b}'));
            assert_eq!(read(&text).unwrap(), results);
        }
    }

    #[test]
    fn something_else_is_refused() {
        for (text, expected) in [
            ("[]", "these are no results of podgate: "),
            (
                "{\"kind\": \"Results\"}",
                "these are no results of podgate: missing field `apiVersion`",
            ),
            (
                "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}",
                "expected podgate.dev/v1alpha1 Results, found v1 List",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// The names of all fields, but for those inside a value that would be written, and for counts by name.
    fn collect(value: &Value, fields: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    fields.insert(name.clone());
                    if !["value", "scanned", "labels"].contains(&name.as_str()) {
                        collect(value, fields);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|it| collect(it, fields)),
            _ => {}
        }
    }

    /// The parts of paths in code, in a text that begins inside of code.
    fn names(text: &str) -> impl Iterator<Item = &str> {
        let code = text.split('`').step_by(2);
        code.flat_map(|it| it.split('.').map(|it| it.trim_end_matches("[]")))
    }

    #[test]
    fn the_table_in_the_reference_has_every_field_and_no_other() {
        let mut full = cluster();
        full.summary.scanned.insert("pods".to_owned(), 7);
        full.run.seconds = Some(1.5);
        full.run.selection = vec!["all namespaces".to_owned()];
        full.run.as_enforce = true;
        let mut fields = BTreeSet::new();
        for results in [manifests(), full, hostile()] {
            collect(&serde_json::to_value(&results).unwrap(), &mut fields);
        }

        let reference = include_str!("../../policies/README.md");
        let (_, section) = reference.split_once("### Fields of the JSON\n").unwrap();
        let rows = section.lines().filter_map(|it| it.strip_prefix("| `"));
        let mut said = BTreeSet::new();
        for row in rows {
            let (first, second) = row.split_once(" | ").unwrap();
            let unknown = names(first).find(|it| !fields.contains(*it));
            assert_eq!(unknown, None, "{row}");
            said.extend(names(first));
            // Behind the first backtick of the second column stands code again.
            said.extend(
                second
                    .split_once('`')
                    .into_iter()
                    .flat_map(|it| names(it.1)),
            );
        }
        let missing = fields.iter().find(|it| !said.contains(it.as_str()));
        assert_eq!(missing, None);
    }
}
