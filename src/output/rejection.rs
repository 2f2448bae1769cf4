//! The text of a rejection: the first line stands alone, then one item a finding, each with its fix.

use crate::control::{Finding, Subject};
use crate::decision::{Decision, Judged};
use crate::pod::Kind;
use crate::policy::Policy;

use super::Object;
use super::group::{Group, group};
use super::text::{self, MAX_VALUE, clean, count, quoted};

/// Items shown before the rest is only counted.
const MAX_ITEMS: usize = 8;
/// What fits into an Event's note, which is where a controller puts the text.
const MAX_COMPACT: usize = 1000;

/// The rejection for a person: several lines.
#[must_use]
pub fn message(object: &Object<'_>, decision: &Decision<'_>) -> String {
    let rejecting: Vec<&Judged<'_>> = decision.findings.iter().filter(|it| it.rejects()).collect();
    let policies = policies(&rejecting);
    let mut out = headline(object, &rejecting, &policies);
    out.push_str(&items(
        object.kind,
        rejecting.iter().copied(),
        policies.len() > 1,
    ));
    for policy in &policies {
        if let Some(docs) = &policy.docs {
            out.push_str(&format!("\nwhy: {}", clean(docs, 200)));
        }
    }
    out.push_str("\ntry it before applying: podgate check FILE");
    out
}

/// One item a finding, each on lines of its own, with its fix, and with its policies if `named`.
pub fn items<'d, 's: 'd>(
    kind: Kind,
    findings: impl IntoIterator<Item = &'d Judged<'s>>,
    named: bool,
) -> String {
    let groups = group(findings);
    let mut out = String::new();
    for (index, item) in groups.iter().take(MAX_ITEMS).enumerate() {
        out.push_str(&format!(
            "\n  {}. {}{}",
            index + 1,
            item.who(),
            item.statement(kind)
        ));
        if named {
            out.push_str(&format!(" [{}]", policy_names(item)));
        }
        if let Some(fix) = item.fix(kind) {
            out.push_str(&format!("\n     fix: {fix}"));
        }
    }
    if let Some(more) = groups.len().checked_sub(MAX_ITEMS).filter(|more| *more > 0) {
        out.push_str(&format!("\n  … and {more} more: `podgate check` shows all"));
    }
    out
}

/// The rejection for a controller, whose text ends in an Event: one line.
#[must_use]
pub fn compact(object: &Object<'_>, decision: &Decision<'_>) -> String {
    let rejecting: Vec<&Judged<'_>> = decision.findings.iter().filter(|it| it.rejects()).collect();
    let mut out = headline(object, &rejecting, &policies(&rejecting));
    let groups = group(rejecting.iter().copied());
    for (index, item) in groups.iter().enumerate() {
        let separator = if index == 0 { ": " } else { "; " };
        let part = format!(
            "{separator}{}{}",
            item.who_briefly(),
            item.statement(object.kind)
        );
        if out.len() + part.len() > MAX_COMPACT {
            out.push_str(&format!("; and {} more", groups.len() - index));
            break;
        }
        out.push_str(&part);
    }
    out
}

/// One cause a finding, for machines: the field, and what is wrong with it.
pub fn causes<'d>(
    kind: Kind,
    decision: &'d Decision<'_>,
) -> impl Iterator<Item = (String, String)> + 'd {
    let rejecting = decision.findings.iter().filter(|it| it.rejects());
    rejecting.map(move |it| cause(kind, &it.finding))
}

/// The cause that one finding is.
#[must_use]
pub fn cause(kind: Kind, finding: &Finding) -> (String, String) {
    let who = match &finding.subject {
        Subject::Pod => String::new(),
        Subject::Container { name, .. } => format!("container {}: ", quoted([&**name])),
        Subject::Volume { name, .. } => format!("volume {}: ", quoted([&**name])),
    };
    let message = format!(
        "[{}] {who}must be {}; found {}",
        finding.control,
        clean(&finding.required, 3 * MAX_VALUE),
        clean(&finding.current, MAX_VALUE)
    );
    (kind.path(&finding.path()), message)
}

fn headline(object: &Object<'_>, rejecting: &[&Judged<'_>], policies: &[&Policy]) -> String {
    let mut controls: Vec<&str> = rejecting.iter().map(|it| it.finding.control).collect();
    controls.dedup();
    let owner = object.owner.map_or_else(String::new, |(kind, name)| {
        format!(" (of {kind} {})", clean(name, 253))
    });
    let noun = if policies.len() == 1 {
        "policy"
    } else {
        "policies"
    };
    format!(
        "{object}{owner} breaks {noun} {}: {} ({})",
        quoted(policies.iter().map(|it| it.name.as_str())),
        count(rejecting.len(), "finding"),
        controls.join(", ")
    )
}

/// The policies that reject, each once, by name.
fn policies<'s>(rejecting: &[&Judged<'s>]) -> Vec<&'s Policy> {
    let mut policies: Vec<&Policy> = rejecting
        .iter()
        .flat_map(|it| it.policies.iter().copied())
        .collect();
    policies.sort_by(|one, two| one.name.cmp(&two.name));
    policies.dedup_by(|one, two| one.name == two.name);
    policies
}

/// `policy "a"`, `policies "a", "b"`.
#[must_use]
pub fn policy_names(item: &Group<'_, '_>) -> String {
    names(&item.first().policies)
}

/// The same of those that would reject its Pods.
#[must_use]
pub fn pod_policy_names(item: &Group<'_, '_>) -> String {
    names(&item.first().pod_policies)
}

fn names(policies: &[&Policy]) -> String {
    text::policies(policies.iter().map(|it| it.name.as_str()))
}
