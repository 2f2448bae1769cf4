//! Both configurations are there, and say what podgate needs them to say.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;

use super::{Case, unread, webhook_place};
use crate::cluster::snapshot::{Sort, Unread};
use crate::output::diagnosis::Observation;

pub(super) const REGISTERED: &str = "registration";
pub(super) const FAILURE_POLICY: &str = "failure-policy";
pub(super) const SETTINGS: &str = "webhook-settings";

/// What the API server waits for a webhook that does not say.
const DEFAULT_TIMEOUT: i32 = 10;
/// An answer takes milliseconds, but a connection that has to be made again takes longer.
const SHORTEST_TIMEOUT: i32 = 2;
/// The Service may hand a call to a replica whose node has just died, and somebody waits for the Pod.
const LONGEST_TIMEOUT: i32 = 10;

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    for sort in Sort::ALL {
        let (all, name) = case.snapshot.registered(sort);
        let place = format!("{} {name}", sort.kind());
        match (all, case.snapshot.own(sort)) {
            (Err(why), _) => seen.push(unread(REGISTERED, place, why)),
            (Ok(_), None) => seen.push(missing(sort, name, place)),
            (Ok(_), Some(own)) if own.webhooks.is_empty() => {
                seen.push(missing(sort, name, place));
            }
            (Ok(_), Some(own)) => {
                let before = seen.len();
                for webhook in &own.webhooks {
                    judge(case, sort, webhook, seen);
                }
                if seen.len() == before {
                    seen.push(Observation::ok(REGISTERED, &*place, "it is there"));
                    seen.push(Observation::ok(FAILURE_POLICY, &*place, "it is Fail"));
                    seen.push(Observation::ok(SETTINGS, place, "they are as shipped"));
                }
            }
        }
    }
}

fn missing(sort: Sort, name: &str, place: String) -> Observation {
    let (what, flag) = match sort {
        Sort::Validating => ("nothing is judged: every Pod is let in", "--validating"),
        Sort::Mutating => ("nothing is injected into Pods", "--mutating"),
    };
    Observation::error(
        REGISTERED,
        place,
        format!("it is not there, or has no webhooks: {what}"),
    )
    .why("the API server calls only what is registered with it")
    .fix(format!(
        "apply the webhooks of manifests/; if yours have another name, say it with {flag}"
    ))
    .command(format!(
        "kubectl get {} # is there one instead of {name}?",
        sort.resource()
    ))
}

fn judge(case: &Case<'_>, sort: Sort, webhook: &MutatingWebhook, seen: &mut Vec<Observation>) {
    let place = webhook_place(case, sort, webhook);
    let client = &webhook.client_config;
    if let Some(url) = &client.url {
        let why = Unread::Impossible("it is called by a URL, and not through a Service".to_owned());
        seen.push(unread(REGISTERED, format!("{place}, {url}"), &why));
    }
    if let Some(service) = &client.service {
        let path = service.path.as_deref().unwrap_or("/");
        if path != sort.path() {
            seen.push(
                Observation::error(REGISTERED, &*place, format!("it calls {path}"))
                    .why("podgate judges at /validate and injects at /mutate; what is asked at the wrong one is not done")
                    .fix(format!("set clientConfig.service.path to {}", sort.path())),
            );
        }
    }
    if !webhook
        .admission_review_versions
        .iter()
        .any(|it| it == "v1")
    {
        seen.push(
            Observation::error(REGISTERED, &*place, "admissionReviewVersions has no v1")
                .why("it is the only version that podgate reads")
                .fix("set admissionReviewVersions: [v1]"),
        );
    }
    if webhook
        .failure_policy
        .as_deref()
        .is_some_and(|it| it != "Fail")
    {
        let observation = Observation::error(FAILURE_POLICY, &*place, "failurePolicy is Ignore")
            .why("whenever podgate does not answer, Pods are let in unchecked; who can keep it busy can get past it");
        seen.push(observation.fix("set failurePolicy: Fail").command(patch(
            case,
            sort,
            webhook,
            r#"[{"op": "replace", "path": "/webhooks/INDEX/failurePolicy", "value": "Fail"}]"#,
        )));
    }
    settings(&place, sort, webhook, seen);
}

fn settings(place: &str, sort: Sort, webhook: &MutatingWebhook, seen: &mut Vec<Observation>) {
    if webhook
        .match_policy
        .as_deref()
        .is_some_and(|it| it != "Equivalent")
    {
        seen.push(
            Observation::warning(SETTINGS, place, "matchPolicy is Exact")
                .why("an object that is sent through another version of its API is not judged")
                .fix("set matchPolicy: Equivalent"),
        );
    }
    let timeout = webhook.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT);
    if timeout > LONGEST_TIMEOUT {
        seen.push(
            Observation::warning(SETTINGS, place, format!("timeoutSeconds is {timeout}"))
                .why("so long does whoever creates a Pod wait for a replica whose node has died")
                .fix("set timeoutSeconds: 5"),
        );
    } else if timeout < SHORTEST_TIMEOUT {
        seen.push(
            Observation::warning(SETTINGS, place, format!("timeoutSeconds is {timeout}"))
                .why("a lost packet or a busy node then refuses a Pod")
                .fix("set timeoutSeconds: 5"),
        );
    }
    if sort == Sort::Mutating && webhook.reinvocation_policy.as_deref() != Some("IfNeeded") {
        seen.push(
            Observation::warning(SETTINGS, place, "reinvocationPolicy is Never")
                .why("a container that a later webhook adds gets no defaults, and may be rejected for that")
                .fix("set reinvocationPolicy: IfNeeded"),
        );
    }
    if !matches!(webhook.side_effects.as_str(), "None" | "NoneOnDryRun") {
        let what = format!("sideEffects is {}", webhook.side_effects);
        seen.push(
            Observation::warning(SETTINGS, place, what)
                .why("dry runs are refused")
                .fix("set sideEffects: None"),
        );
    }
}

/// A command that patches one webhook.
fn patch(case: &Case<'_>, sort: Sort, webhook: &MutatingWebhook, json: &str) -> String {
    let (_, name) = case.snapshot.registered(sort);
    let own = case.snapshot.own(sort);
    let mut all = own.into_iter().flat_map(|it| &it.webhooks);
    let index = all.position(|it| it.name == webhook.name).unwrap_or(0);
    let json = json.replace("INDEX", &index.to_string());
    format!(
        "kubectl patch {} {name} --type=json -p '{json}'",
        sort.resource()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};

    #[test]
    fn what_is_registered_is_judged() {
        cases(&[
            Case::new(
                |it| it.validating = Ok(Vec::new()),
                "error registration: ValidatingWebhookConfiguration podgate: it is not there",
            ),
            Case::new(
                |it| it.mutating.as_mut().unwrap()[0].webhooks.clear(),
                "error registration: MutatingWebhookConfiguration podgate: it is not there, or has no webhooks: nothing is injected",
            ),
            Case::webhook(
                |it| it.failure_policy = Some("Ignore".to_owned()),
                "error failure-policy: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: failurePolicy is Ignore",
            ),
            Case::webhook(
                |it| it.client_config.service.as_mut().unwrap().path = Some("/mutate".to_owned()),
                "error registration: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: it calls /mutate",
            ),
            Case::webhook(
                |it| it.admission_review_versions = vec!["v1beta1".to_owned()],
                "error registration: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: admissionReviewVersions has no v1",
            ),
            Case::webhook(
                |it| it.match_policy = Some("Exact".to_owned()),
                "warning webhook-settings: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: matchPolicy is Exact",
            ),
            Case::webhook(
                |it| it.timeout_seconds = Some(30),
                "warning webhook-settings: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: timeoutSeconds is 30",
            ),
            Case::webhook(
                |it| it.timeout_seconds = Some(1),
                "warning webhook-settings: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: timeoutSeconds is 1",
            ),
            Case::webhook(
                |it| it.side_effects = "Some".to_owned(),
                "warning webhook-settings: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev: sideEffects is Some",
            ),
            Case::new(
                |it| it.mutating.as_mut().unwrap()[0].webhooks[0].reinvocation_policy = None,
                "warning webhook-settings: MutatingWebhookConfiguration podgate, webhook inject.podgate.dev: reinvocationPolicy is Never",
            ),
            Case::webhook(
                |it| {
                    it.client_config.service = None;
                    it.client_config.url = Some("https://gate.example/validate".to_owned());
                },
                "unknown registration: ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev, https://gate.example/validate: ",
            ),
        ]);
    }
}
