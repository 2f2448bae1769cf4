//! The six labels of a namespace. They never fail to parse: what is wrong degrades, `enforce` to the strictest level,
//! `audit` and `warn` to none, a version to the newest, and is told.

use std::collections::BTreeMap;

use crate::policy::level::Level;

use super::{Modes, Written};

/// A label that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.field(), self.body())]
pub struct LabelError {
    /// Its key.
    pub label: &'static str,
    /// What it says.
    pub value: String,
    /// What it may say.
    pub message: &'static str,
}

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const AUDIT: &str = "pod-security.kubernetes.io/audit";
const AUDIT_VERSION: &str = "pod-security.kubernetes.io/audit-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";

const BAD_LEVEL: &str = "must be one of privileged, baseline, restricted";
const BAD_VERSION: &str = "must be \"latest\" or \"v1.x\"";

// === impl Modes ===

impl Modes {
    /// What the labels of a namespace say over `self`, and what is wrong with them.
    #[must_use]
    pub fn with_labels(mut self, labels: &BTreeMap<String, String>) -> (Self, Vec<LabelError>) {
        let mut errors = Vec::new();
        let mut level = |label: &'static str, broken: Option<Level>| {
            let value = labels.get(label)?;
            Some(parse_level(value).map_err(|()| {
                errors.push((
                    label,
                    LabelError {
                        label,
                        value: value.clone(),
                        message: BAD_LEVEL,
                    },
                ));
                broken
            }))
        };
        let (enforce, audit, warn) = (
            level(ENFORCE, Some(Level::Restricted)),
            level(AUDIT, None),
            level(WARN, None),
        );
        let mut version = |label: &'static str| {
            let value = labels.get(label)?;
            Some(Written::parse(value).unwrap_or_else(|| {
                errors.push((
                    label,
                    LabelError {
                        label,
                        value: value.clone(),
                        message: BAD_VERSION,
                    },
                ));
                Written::Latest
            }))
        };
        let versions = (
            version(ENFORCE_VERSION),
            version(AUDIT_VERSION),
            version(WARN_VERSION),
        );
        let either = |it: Result<Option<Level>, Option<Level>>| it.unwrap_or_else(|broken| broken);
        for (mode, level, version) in [
            (&mut self.enforce, enforce, versions.0),
            (&mut self.audit, audit, versions.1),
            (&mut self.warn, warn, versions.2),
        ] {
            mode.level = level.map_or(mode.level, either);
            mode.version = version.unwrap_or(mode.version);
        }
        // Who enforces more than is warned of by default, and says nothing about warnings, is warned of it too.
        if warn.is_none() && matches!(enforce, Some(Ok(_))) && self.enforce.level > self.warn.level
        {
            self.warn.level = self.enforce.level;
            if versions.2.is_none() {
                self.warn.version = self.enforce.version;
            }
        }
        // In upstream's order: by mode, the level before the version.
        let order = [
            ENFORCE,
            ENFORCE_VERSION,
            AUDIT,
            AUDIT_VERSION,
            WARN,
            WARN_VERSION,
        ];
        errors.sort_by_key(|(label, _)| order.iter().position(|it| it == label));
        (self, errors.into_iter().map(|(_, error)| error).collect())
    }
}

// === impl LabelError ===

impl LabelError {
    /// Which field is wrong, as the API server names it.
    #[must_use]
    pub fn field(&self) -> String {
        format!("metadata.labels[{}]", self.label)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn body(&self) -> String {
        format!("Invalid value: {:?}: {}", self.value, self.message)
    }
}

/// Several errors as upstream puts them into one text.
#[must_use]
pub fn aggregate(errors: &[LabelError]) -> String {
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match &told[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

pub(super) fn parse_level(text: &str) -> Result<Option<Level>, ()> {
    match text {
        "privileged" => Ok(None),
        "baseline" => Ok(Some(Level::Baseline)),
        "restricted" => Ok(Some(Level::Restricted)),
        _ => Err(()),
    }
}
