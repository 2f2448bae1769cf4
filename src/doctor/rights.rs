//! Who may do what: podgate's service account, and whoever looks.

use super::{Case, named};
use crate::cluster::snapshot::{Need, Right};
use crate::output::diagnosis::Observation;

pub(super) const GATE: &str = "gate-rights";
pub(super) const OWN: &str = "own-rights";

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    gate(case, seen);
    own(case, seen);
}

fn gate(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let place = format!(
        "service account of podgate in {}",
        case.snapshot.names.namespace
    );
    let before = seen.len();
    let (mut missing, mut idle, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let keeps_certificates = case
        .setting("certificates")
        .is_some_and(|it| it == "cluster");
    for (right, need, may) in &case.snapshot.gate_rights {
        let is_needed = match need {
            Need::Always => Some(true),
            Need::Never => Some(false),
            Need::Labels => case.labels_count().then_some(true),
            Need::Certificates => keeps_certificates.then_some(true),
        };
        match (is_needed, may) {
            (Some(_), Err(why)) => unknown.push((right, why)),
            (Some(true), Ok(false)) => missing.push(right.to_string()),
            (Some(false), Ok(true)) => idle.push(right),
            _ => {}
        }
    }
    if !missing.is_empty() {
        seen.push(
            Observation::error(GATE, &*place, format!("it may not {}", named(&missing)))
                .why("without these podgate does not become ready, or judges by what it last knew")
                .fix("apply manifests/base/gate, and see that the Deployment names that service account"),
        );
    }
    if !idle.is_empty() {
        let everything = idle.iter().any(|it| it.verb == "*");
        let idle: Vec<String> = idle.iter().map(|it| told(it)).collect();
        let idle = if everything {
            vec!["do anything (cluster-admin)".to_owned()]
        } else {
            idle
        };
        seen.push(
            Observation::warning(GATE, &*place, format!("it may {}, and has no use for that", named(&idle)))
                .why("whoever gets into a replica has these rights too")
                .fix("find the binding that gives it more than manifests/base/gate does, and remove that")
                .command("kubectl get clusterrolebindings,rolebindings -A -o wide | grep podgate"),
        );
    }
    if let Some((_, why)) = unknown.first() {
        seen.push(super::unread(GATE, &*place, why));
    }
    if seen.len() == before {
        seen.push(Observation::ok(
            GATE,
            place,
            "it may do what it needs, and no more",
        ));
    }
}

fn told(right: &Right) -> String {
    let everywhere = if right.namespace.is_empty() {
        " everywhere"
    } else {
        ""
    };
    format!("{right}{everywhere}")
}

fn own(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let place = "you";
    let rights = &case.snapshot.own_rights;
    let missing = rights.iter().filter(|(_, may)| matches!(may, Ok(false)));
    let missing: Vec<String> = missing.map(|(right, _)| right.to_string()).collect();
    let failed = rights.iter().find_map(|(_, may)| may.as_ref().err());
    if let Some(why) = failed {
        seen.push(super::unread(OWN, place, why));
    }
    if !missing.is_empty() {
        // All of them: a list that is cut would have somebody ask for rights several times.
        seen.push(
            Observation::unknown(OWN, place, format!("you may not {}", missing.join(", ")))
                .why("what these would show is unknown, and not fine")
                .fix("have somebody give you the roles of manifests/doctor-rbac.yaml, which says how, or --skip the checks that you do without"),
        );
    }
    if missing.is_empty() && failed.is_none() {
        seen.push(Observation::ok(OWN, place, "you may look at everything"));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};
    use crate::cluster::snapshot::{Need, Snapshot, Unread};

    fn gate(need: Need, may: bool) -> impl Fn(&mut Snapshot) {
        move |it| {
            for (_, own, allowed) in &mut it.gate_rights {
                if *own == need {
                    *allowed = Ok(may);
                }
            }
        }
    }

    #[test]
    fn rights_too_few_and_too_many_are_named() {
        let account = "service account of podgate in podgate-system";
        cases(&[
            Case::new(
                gate(Need::Always, false),
                &format!("error gate-rights: {account}: it may not watch namespaces"),
            ),
            Case::new(
                gate(Need::Labels, false),
                &format!("error gate-rights: {account}: it may not list pods"),
            ),
            Case::new(
                gate(Need::Never, true),
                &format!(
                    "warning gate-rights: {account}: it may get secrets everywhere, and has no use for that"
                ),
            ),
            Case::new(
                gate(Need::Certificates, false),
                &format!("error gate-rights: {account}: it may not get secrets"),
            ),
            Case::new(
                |it| {
                    it.gate_rights[0].2 =
                        Err(Unread::Forbidden("create subjectaccessreviews".to_owned()));
                },
                &format!(
                    "unknown gate-rights: {account}: cannot be looked at: you may not create subjectaccessreviews"
                ),
            ),
            Case::new(
                |it| it.own_rights[0].1 = Ok(false),
                "unknown own-rights: you: you may not list nodes",
            ),
        ]);
    }
}
