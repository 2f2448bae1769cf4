//! The response half of a review.

mod pod_security;

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::count::Count;
use crate::decision::{Decision, Injected, Judged};
use crate::output::{self, rejection, warning};
use crate::pod::edit::{self, Change, Operation};
use crate::pod::json::write_string;
use crate::pod::{Kind, PodView};
use crate::policy::Mode;

/// A finished answer.
#[derive(Debug)]
pub struct Answer {
    /// The bytes to send, as JSON.
    pub body: Vec<u8>,
    /// What they say, for metrics.
    pub outcome: Outcome,
    /// What the metrics of Pod Security Admission count.
    pub counts: Vec<Count>,
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

/// The response, before it is written.
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    status: Option<Status<'a>>,
    patch: Vec<Operation<'a>>,
    warnings: Vec<String>,
    audit_annotations: Vec<(&'static str, String)>,
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

    /// Allowed, with something to say.
    pub(super) fn warned(uid: &str, warnings: Vec<String>) -> Self {
        let mut it = response(uid, true);
        it.warnings = warnings;
        Self::write(Outcome::Allowed, it)
    }

    pub(super) fn counting(mut self, counts: Vec<Count>) -> Self {
        self.counts = counts;
        self
    }

    /// The answer of the mutating half: what is injected, where, and by which policy.
    #[must_use]
    pub fn patched(uid: &str, before: &PodView<'_>, decision: &Decision<'_>) -> Self {
        if decision.injected.is_empty() {
            return Self::allowed(uid);
        }
        let mut it = response(uid, true);
        it.patch = edit::patch(before, decision.injected.iter().map(|it| &it.edit));
        note_injected(&mut it, &decision.injected);
        Self::write(Outcome::Patched, it)
    }

    /// The answer of the validating half. `name` is the request's, which may be empty.
    #[must_use]
    pub fn decided(
        uid: &str,
        name: &str,
        object: &output::Object<'_>,
        decision: &Decision<'_>,
        is_controller: bool,
    ) -> Self {
        if decision.findings.is_empty() && decision.pod_security.is_none() {
            return Self::allowed(uid);
        }
        let allowed = decision.allowed();
        let mut it = response(uid, allowed);
        if let Some(by_labels) = &decision.pod_security {
            pod_security::note(&mut it, by_labels);
        }
        if !decision.findings.is_empty() {
            it.warnings.extend(warning::warnings(object, decision));
            note_findings(&mut it, object.kind, &decision.findings);
        }
        if allowed {
            return Self::write(Outcome::Allowed, it);
        }
        let by_labels = decision.pod_security.as_ref();
        // Upstream's own line comes first: scripts look for it there.
        let mut lines: Vec<String> = by_labels
            .and_then(|it| pod_security::rejection(object.kind, name, it))
            .into_iter()
            .collect();
        if let Some(explained) = by_labels.map(|it| &it.explained)
            && !is_controller
            && let Some(first) = lines.first_mut()
        {
            first.push_str(&rejection::items(object.kind, explained.iter(), false));
        }
        if decision.findings.iter().any(Judged::rejects) {
            lines.push(if is_controller {
                rejection::compact(object, decision)
            } else {
                rejection::message(object, decision)
            });
        }
        let message = lines.join("\n");
        let mut causes: Vec<_> = by_labels
            .map(|it| pod_security::causes(object.kind, it))
            .unwrap_or_default()
            .into_iter()
            .chain(rejection::causes(object.kind, decision))
            .map(|(field, message)| json!({"reason": "FieldValueForbidden", "field": field, "message": message}))
            .collect();
        if causes.len() > MAX_CAUSES {
            let more = causes.len() - (MAX_CAUSES - 1);
            causes.truncate(MAX_CAUSES - 1);
            causes.push(json!({"reason": "FieldValueForbidden", "message": format!("and {more} more findings")}));
        }
        // As the API server's own errors name it.
        let details = if by_labels.is_some_and(|it| it.rejected().is_some()) {
            json!({"name": name, "kind": object.kind.resource(), "causes": causes})
        } else {
            json!({"name": object.name, "kind": object.kind.name(), "causes": causes})
        };
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
        Self {
            body: response.into_json(),
            outcome,
            counts: Vec::new(),
        }
    }
}

// === impl Response ===

impl Response<'_> {
    /// As an `AdmissionReview`. Put together by hand, since most of it is text that is known to need no escapes.
    fn into_json(self) -> Vec<u8> {
        let Self {
            uid,
            allowed,
            status,
            patch,
            warnings,
            audit_annotations,
        } = self;
        let noted: usize = audit_annotations.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(256 + 2 * noted + 200 * patch.len());
        out.extend_from_slice(
            br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"#,
        );
        write_string(&mut out, uid);
        out.extend_from_slice(b",\"allowed\":");
        write_json(&mut out, &allowed);
        if let Some(status) = status {
            out.extend_from_slice(b",\"status\":");
            write_json(&mut out, &status);
        }
        if !patch.is_empty() {
            out.extend_from_slice(br#","patchType":"JSONPatch","patch":""#);
            write_base64(&mut out, &edit::to_json(&patch));
            out.push(b'"');
        }
        if !warnings.is_empty() {
            out.extend_from_slice(b",\"warnings\":");
            write_json(&mut out, &warnings);
        }
        let mut separator: &[u8] = b",\"auditAnnotations\":{";
        for (key, text) in &audit_annotations {
            out.extend_from_slice(separator);
            write_string(&mut out, key);
            out.push(b':');
            write_string(&mut out, text);
            separator = b",";
        }
        if !audit_annotations.is_empty() {
            out.push(b'}');
        }
        out.extend_from_slice(b"}}");
        out
    }
}

/// Nothing that is written here can fail to be written: every key is a string.
fn write_json(out: &mut Vec<u8>, it: &impl Serialize) {
    let _ = serde_json::to_writer(out, it);
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    // The room is exactly what the encoding takes.
    let _ = STANDARD.encode_slice(bytes, &mut out[start..]);
}

/// Not admitted, for a reason that is no finding.
#[must_use]
pub fn deny(uid: &str, code: u16, reason: &str, message: &str) -> Answer {
    deny_with(uid, code, reason, message, None)
}

/// As the API server's own plugin says that it cannot look up a namespace.
pub(super) fn unlooked(uid: &str, namespace: &str, why: &str) -> Answer {
    let cause = format!("failed to lookup namespace \"{namespace}\"");
    let message = format!("Internal error occurred: {cause}");
    let mut it = response(uid, false);
    it.audit_annotations
        .push(("error", format!("{message}: {why}")));
    it.status = Some(Status {
        status: "Failure",
        code: 500,
        reason: "InternalError",
        message: &message,
        details: Some(json!({"causes": [{"message": cause}]})),
    });
    Answer::write(Outcome::Error, it)
}

/// The same, with the details of a Kubernetes Status.
pub(super) fn deny_with(
    uid: &str,
    code: u16,
    reason: &str,
    message: &str,
    details: Option<serde_json::Value>,
) -> Answer {
    let mut it = response(uid, false);
    it.status = Some(Status {
        status: "Failure",
        code,
        reason,
        message,
        details,
    });
    Answer::write(Outcome::Error, it)
}

fn response(uid: &str, allowed: bool) -> Response<'_> {
    Response {
        uid,
        allowed,
        status: None,
        patch: Vec::new(),
        warnings: Vec::new(),
        audit_annotations: Vec::new(),
    }
}

/// The audit annotation `injected`: by policy, each path and the value that was written there.
fn note_injected(response: &mut Response<'_>, injected: &[Injected<'_>]) {
    let mut by_policy: Vec<&Injected<'_>> = injected.iter().collect();
    by_policy.sort_by_key(|it| it.policy);
    let mut text = Vec::with_capacity(128 * injected.len());
    let mut policy = None;
    let mut omitted = 0;
    for (index, it) in by_policy.iter().enumerate() {
        let before = text.len();
        // A policy's added and dropped capabilities are two steps; the second holds the outcome of both.
        let is_later =
            |later: &&Injected<'_>| later.policy == it.policy && later.edit.is_same_field(&it.edit);
        if matches!(it.edit.change, Change::Capabilities { .. })
            && by_policy[index + 1..].iter().any(is_later)
        {
            continue;
        }
        if policy == Some(it.policy) {
            text.push(b',');
        } else {
            text.extend_from_slice(if policy.is_none() { b"{" } else { b"}," });
            write_string(&mut text, it.policy);
            text.extend_from_slice(b":{");
        }
        text.push(b'"');
        it.edit.write_path(&mut text);
        text.extend_from_slice(b"\":");
        it.edit.change.write(&mut text);
        if text.len() > MAX_ANNOTATION {
            text.truncate(before);
            omitted = by_policy.len() - index;
            break;
        }
        policy = Some(it.policy);
    }
    text.extend_from_slice(if policy.is_none() { b"{}" } else { b"}}" });
    annotate(response, ["injected", "injected-omitted"], text, omitted);
}

/// The audit annotation `findings`: a list.
fn note_findings(response: &mut Response<'_>, kind: Kind, findings: &[Judged<'_>]) {
    let mut text = vec![b'['];
    let mut omitted = 0;
    for (index, judged) in findings.iter().enumerate() {
        let before = text.len();
        if index > 0 {
            text.push(b',');
        }
        let finding = &judged.finding;
        let note = FindingNote {
            control: finding.control,
            current: output::text::clean(&finding.current, output::text::MAX_VALUE),
            existed: judged.existed,
            mode: judged.mode,
            path: kind.path(&finding.path()),
            policies: judged.policies.iter().map(|policy| &*policy.name).collect(),
        };
        write_json(&mut text, &note);
        if text.len() > MAX_ANNOTATION {
            text.truncate(before);
            omitted = findings.len() - index;
            break;
        }
    }
    text.push(b']');
    annotate(response, ["findings", "findings-omitted"], text, omitted);
}

/// One audit annotation; how many items did not fit into it stands in a second one.
fn annotate(response: &mut Response<'_>, keys: [&'static str; 2], text: Vec<u8>, omitted: usize) {
    let [key, key_of_omitted] = keys;
    // It was cut at whole items, so it is text.
    let text = String::from_utf8(text).unwrap_or_default();
    response.audit_annotations.push((key, text));
    if omitted > 0 {
        let omitted = omitted.to_string();
        response.audit_annotations.push((key_of_omitted, omitted));
    }
}

fn as_text<S: Serializer>(it: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}
