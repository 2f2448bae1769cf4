//! Who else is registered: a second copy of podgate, and others that judge Pods.

use super::{Case, named};
use crate::cluster::snapshot::{Configuration, Sort};
use crate::output::diagnosis::Observation;

pub(super) const COPIES: &str = "copies";

/// The domain in which podgate's webhooks are named.
const DOMAIN: &str = "podgate.dev";
/// Parts of the names of other gates' configurations.
const OTHERS: [&str; 5] = [
    "gatekeeper",
    "kyverno",
    "kubewarden",
    "polaris",
    "pod-security-webhook",
];

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let names = &case.snapshot.names;
    let before = seen.len();
    let mut others = Vec::new();
    let mut is_complete = true;
    for sort in Sort::ALL {
        let (all, own) = case.snapshot.registered(sort);
        // That it could not be read is said where podgate's own is looked for.
        is_complete &= all.is_ok();
        for configuration in all.iter().flatten() {
            let name = configuration.metadata.name.as_deref().unwrap_or_default();
            if name == own {
                continue;
            }
            let place = format!("{} {name}", sort.kind());
            if calls(configuration, &names.namespace, &names.service) {
                seen.push(
                    Observation::warning(COPIES, place, "it calls the same podgate as well")
                        .why("every Pod is asked about twice, and what is mended in one registration stays broken in the other")
                        .fix("delete the one that is not yours")
                        .command(format!("kubectl delete {} {name}", sort.resource())),
                );
            } else if is_podgate(configuration) {
                seen.push(
                    Observation::warning(COPIES, place, "it is another copy of podgate")
                        .why("both judge: a Pod has to fulfil the policies of both, and either can refuse for its own sake")
                        .fix("uninstall one, or let them judge different namespaces")
                        .command(format!("kubectl get {} {name} -o yaml", sort.resource())),
                );
            } else if OTHERS.iter().any(|it| name.contains(it)) {
                others.push(name.to_owned());
            }
        }
    }
    others.sort();
    others.dedup();
    if !others.is_empty() {
        let what = format!("others judge Pods too: {}", named(&others));
        seen.push(
            Observation::note(COPIES, "webhooks", what)
                .why("of several that reject a Pod, only one is heard by the user"),
        );
    }
    if seen.len() == before && is_complete {
        seen.push(Observation::ok(
            COPIES,
            "webhooks",
            "there is no second copy",
        ));
    }
}

fn calls(configuration: &Configuration, namespace: &str, service: &str) -> bool {
    configuration.webhooks.iter().any(|it| {
        let called = it.client_config.service.as_ref();
        called.is_some_and(|it| it.namespace == namespace && it.name == service)
    })
}

fn is_podgate(configuration: &Configuration) -> bool {
    let mut names = configuration.webhooks.iter().map(|it| it.name.as_str());
    names.any(|it| it.strip_suffix(DOMAIN).is_some_and(|it| it.ends_with('.')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases};
    use crate::cluster::snapshot::Snapshot;

    fn copy(
        name: &'static str,
        change: impl Fn(&mut super::Configuration),
    ) -> impl Fn(&mut Snapshot) {
        move |it| {
            let all = it.validating.as_mut().unwrap();
            let mut copy = all[0].clone();
            copy.metadata.name = Some(name.to_owned());
            change(&mut copy);
            all.push(copy);
        }
    }

    #[test]
    fn whoever_else_judges_is_named() {
        let kind = "ValidatingWebhookConfiguration";
        cases(&[
            Case::new(
                copy("old", |_| ()),
                &format!("warning copies: {kind} old: it calls the same podgate"),
            ),
            Case::new(
                copy("old", |it| {
                    for webhook in &mut it.webhooks {
                        webhook.client_config.service.as_mut().unwrap().namespace =
                            "other".to_owned();
                    }
                }),
                &format!("warning copies: {kind} old: it is another copy"),
            ),
            Case::new(
                copy("kyverno-resource-validating-webhook-cfg", |it| {
                    it.webhooks.clear();
                }),
                "note copies: webhooks: others judge Pods too: kyverno-resource-validating-webhook-cfg",
            ),
        ]);
    }
}
