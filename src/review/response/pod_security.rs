//! The parts of an answer that Pod Security labels lead to: upstream's texts and audit annotations, letter by letter,
//! so nothing in them is cut or escaped.

use super::Response;
use crate::control::Finding;
use crate::decision::{Exempt, PodSecurityDecision};
use crate::output::pod_security::{sentence, violations};
use crate::output::rejection::cause;
use crate::output::text::clean;
use crate::pod::Kind;
use crate::policy::source::pod_security::{LevelVersion, aggregate};

/// Audit annotations and the warning.
pub(super) fn note(response: &mut Response<'_>, decision: &PodSecurityDecision) {
    let mut annotate = |key, text: String| response.audit_annotations.push((key, text));
    if let Some(exempt) = decision.exempt {
        let why = match exempt {
            Exempt::Namespace => "namespace",
            Exempt::User => "user",
            Exempt::RuntimeClass => "runtimeClass",
        };
        annotate("exempt", why.to_owned());
    }
    if !decision.errors.is_empty() {
        let errors = aggregate(&decision.errors);
        annotate("error", format!("Failed to parse policy: {errors}"));
    }
    if let Some(why) = &decision.unknown {
        annotate("error", why.clone());
    }
    if let Some(enforced) = decision.enforced {
        annotate("enforce-policy", enforced.to_string());
    }
    let would = |(asked, findings): (LevelVersion, &[Finding])| {
        format!(
            "would violate PodSecurity \"{asked}\": {}",
            told(asked, findings)
        )
    };
    if let Some(recorded) = decision.recorded() {
        annotate("audit-violations", would(recorded));
    }
    response.warnings.extend(decision.warned().map(would));
    let told_by_warn = |asked| decision.warned().is_some_and(|(it, _)| it == asked);
    response
        .warnings
        .extend(decision.doomed().map(|(asked, findings)| {
            let fate = format!("its Pods will be rejected: violates PodSecurity \"{asked}\"");
            if told_by_warn(asked) {
                fate
            } else {
                format!("{fate}: {}", told(asked, findings))
            }
        }));
}

/// The line of a rejection.
pub(super) fn rejection(kind: Kind, name: &str, decision: &PodSecurityDecision) -> Option<String> {
    let (asked, findings) = decision.rejected()?;
    let named = if name.is_empty() {
        String::new()
    } else {
        format!(" \"{}\"", clean(name, 253))
    };
    let told = told(asked, findings);
    Some(format!(
        "{}{named} is forbidden: violates PodSecurity \"{asked}\": {told}",
        kind.group_resource()
    ))
}

/// Field and message of each finding of a rejection.
pub(super) fn causes(kind: Kind, decision: &PodSecurityDecision) -> Vec<(String, String)> {
    let findings = decision
        .rejected()
        .map(|(_, findings)| findings)
        .unwrap_or_default();
    findings.iter().map(|it| cause(kind, it)).collect()
}

fn told(asked: LevelVersion, findings: &[Finding]) -> String {
    let level = asked
        .level
        .map(|level| violations(level, asked.version.known(), findings));
    sentence(&level.unwrap_or_default())
}
