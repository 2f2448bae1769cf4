//! Who is not judged, and who decides that: namespaces that are left out, and selectors by which somebody could leave
//! himself out.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

use super::{Case, named, unread, webhook_place};
use crate::cluster::snapshot::Sort;
use crate::output::diagnosis::Observation;

pub(super) const NAMESPACES: &str = "excluded-namespaces";
pub(super) const OBJECTS: &str = "opt-outs";

/// The API server sets it, and nobody can change it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Where the cluster itself lives.
const SYSTEM: &str = "kube-system";

/// The conditions that podgate ships, without spaces: each is argued for in manifests/base/webhooks.
const SHIPPED: [&str; 4] = [
    concat!(
        r#"!(request.resource.group==""&&request.resource.resource=="pods"&&request.operation=="CREATE"&&"#,
        r#""system:nodes"inrequest.userInfo.groups&&has(object.metadata.annotations)&&"#,
        r#""kubernetes.io/config.mirror"inobject.metadata.annotations&&has(object.spec.nodeName)&&"#,
        r#"request.userInfo.username=="system:node:"+object.spec.nodeName)"#
    ),
    r#"request.resource.group!=""||request.resource.resource!="pods"||request.operation!="UPDATE"||object.spec!=oldObject.spec"#,
    r#"has(object.metadata.labels)&&object.metadata.labels.exists(key,key.startsWith("pod-security.kubernetes.io/"))"#,
    "oldObject==null||!has(oldObject.metadata.labels)||object.metadata.labels!=oldObject.metadata.labels",
];

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let before = seen.len();
    for (sort, webhook) in case.snapshot.own_webhooks() {
        if is_about_pods(webhook) {
            objects(case, sort, webhook, seen);
        }
    }
    let readable = case.snapshot.validating.is_ok() && case.snapshot.mutating.is_ok();
    if seen.len() == before && readable {
        let what = "no label or annotation of a Pod takes it past the gate";
        seen.push(Observation::ok(OBJECTS, "webhooks", what));
    }
    for sort in Sort::ALL {
        let (all, name) = case.snapshot.registered(sort);
        let place = format!("{} {name}", sort.kind());
        if let Err(why) = all {
            seen.push(unread(NAMESPACES, &*place, why));
            seen.push(unread(OBJECTS, &*place, why));
        } else {
            namespaces(case, sort, &place, seen);
        }
    }
}

/// True if that sort of webhook is called for Pods of a namespace with these labels.
pub(super) fn is_judged(case: &Case<'_>, sort: Sort, labels: &BTreeMap<String, String>) -> bool {
    let mut own = case.snapshot.own_webhooks();
    own.any(|(this, webhook)| {
        this == sort
            && is_about_pods(webhook)
            && selects(webhook.namespace_selector.as_ref(), labels)
    })
}

/// The labels of a namespace, if it was read.
pub(super) fn labels_of<'s>(
    case: &'s Case<'_>,
    name: &str,
) -> Option<&'s BTreeMap<String, String>> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let mut all = case.snapshot.namespaces.iter().flatten();
    let found = all.find(|it| it.metadata.name.as_deref() == Some(name))?;
    Some(found.metadata.labels.as_ref().unwrap_or(&NONE))
}

fn is_about_pods(webhook: &MutatingWebhook) -> bool {
    let mut resources = webhook
        .rules
        .iter()
        .flatten()
        .flat_map(|it| it.resources.iter().flatten());
    resources.any(|it| it == "pods" || it.starts_with('*') || it == "pods/*")
}

/// A selector that the API server would not take selects everything, as no selector does.
fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let selector = selector.and_then(|it| Selector::try_from(it.clone()).ok());
    selector.is_none_or(|it| it.matches(labels))
}

fn keys(selector: Option<&LabelSelector>) -> Vec<String> {
    let labels = selector
        .iter()
        .flat_map(|it| it.match_labels.iter().flatten());
    let expressions = selector
        .iter()
        .flat_map(|it| it.match_expressions.iter().flatten());
    let labels = labels.map(|(key, _)| key.clone());
    labels.chain(expressions.map(|it| it.key.clone())).collect()
}

fn objects(case: &Case<'_>, sort: Sort, webhook: &MutatingWebhook, seen: &mut Vec<Observation>) {
    let place = webhook_place(case, sort, webhook);
    let hole = |what: String| match sort {
        Sort::Validating => Observation::error(OBJECTS, &*place, what),
        Sort::Mutating => Observation::warning(OBJECTS, &*place, what),
    };
    let lost = match sort {
        Sort::Validating => {
            "labels and annotations of a Pod are chosen by whoever creates it: anyone can get past the gate"
        }
        Sort::Mutating => {
            "labels and annotations of a Pod are chosen by whoever creates it: anyone can go without the defaults"
        }
    };
    let selected = keys(webhook.object_selector.as_ref());
    if !selected.is_empty() {
        let what = format!("objectSelector selects by {}", named(&selected));
        seen.push(
            hole(what)
                .why(lost)
                .fix("take the objectSelector out, and exclude with the match of a policy"),
        );
    }
    for condition in webhook.match_conditions.iter().flatten() {
        let dense: String = condition.expression.split_whitespace().collect();
        if SHIPPED.contains(&dense.as_str()) {
            continue;
        }
        let said = format!(
            "matchCondition {}: {}",
            condition.name, condition.expression
        );
        let reads = |field: &str| dense.contains(field);
        let by_creator = reads("object.metadata.labels") || reads("object.metadata.annotations");
        if by_creator && !reads("request.userInfo") && !reads("authorizer.") {
            let fix = "decide by request.userInfo or by the namespace, or take the condition out";
            seen.push(hole(said).why(lost).fix(fix));
        } else {
            seen.push(
                Observation::note(OBJECTS, &*place, said)
                    .why("podgate ships no such condition; what does not fulfil it is not judged"),
            );
        }
    }
}

fn namespaces(case: &Case<'_>, sort: Sort, place: &str, seen: &mut Vec<Observation>) {
    let names = &case.snapshot.names;
    let own = case.snapshot.own(sort).into_iter();
    let webhooks: Vec<_> = own
        .flat_map(|it| &it.webhooks)
        .filter(|it| is_about_pods(it))
        .collect();
    if webhooks.is_empty() {
        return;
    }
    let before = seen.len();
    let mut others: Vec<String> = webhooks
        .iter()
        .flat_map(|it| keys(it.namespace_selector.as_ref()))
        .filter(|key| key != NAME_LABEL)
        .collect();
    others.dedup();
    let all = match &case.snapshot.namespaces {
        Err(why) => {
            seen.push(unread(NAMESPACES, place, why));
            return;
        }
        Ok(all) => all,
    };
    let name = |it: &Namespace| it.metadata.name.clone().unwrap_or_default();
    let left_out: Vec<String> = all
        .iter()
        .filter(|it| {
            let labels = it.metadata.labels.clone().unwrap_or_default();
            !is_judged(case, sort, &labels)
        })
        .map(name)
        .collect();
    let is_left_out = |namespace: &str| left_out.iter().any(|it| it == namespace);
    if all.iter().map(name).any(|it| it == names.namespace) && !is_left_out(&names.namespace) {
        seen.push(
            Observation::error(NAMESPACES, place, format!("podgate's own namespace {} is judged", names.namespace))
                .why("once podgate is down it cannot be started again: its Pods would have to ask itself")
                .fix(format!("add {} to the values of {NAME_LABEL} NotIn in the namespaceSelector", names.namespace)),
        );
    }
    if all.iter().map(name).any(|it| it == SYSTEM) && !is_left_out(SYSTEM) {
        seen.push(
            Observation::warning(NAMESPACES, place, format!("{SYSTEM} is judged"))
                .why("a cluster that was wholly down cannot start its network and its DNS while podgate does not answer, and podgate may need these")
                .fix(format!("add {SYSTEM} to the values of {NAME_LABEL} NotIn in the namespaceSelector")),
        );
    }
    let further: Vec<String> = left_out
        .into_iter()
        .filter(|it| *it != names.namespace && it != SYSTEM)
        .collect();
    if !others.is_empty() {
        let now = if further.is_empty() {
            "none now".to_owned()
        } else {
            named(&further)
        };
        let what = format!(
            "namespaces are left out by the label {}: {now}",
            named(&others)
        );
        seen.push(
            Observation::warning(NAMESPACES, place, what)
                .why("whoever may change the labels of a namespace can take it past the gate")
                .fix(format!("select by {NAME_LABEL}, which nobody can change, or exclude with the match of a policy"))
                .command(format!("kubectl get namespaces -L {}", others.join(","))),
        );
    } else if !further.is_empty() {
        let what = format!("not judged, by their names: {}", named(&further));
        seen.push(
            Observation::note(NAMESPACES, place, what)
                .why("whoever may create Pods there can do what podgate forbids elsewhere")
                .command(format!(
                    "kubectl auth can-i create pods -n {} --as SOMEBODY",
                    further[0]
                )),
        );
    }
    if seen.len() == before {
        let what = format!("only {SYSTEM} and {} are not judged", names.namespace);
        seen.push(Observation::ok(NAMESPACES, place, what));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::MatchCondition;
    use serde_json::json;

    use super::super::testing::{Case, Webhook, cases, from, healthy, observed};

    fn selector(value: &serde_json::Value) -> impl Fn(&mut Webhook) + use<> {
        let selector: super::LabelSelector = from(value);
        move |it| it.namespace_selector = Some(selector.clone())
    }

    #[test]
    fn holes_are_named() {
        let place = "ValidatingWebhookConfiguration podgate";
        let gate = &format!("{place}, webhook gate.podgate.dev");
        let by_name = |values: &[&str]| json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": values}]});
        cases(&[
            Case::webhook(
                |it| {
                    it.object_selector = Some(from(
                        &json!({"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}),
                    ));
                },
                &format!("error opt-outs: {gate}: objectSelector selects by skip"),
            ),
            Case::new(
                |it| {
                    let webhook = &mut it.mutating.as_mut().unwrap()[0].webhooks[0];
                    webhook.object_selector = Some(from(&json!({"matchLabels": {"a": "b"}})));
                },
                "warning opt-outs: MutatingWebhookConfiguration podgate, webhook inject.podgate.dev: objectSelector selects by a",
            ),
            Case::webhook(
                |it| {
                    it.match_conditions.as_mut().unwrap().push(MatchCondition {
                        name: "trusted".to_owned(),
                        expression: "!has(object.metadata.labels)".to_owned(),
                    });
                },
                &format!(
                    "error opt-outs: {gate}: matchCondition trusted: !has(object.metadata.labels)"
                ),
            ),
            Case::webhook(
                |it| {
                    it.match_conditions.as_mut().unwrap().push(MatchCondition {
                        name: "admins".to_owned(),
                        expression: "request.userInfo.username != 'me'".to_owned(),
                    });
                },
                &format!("note opt-outs: {gate}: matchCondition admins: "),
            ),
            Case::webhook(
                selector(&by_name(&["kube-system"])),
                &format!(
                    "error excluded-namespaces: {place}: podgate's own namespace podgate-system is judged"
                ),
            ),
            Case::webhook(
                selector(&by_name(&["podgate-system"])),
                &format!("warning excluded-namespaces: {place}: kube-system is judged"),
            ),
            Case::webhook(
                selector(&by_name(&["podgate-system", "kube-system", "shop"])),
                &format!("note excluded-namespaces: {place}: not judged, by their names: shop"),
            ),
            Case::webhook(
                |it| {
                    let selector = it.namespace_selector.as_mut().unwrap();
                    selector.match_labels = from(&json!({"gate": "on"}));
                },
                &format!(
                    "warning excluded-namespaces: {place}: namespaces are left out by the label gate: default, shop"
                ),
            ),
        ]);
    }

    /// So that a change of either is noticed.
    #[test]
    fn the_conditions_that_are_shipped_are_known() {
        let seen = observed(&healthy());
        let told = seen.iter().find(|it| it.contains("matchCondition"));
        assert_eq!(told, None);
        assert!(
            seen.iter().any(|it| it.starts_with("ok opt-outs: ")),
            "{seen:#?}"
        );
    }
}
