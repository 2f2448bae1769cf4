//! Reviews of namespaces: whether their Pod Security labels can be read, as Pod Security Admission asks of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::response::{Answer, deny, deny_with};
use crate::decision::Operation;
use crate::output::text::clean;
use crate::pod::json;
use crate::pod::text::null_default;
use crate::policy::PodSecurity;
use crate::policy::source::pod_security::LabelError;

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Namespace {
    #[serde(default, deserialize_with = "null_default")]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(expecting = "an object")]
struct Metadata {
    #[serde(default, deserialize_with = "null_default")]
    labels: BTreeMap<String, String>,
}

/// The answer about a namespace. One whose labels cannot be read is not admitted, unless it was so before.
pub(super) fn answer(
    uid: &str,
    name: &str,
    operation: Operation,
    source: &PodSecurity,
    object: Option<&RawValue>,
    old: Option<&RawValue>,
) -> Answer {
    if operation == Operation::Other {
        return Answer::allowed(uid);
    }
    let errors = |what: &str, raw: Option<&RawValue>| {
        let unreadable = |why: &str| {
            let why = format!(
                "podgate cannot judge this Namespace, so it is not admitted: {what} {}",
                clean(why, 1000)
            );
            deny(uid, 400, "BadRequest", &why)
        };
        let raw = raw.ok_or_else(|| unreadable("is missing"))?;
        let namespace: Namespace = json::from_str(raw.get())
            .map_err(|error| unreadable(&format!("cannot be read: {error}")))?;
        Ok(source.modes(&namespace.metadata.labels).1)
    };
    let new = match errors("request.object", object) {
        Ok(errors) if errors.is_empty() => return Answer::allowed(uid),
        Ok(errors) => errors,
        Err(answer) => return answer,
    };
    if operation == Operation::Update {
        match errors("request.oldObject", old) {
            Ok(before) if before == new => return Answer::allowed(uid),
            Ok(_) => {}
            Err(answer) => return answer,
        }
    }
    invalid(uid, name, &new)
}

/// As the API server refuses an object with invalid fields.
fn invalid(uid: &str, name: &str, errors: &[LabelError]) -> Answer {
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let told = match &told[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let message = format!("Namespace \"{name}\" is invalid: {told}");
    let cause = |it: &LabelError| json!({"reason": "FieldValueInvalid", "message": it.body(), "field": it.field()});
    let causes: Vec<_> = errors.iter().map(cause).collect();
    let details = json!({"name": name, "kind": "Namespace", "causes": causes});
    deny_with(uid, 422, "Invalid", &message, Some(details))
}
