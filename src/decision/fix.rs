//! Tries every suggested fix before anybody is told of it.

use std::collections::{HashMap, HashSet};

use crate::control::finding::Identity;
use crate::control::{AnyControl, Finding, Findings, TooMany};
use crate::pod::{Edit, PodView};

use super::Judged;

/// Marks the findings whose fix, made together with all the others, removes them and brings nothing new to these
/// controls, which are those that found them.
pub(super) fn prove(controls: &[&AnyControl], pod: &PodView<'_>, judged: &mut [Judged<'_>]) {
    complete(controls, pod, judged);
    let mended = mended(pod, judged.iter());
    // If it cannot be told what is left, nothing is proven.
    let Ok(left) = check_all(controls.iter().copied(), &mended) else {
        return;
    };
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

/// Suggests what is possible only beside other fixes: `allowPrivilegeEscalation` may be false once `privileged` is.
/// Only among the findings of a rejection, which are told together.
fn complete(controls: &[&AnyControl], pod: &PodView<'_>, judged: &mut [Judged<'_>]) {
    let lacks_fix = |it: &Judged<'_>| it.rejects() && it.finding.fix.is_none();
    if !judged.iter().any(lacks_fix) {
        return;
    }
    let mended = mended(pod, judged.iter().filter(|it| it.rejects()));
    let left = check_all(controls.iter().copied(), &mended).unwrap_or_default();
    let fixes: HashMap<Identity<'_>, &Edit<'static>> = left
        .iter()
        .filter_map(|it| Some((it.identity(), it.fix.as_ref()?)))
        .collect();
    for it in judged.iter_mut().filter(|it| lacks_fix(it)) {
        let fix = fixes.get(&it.finding.identity()).copied().cloned();
        it.finding.fix = fix;
    }
}

/// The Pod with the fixes of these findings made.
fn mended<'a, 'j, 's: 'j>(
    pod: &PodView<'a>,
    judged: impl Iterator<Item = &'j Judged<'s>>,
) -> PodView<'a> {
    let mut mended = pod.clone();
    for fix in judged.filter_map(|it| it.finding.fix.as_ref()) {
        fix.apply(&mut mended);
    }
    mended
}

pub(super) fn check_all<'c>(
    controls: impl IntoIterator<Item = &'c AnyControl>,
    pod: &PodView<'_>,
) -> Result<Vec<Finding>, TooMany> {
    let mut findings = Findings::default();
    for control in controls {
        control.check(pod, &mut findings);
        findings.checked()?;
    }
    Ok(findings.into_vec())
}
