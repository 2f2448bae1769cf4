//! Tries every suggested fix before anybody is told of it.

use std::collections::HashSet;

use crate::control::finding::Identity;
use crate::control::{Finding, Findings};
use crate::pod::PodView;
use crate::policy::{Policy, PolicySet};

use super::Judged;

/// Marks the findings whose fix, made together with all the others, removes them and brings nothing new.
pub(super) fn prove(set: &PolicySet, pod: &PodView<'_>, judged: &mut [Judged<'_>]) {
    let mut mended = pod.clone();
    for fix in judged.iter().filter_map(|it| it.finding.fix.as_ref()) {
        fix.apply(&mut mended);
    }
    let left = check_all(set, judged, &mended);
    let left: HashSet<Identity<'_>> = left.iter().map(Finding::identity).collect();
    let known: HashSet<Identity<'_>> = judged.iter().map(|it| it.finding.identity()).collect();
    let brings_others = !left.is_subset(&known);
    let proven: Vec<bool> = judged
        .iter()
        .map(|it| {
            it.finding.fix.is_some() && !brings_others && !left.contains(&it.finding.identity())
        })
        .collect();
    for (it, proven) in judged.iter_mut().zip(proven) {
        it.fix_is_proven = proven;
    }
}

fn check_all(set: &PolicySet, judged: &[Judged<'_>], pod: &PodView<'_>) -> Vec<Finding> {
    let policies: Vec<&Policy> = judged.iter().flat_map(|it| &it.policies).copied().collect();
    let mut findings = Findings::default();
    for (_, control) in set.asked(&policies) {
        control.check(pod, &mut findings);
    }
    findings.into_vec()
}
