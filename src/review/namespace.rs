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
use crate::policy::source::pod_security::{LabelError, LevelVersion, Modes, aggregate};

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

/// A review of a namespace, its objects still raw.
pub(super) struct Review<'r> {
    pub(super) uid: &'r str,
    pub(super) name: &'r str,
    /// The namespace it is in, which is itself.
    pub(super) namespace: &'r str,
    pub(super) operation: Operation,
    pub(super) object: Option<&'r RawValue>,
    pub(super) old: Option<&'r RawValue>,
}

/// What is to be said of a namespace.
pub(super) enum Verdict {
    /// This.
    Answer(Answer),
    /// It is admitted, and how its Pods stand to the level that is enforced from now on is to be told.
    Raised(LevelVersion),
}

/// What the labels of a namespace say.
struct Said {
    labels: BTreeMap<String, String>,
    modes: Modes,
    errors: Vec<LabelError>,
}

// === impl Review ===

impl Review<'_> {
    /// What is to be said. A namespace whose labels cannot be read is not admitted, unless it was so before.
    pub(super) fn verdict(&self, source: &PodSecurity) -> Verdict {
        self.decided(source).unwrap_or_else(Verdict::Answer)
    }

    fn decided(&self, source: &PodSecurity) -> Result<Verdict, Answer> {
        let allowed = || Verdict::Answer(Answer::allowed(self.uid));
        if self.operation == Operation::Other {
            return Ok(allowed());
        }
        let new = self.said(source, "request.object", self.object)?;
        if self.operation == Operation::Create {
            if !new.errors.is_empty() {
                return Err(invalid(self.uid, self.name, &new.errors));
            }
        } else {
            let old = self.said(source, "request.oldObject", self.old)?;
            if !new.errors.is_empty() && new.errors != old.errors {
                return Err(invalid(self.uid, self.name, &new.errors));
            }
            let (before, after) = (old.modes.enforce, new.modes.enforce);
            let is_no_stricter = before.version == after.version && after.level <= before.level;
            if before == after || after.level.is_none() || is_no_stricter {
                return Ok(allowed());
            }
        }
        if !source.exemptions().has_namespace(self.namespace) {
            let is_update = self.operation == Operation::Update;
            return Ok(if is_update {
                Verdict::Raised(new.modes.enforce)
            } else {
                allowed()
            });
        }
        let warning = self.ignored(source, &new);
        Ok(warning.map_or_else(allowed, |it| {
            Verdict::Answer(Answer::warned(self.uid, vec![it]))
        }))
    }

    fn said(
        &self,
        source: &PodSecurity,
        what: &str,
        raw: Option<&RawValue>,
    ) -> Result<Said, Answer> {
        let unreadable = |why: &str| {
            let why = format!(
                "podgate cannot judge this Namespace, so it is not admitted: {what} {}",
                clean(why, 1000)
            );
            deny(self.uid, 400, "BadRequest", &why)
        };
        let raw = raw.ok_or_else(|| unreadable("is missing"))?;
        let Namespace {
            metadata: Metadata { labels },
        } = json::from_str(raw.get())
            .map_err(|error| unreadable(&format!("cannot be read: {error}")))?;
        let (modes, errors) = source.modes(&labels);
        Ok(Said {
            labels,
            modes,
            errors,
        })
    }

    /// That the labels of an exempt namespace mean nothing, if they say something.
    fn ignored(&self, source: &PodSecurity, said: &Said) -> Option<String> {
        if said.modes.is_privileged() || said.modes.is_equivalent(&source.defaults()) {
            return None;
        }
        let Modes {
            enforce,
            audit,
            warn,
        } = said.modes;
        let is_labelled = |mode: &str| {
            let key = format!("pod-security.kubernetes.io/{mode}");
            said.labels.contains_key(&key) || said.labels.contains_key(&format!("{key}-version"))
        };
        let told: Vec<String> = [("enforce", enforce), ("audit", audit), ("warn", warn)]
            .into_iter()
            .filter(|(mode, asked)| asked.level.is_some() && is_labelled(mode))
            .map(|(mode, asked)| format!("{mode}={asked}"))
            .collect();
        Some(format!(
            "namespace \"{}\" is exempt from Pod Security, and the policy ({}) will be ignored",
            self.name,
            told.join(", ")
        ))
    }
}

/// As the API server refuses an object with invalid fields.
fn invalid(uid: &str, name: &str, errors: &[LabelError]) -> Answer {
    let told = aggregate(errors);
    let message = format!("Namespace \"{name}\" is invalid: {told}");
    let cause = |it: &LabelError| json!({"reason": "FieldValueInvalid", "message": it.body(), "field": it.field()});
    let causes: Vec<_> = errors.iter().map(cause).collect();
    let details = json!({"name": name, "kind": "Namespace", "causes": causes});
    deny_with(uid, 422, "Invalid", &message, Some(details))
}
