//! The response half of a review.

use std::collections::BTreeMap;
use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::decision::Decision;
use crate::output::{self, rejection, warning};
use crate::pod::{PodView, edit};
use crate::policy::Mode;

/// A finished answer.
#[derive(Debug)]
pub struct Answer {
    /// The bytes to send, as JSON.
    pub body: Vec<u8>,
    /// What they say, for metrics.
    pub outcome: Outcome,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing stands against it.
    Allowed,
    /// Findings reject it.
    Denied,
    /// Allowed, with values written.
    Patched,
    /// Not admitted because it could not be judged.
    Error,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<String, String>,
}

/// One item of the audit annotation `injected`.
#[derive(Serialize)]
struct InjectedNote<'a> {
    path: String,
    policy: &'a str,
    value: serde_json::Value,
}

/// One item of the audit annotation `findings`.
#[derive(Serialize)]
struct FindingNote<'a> {
    control: &'a str,
    current: String,
    existed: bool,
    #[serde(serialize_with = "as_text")]
    mode: Mode,
    path: String,
    policies: Vec<&'a str>,
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are Kubernetes'")]
struct Status<'a> {
    status: &'static str,
    code: u16,
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
}

/// Causes in one answer; a Pod with more findings has its last cause count the rest.
const MAX_CAUSES: usize = 500;
/// Bytes of one audit annotation.
const MAX_ANNOTATION: usize = 16 * 1024;

// === impl Answer ===

impl Answer {
    /// Allowed, with nothing to say.
    #[must_use]
    pub fn allowed(uid: &str) -> Self {
        Self::write(Outcome::Allowed, response(uid, true))
    }

    /// The answer of the mutating half: what is injected, where, and by which policy.
    #[must_use]
    pub fn patched(uid: &str, before: &PodView<'_>, decision: &Decision<'_>) -> Self {
        if decision.injected.is_empty() {
            return Self::allowed(uid);
        }
        let edits: Vec<_> = decision.injected.iter().map(|it| it.edit.clone()).collect();
        let operations = edit::patch(before, &edits);
        let mut it = response(uid, true);
        it.patch_type = Some("JSONPatch");
        it.patch = serde_json::to_vec(&operations)
            .ok()
            .map(|json| STANDARD.encode(json));
        let injected = decision.injected.iter().map(|it| InjectedNote {
            path: it.edit.path(),
            policy: it.policy,
            value: it.edit.change.value(),
        });
        annotate(&mut it, "injected", injected);
        Self::write(Outcome::Patched, it)
    }

    /// The answer of the validating half.
    #[must_use]
    pub fn decided(
        uid: &str,
        object: &output::Object<'_>,
        decision: &Decision<'_>,
        is_controller: bool,
    ) -> Self {
        if decision.findings.is_empty() {
            return Self::allowed(uid);
        }
        let allowed = decision.allowed();
        let mut it = response(uid, allowed);
        it.warnings = warning::warnings(object, decision);
        let findings = decision.findings.iter().map(|judged| {
            let finding = &judged.finding;
            FindingNote {
                control: finding.control,
                current: output::text::clean(&finding.current, output::text::MAX_VALUE),
                existed: judged.existed,
                mode: judged.mode,
                path: object.kind.path(&finding.path()),
                policies: judged.policies.iter().map(|policy| &*policy.name).collect(),
            }
        });
        annotate(&mut it, "findings", findings);
        if allowed {
            return Self::write(Outcome::Allowed, it);
        }
        let message = if is_controller {
            rejection::compact(object, decision)
        } else {
            rejection::message(object, decision)
        };
        let mut causes: Vec<_> = rejection::causes(object.kind, decision)
            .map(|(field, message)| json!({"reason": "FieldValueForbidden", "field": field, "message": message}))
            .collect();
        if causes.len() > MAX_CAUSES {
            let more = causes.len() - (MAX_CAUSES - 1);
            causes.truncate(MAX_CAUSES - 1);
            causes.push(json!({"reason": "FieldValueForbidden", "message": format!("and {more} more findings")}));
        }
        let details = json!({"name": object.name, "kind": object.kind.name(), "causes": causes});
        it.status = Some(Status {
            status: "Failure",
            code: 403,
            reason: "Forbidden",
            message: &message,
            details: Some(details),
        });
        Self::write(Outcome::Denied, it)
    }

    fn write(outcome: Outcome, response: Response<'_>) -> Self {
        let review = Review {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response,
        };
        // Nothing in it can fail to be written: every key is a string.
        Self {
            body: serde_json::to_vec(&review).unwrap_or_default(),
            outcome,
        }
    }
}

/// Not admitted, for a reason that is no finding.
#[must_use]
pub fn deny(uid: &str, code: u16, reason: &str, message: &str) -> Answer {
    let mut it = response(uid, false);
    it.status = Some(Status {
        status: "Failure",
        code,
        reason,
        message,
        details: None,
    });
    Answer::write(Outcome::Error, it)
}

fn response(uid: &str, allowed: bool) -> Response<'_> {
    Response {
        uid,
        allowed,
        status: None,
        patch_type: None,
        patch: None,
        warnings: Vec::new(),
        audit_annotations: BTreeMap::new(),
    }
}

/// A list as one audit annotation in JSON; what does not fit is counted in `<key>-omitted`.
fn annotate<T: Serialize>(response: &mut Response<'_>, key: &str, items: impl Iterator<Item = T>) {
    let mut list = vec![b'['];
    let mut omitted = 0;
    for item in items {
        let before = list.len();
        if before > 1 {
            list.push(b',');
        }
        // Nothing in it can fail to be written: every key is a string.
        if omitted > 0
            || serde_json::to_writer(&mut list, &item).is_err()
            || list.len() > MAX_ANNOTATION
        {
            list.truncate(before);
            omitted += 1;
        }
    }
    list.push(b']');
    let text = String::from_utf8(list).unwrap_or_default();
    response.audit_annotations.insert(key.to_owned(), text);
    if omitted > 0 {
        response
            .audit_annotations
            .insert(format!("{key}-omitted"), omitted.to_string());
    }
}

fn as_text<S: Serializer>(it: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}
