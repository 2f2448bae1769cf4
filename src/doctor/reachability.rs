//! What the API server answers to Pods in a dry run: it really calls the webhooks, from where it is.

use super::{Case, exclusions, unread};
use crate::cluster::snapshot::{Answer, CanarySort, Fact, Sort, Unread};
use crate::decision::{Operation, Request, Stage, decide};
use crate::output::diagnosis::Observation;
use crate::pod::Kind;
use crate::pod::object::Object;

pub(super) const REACHED: &str = "reachability";
pub(super) const ENFORCED: &str = "enforcement";

/// How the API server begins what a webhook said, and what it says of one that it could not ask. There is nothing else
/// to tell these from other refusals by.
const DENIED: &str = "admission webhook";
const FAILED: &str = "failed calling webhook";

/// Parts of what Go says of a call that failed, and what is to be done about each.
const CAUSES: [(&str, &str); 8] = [
    (
        "connection refused",
        "nobody listens there: see whether podgate's Pods run and are ready, and whether targetPort is their port",
    ),
    (
        "no endpoints available",
        "no ready Pod is behind the Service",
    ),
    (
        "not found",
        "the Service that the webhook names is not there",
    ),
    (
        "certificate has expired",
        "the served certificate or the CA has expired, or a clock is wrong",
    ),
    (
        "certificate signed by unknown authority",
        "caBundle is not the CA that signed the served certificate",
    ),
    (
        "certificate is valid for",
        "the served certificate is for another name than that of the Service",
    ),
    (
        "x509",
        "the API server does not trust the served certificate",
    ),
    (
        "deadline exceeded",
        "a NetworkPolicy or a firewall may keep the API server from the Pods' port, or podgate is too busy",
    ),
];

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    for canary in &case.snapshot.canaries {
        match canary.sort {
            CanarySort::Good => seen.push(reached(case, &canary.answer)),
            CanarySort::Bad => seen.push(enforced(case, &canary.answer)),
        }
    }
}

fn place(case: &Case<'_>) -> String {
    format!(
        "dry run of a Pod in namespace {}",
        case.snapshot.names.canary
    )
}

/// Who answered for the API server.
enum Voice<'m> {
    /// podgate was asked, and said no.
    Denied,
    /// podgate could not be asked.
    Unasked,
    /// Somebody else refused the Pod.
    Other(&'m str),
}

fn voice<'m>(case: &Case<'_>, message: &'m str) -> Voice<'m> {
    let is_own = |phrase: &str| {
        let rest = message.split_once(phrase).map(|(_, rest)| rest);
        let name = rest.and_then(|it| it.trim_start().strip_prefix('"')?.split('"').next());
        let mut own = case.snapshot.own_webhooks();
        name.is_some_and(|name| own.any(|(_, it)| it.name == name))
    };
    if is_own(FAILED) {
        Voice::Unasked
    } else if message.starts_with(DENIED) && is_own(DENIED) {
        Voice::Denied
    } else {
        Voice::Other(first_line(message))
    }
}

fn reached(case: &Case<'_>, answer: &Fact<Answer>) -> Observation {
    let place = place(case);
    let (code, message) = match answer {
        Err(why) => return unread(REACHED, place, why),
        Ok(Answer::Admitted) if is_judged(case) == Some(false) => {
            return Observation::note(
                REACHED,
                place,
                "it is let in, and podgate is not asked there",
            )
            .fix("choose a namespace that is judged, with --canary-namespace");
        }
        Ok(Answer::Admitted) => {
            return Observation::ok(REACHED, place, "the API server has an answer");
        }
        Ok(Answer::Refused(code, message)) => (code, message),
    };
    match voice(case, message) {
        Voice::Unasked => failed(REACHED, place, message),
        Voice::Denied => {
            let what = format!(
                "a Pod that fulfils restricted is rejected: {}",
                first_line(message)
            );
            Observation::note(REACHED, place, what)
                .why("the webhooks answer, and policies ask for more than restricted does")
        }
        Voice::Other(line) => Observation::unknown(
            REACHED,
            place,
            format!("refused by somebody else, with {code}: {line}"),
        )
        .fix("choose a namespace where such Pods can be created, with --canary-namespace"),
    }
}

fn failed(check: &'static str, place: String, message: &str) -> Observation {
    let cause = CAUSES.iter().find(|(part, _)| message.contains(part));
    let observation = Observation::error(check, place, first_line(message))
        .why("so it is for everybody: nothing that podgate judges can be created");
    match cause {
        Some((_, fix)) => observation.fix(*fix),
        None => observation.fix("see what podgate and the API server log at this moment"),
    }
}

/// What the policies say of the bad Pod must be what happens to it.
fn enforced(case: &Case<'_>, answer: &Fact<Answer>) -> Observation {
    let place = place(case);
    match answer {
        Err(why) => unread(ENFORCED, place, why),
        Ok(Answer::Refused(code, message)) => match voice(case, message) {
            Voice::Unasked => Observation::note(ENFORCED, place, "not let in, as podgate cannot be asked"),
            Voice::Denied => Observation::ok(ENFORCED, place, "a Pod with hostPID is rejected"),
            Voice::Other(line) => {
                Observation::note(ENFORCED, place, format!("refused by somebody else, with {code}: {line}"))
                    .why("whether podgate rejects a Pod with hostPID can be seen only where nobody else does")
                    .fix("choose another namespace with --canary-namespace")
            }
        },
        Ok(Answer::Admitted) => match expected(case) {
            Err(why) => unread(ENFORCED, place, &why),
            Ok(true) => Observation::error(ENFORCED, place, "a Pod with hostPID is let in, and the policies reject it")
                .why("the webhooks are not asked, or replicas judge by other policies: Pods get in unchecked")
                .fix("see above how the webhooks are registered, and below which policies replicas have"),
            Ok(false) => Observation::note(ENFORCED, place, "a Pod with hostPID is let in, as the policies say")
                .why("that the webhook is asked at all cannot be seen where it rejects nothing")
                .fix("choose a namespace where policies enforce something, with --canary-namespace"),
        },
    }
}

/// True if podgate is asked about Pods in the namespace of the canaries; nothing if that is not known.
fn is_judged(case: &Case<'_>) -> Option<bool> {
    let labels = exclusions::labels_of(case, &case.snapshot.names.canary)?;
    Some(exclusions::is_judged(case, Sort::Validating, labels))
}

/// True if the policies reject the bad Pod there.
fn expected(case: &Case<'_>) -> Fact<bool> {
    let impossible = |why: &str| Unread::Impossible(why.to_owned());
    let name = &case.snapshot.names.canary;
    if let Err(why) = &case.snapshot.namespaces {
        return Err(why.clone());
    }
    let labels = exclusions::labels_of(case, name)
        .ok_or_else(|| impossible("there is no such namespace"))?;
    if !exclusions::is_judged(case, Sort::Validating, labels) {
        return Err(impossible(
            "podgate does not judge that namespace; choose another with --canary-namespace",
        ));
    }
    let set = case
        .set
        .ok_or_else(|| impossible("the policies are not known"))?;
    let set = if case.labels_count() {
        set.clone().with_pod_security()
    } else {
        set.clone()
    };
    let text = CanarySort::Bad.pod().to_string();
    let object =
        Object::decode(Kind::Pod, &text).map_err(|error| impossible(&error.to_string()))?;
    let Some(pod) = &object.pod else {
        return Err(impossible("it is no Pod"));
    };
    let decision = decide(
        &set,
        &Request {
            stage: Stage::Validate,
            operation: Operation::Create,
            kind: Kind::Pod,
            subresource: "",
            namespace: name,
            namespace_labels: Some(labels),
            user: "",
            groups: &[],
            pod,
            old: None,
        },
    )
    .map_err(|error| impossible(&error.to_string()))?;
    Ok(!decision.allowed())
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};
    use super::*;
    use crate::cluster::snapshot::Snapshot;

    fn answer(at: usize, answer: Fact<Answer>) -> impl Fn(&mut Snapshot) {
        move |it| it.canaries[at].answer = answer.clone()
    }

    fn refused(at: usize, message: &str) -> impl Fn(&mut Snapshot) + use<> {
        answer(at, Ok(Answer::Refused(500, message.to_owned())))
    }

    #[test]
    fn an_answer_that_does_not_come_is_explained() {
        let at = "dry run of a Pod in namespace default";
        let failed = "Internal error occurred: failed calling webhook \"gate.podgate.dev\": failed to call webhook: Post \"https://x\": ";
        let causes = [
            "dial tcp 127.0.0.1:1: connect: connection refused",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "odd",
        ];
        for cause in causes {
            let message = format!("{failed}{cause}");
            let expected = format!("error reachability: {at}: {message}");
            cases(&[Case::new(refused(0, &message), &expected)]);
        }
        let denied = "admission webhook \"gate.podgate.dev\" denied the request: no";
        let other = "admission webhook \"validate.kyverno.svc-fail\" denied the request: no";
        cases(&[
            Case::new(
                refused(0, &format!("{denied}\nand more")),
                &format!(
                    "note reachability: {at}: a Pod that fulfils restricted is rejected: {denied}"
                ),
            ),
            Case::new(
                refused(0, "namespaces \"default\" not found"),
                &format!(
                    "unknown reachability: {at}: refused by somebody else, with 500: namespaces"
                ),
            ),
            Case::new(
                refused(0, other),
                &format!("unknown reachability: {at}: refused by somebody else, with 500: {other}"),
            ),
            Case::new(
                answer(0, Err(Unread::Forbidden("create pods".to_owned()))),
                &format!(
                    "unknown reachability: {at}: cannot be looked at: you may not create pods"
                ),
            ),
            Case::new(
                |it| it.names.canary = "kube-system".to_owned(),
                "note reachability: dry run of a Pod in namespace kube-system: it is let in, and podgate is not asked there",
            ),
            Case::new(
                answer(1, Ok(Answer::Admitted)),
                &format!(
                    "error enforcement: {at}: a Pod with hostPID is let in, and the policies reject it"
                ),
            ),
            Case::new(
                |it| {
                    it.canaries[1].answer = Ok(Answer::Admitted);
                    it.policies = Err(Unread::Forbidden("get configmaps".to_owned()));
                },
                &format!(
                    "unknown enforcement: {at}: cannot be looked at: the policies are not known"
                ),
            ),
            Case::new(
                refused(1, "pods \"x\" is forbidden: violates PodSecurity"),
                &format!("note enforcement: {at}: refused by somebody else"),
            ),
            Case::new(
                refused(1, other),
                &format!("note enforcement: {at}: refused by somebody else"),
            ),
            Case::new(
                refused(1, failed),
                &format!("note enforcement: {at}: not let in"),
            ),
        ]);
    }
}
