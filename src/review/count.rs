//! What the metrics of Pod Security Admission count of one review, with upstream's names and labels.

use std::borrow::Cow;

use super::envelope::AdmissionRequest;
use crate::decision::PodSecurityDecision;
use crate::pod::Kind;
use crate::policy::level::Version;
use crate::policy::source::pod_security::{LevelVersion, Written};

/// One thing to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What.
    pub what: Counted,
    /// The label `request_operation`.
    pub operation: &'static str,
    /// The label `resource`.
    pub resource: &'static str,
    /// The label `subresource`; one that podgate does not know is `other`, so that nobody makes labels up.
    pub subresource: &'static str,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// A level was evaluated.
    Evaluation {
        /// The label `decision`.
        decision: &'static str,
        /// The label `policy_level`.
        level: &'static str,
        /// The label `policy_version`.
        version: Cow<'static, str>,
        /// The label `mode`.
        mode: &'static str,
    },
    /// The request was exempt.
    Exemption,
    /// Something kept it from being evaluated as it should be.
    Error {
        /// It was not evaluated at all.
        fatal: bool,
    },
}

/// The subresources that may become labels.
const SUBRESOURCES: [&str; 3] = ["", "ephemeralcontainers", "resize"];

// === impl Count ===

impl Count {
    /// What a decision counts for.
    pub(super) fn of(request: &AdmissionRequest<'_>, it: &PodSecurityDecision) -> Vec<Self> {
        let mut counted = Vec::new();
        if it.exempt.is_some() {
            counted.push(Counted::Exemption);
        }
        if !it.errors.is_empty() {
            counted.push(Counted::Error { fatal: false });
        }
        if it.unknown.is_some() {
            counted.push(Counted::Error { fatal: true });
        }
        let denies_object = it.rejected().is_some();
        if let Some(asked) = it
            .enforced
            .or_else(|| it.rejected().map(|(asked, _)| asked))
        {
            counted.push(evaluation(denies_object, asked, "enforce"));
        }
        let denied = |(asked, _): (LevelVersion, _), mode| evaluation(true, asked, mode);
        counted.extend(it.recorded().map(|it| denied(it, "audit")));
        counted.extend(it.warned().map(|it| denied(it, "warn")));
        counted
            .into_iter()
            .map(|what| Self::with(request, what))
            .collect()
    }

    /// That a request could not be evaluated.
    pub(super) fn fatal(request: &AdmissionRequest<'_>) -> Vec<Self> {
        vec![Self::with(request, Counted::Error { fatal: true })]
    }

    fn with(request: &AdmissionRequest<'_>, what: Counted) -> Self {
        let operation = match &*request.operation {
            "CREATE" => "create",
            "UPDATE" => "update",
            "DELETE" => "delete",
            _ => "connect",
        };
        let known = SUBRESOURCES
            .iter()
            .find(|it| **it == &*request.sub_resource);
        Self {
            what,
            operation,
            resource: match request.kind() {
                Some(Kind::Pod) => "pod",
                _ => "controller",
            },
            subresource: known.copied().unwrap_or("other"),
        }
    }
}

fn evaluation(denied: bool, asked: LevelVersion, mode: &'static str) -> Counted {
    Counted::Evaluation {
        decision: if denied { "deny" } else { "allow" },
        level: asked.level_name(),
        version: match asked.version {
            _ if asked.level.is_none() => "latest".into(),
            Written::Latest => "latest".into(),
            written @ Written::Minor(minor) if Version::is_known(minor) => {
                written.to_string().into()
            }
            Written::Minor(_) => "future".into(),
        },
        mode,
    }
}
