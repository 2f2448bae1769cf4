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
}
