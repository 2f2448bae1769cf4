//! Warnings, which the API server carries in HTTP headers: single lines, within its limits.
//!
//! It drops a warning that holds a control character, and once all of them exceed 4,096 characters it cuts each to
//! 256 and drops the rest. So every warning here is short, there are few, and the last one counts what is left out.

use crate::decision::Decision;
use crate::policy::Mode;

use super::Object;
use super::group::group;
use super::rejection::{pod_policy_names, policy_names};
use super::text::clean;

/// With [`MAX_LENGTH`], under the API server's total.
const MAX_WARNINGS: usize = 15;
/// Characters a warning; the API server's own cut is 256.
const MAX_LENGTH: usize = 250;

/// The warnings of a decision.
#[must_use]
pub fn warnings(object: &Object<'_>, decision: &Decision<'_>) -> Vec<String> {
    let told = decision
        .findings
        .iter()
        .filter(|it| it.mode == Mode::Warn || (it.mode == Mode::Enforce && it.existed));
    let groups = group(told);
    let mut lines: Vec<String> = groups
        .iter()
        .take(MAX_WARNINGS)
        .map(|item| {
            let first = item.first();
            let (fate, policies) = match () {
                // Also of one that it had before: to its Pods, which are new, that is no excuse.
                () if object.kind.is_workload() && first.pod_mode == Mode::Enforce => {
                    ("its Pods will be rejected: ", pod_policy_names(item))
                }
                () if first.existed => ("broken before, not rejected: ", policy_names(item)),
                () => ("", policy_names(item)),
            };
            let text = format!(
                "{fate}{policies}: {}{}",
                item.who_briefly(),
                item.statement(object.kind)
            );
            clean(&text, MAX_LENGTH)
        })
        .collect();
    if groups.len() > MAX_WARNINGS {
        lines.push(format!(
            "podgate: and {} more findings",
            groups.len() - MAX_WARNINGS
        ));
    }
    lines
}
