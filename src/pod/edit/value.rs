//! The value that a change writes: as JSON, and as YAML that fits into a line.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::Change;
use crate::pod::Text;
use crate::pod::view::{Profile, SeLinuxOptions};

// === impl Change ===

impl Change<'_> {
    /// The value as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        // Every key is a string, so it cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Writes the value as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        // As above; and there is no end to what a vector takes.
        let _ = serde_json::to_writer(out, self);
    }
}

impl Serialize for Change<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Privileged(it)
            | Self::AllowPrivilegeEscalation(it)
            | Self::ReadOnlyRootFilesystem(it)
            | Self::RunAsNonRoot(it)
            | Self::HostProcess(it)
            | Self::HostNetwork(it)
            | Self::HostPid(it)
            | Self::HostIpc(it)
            | Self::HostUsers(it)
            | Self::AutomountServiceAccountToken(it) => serializer.serialize_bool(*it),
            Self::RunAsUser(it) | Self::RunAsGroup(it) | Self::FsGroup(it) => {
                serializer.serialize_i64(*it)
            }
            Self::SupplementalGroups(it) => it.serialize(serializer),
            Self::ProcMount(it) => serializer.serialize_str(it),
            Self::RuntimeClass(it) => it.serialize(serializer),
            Self::Capabilities { add, drop } => capabilities(add.as_deref(), drop, serializer),
            Self::Seccomp(it) | Self::AppArmor(it) => profile(it, serializer),
            Self::SeLinux(it) => se_linux(it, serializer),
        }
    }
}

fn capabilities<S: Serializer>(
    add: Option<&[Text<'_>]>,
    drop: &[Text<'_>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(add) = add {
        map.serialize_entry("add", add)?;
    }
    if !drop.is_empty() {
        map.serialize_entry("drop", drop)?;
    }
    map.end()
}

fn profile<S: Serializer>(it: &Profile<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    texts(
        [
            ("type", Some(&it.kind)),
            ("localhostProfile", it.localhost_profile.as_ref()),
        ],
        serializer,
    )
}

fn se_linux<S: Serializer>(it: &SeLinuxOptions<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    texts(
        [
            ("user", it.user.as_ref()),
            ("role", it.role.as_ref()),
            ("type", it.kind.as_ref()),
            ("level", it.level.as_ref()),
        ],
        serializer,
    )
}

fn texts<S: Serializer, const N: usize>(
    fields: [(&str, Option<&Text<'_>>); N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (key, value) in fields {
        if let Some(value) = value {
            map.serialize_entry(key, value)?;
        }
    }
    map.end()
}

/// JSON as one line of YAML flow style: `{type: RuntimeDefault}`, `[ALL]`.
#[must_use]
pub fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let items: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(flow).collect::<Vec<_>>().join(", ")
        ),
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// True if YAML reads the text as this very string without quotes.
fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(word)
        && !reserved.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flow_style_quotes_what_yaml_would_read_otherwise() {
        let value =
            json!({"type": "Localhost", "path": "a/b.json", "list": ["ALL", 1, true], "none": {}});
        let text = flow(&value);
        let read = crate::document::parse(&text).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&read[0].to_json()).unwrap(),
            value
        );
        assert_eq!(
            flow(&json!({"type": "RuntimeDefault"})),
            "{type: RuntimeDefault}"
        );
        assert_eq!(
            flow(&json!(["ALL", "yes", "Null", "s0:c1", "1", "", "*"])),
            r#"[ALL, "yes", "Null", "s0:c1", "1", "", "*"]"#
        );
    }
}
