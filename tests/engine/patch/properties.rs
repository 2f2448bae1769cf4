//! What holds for every Pod and all policies. Each function takes one case and panics where it does not hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podgate::decision::{Operation, Request, Stage, decide};
use podgate::pod::{Kind, PodView, json};
use podgate::policy::PolicySet;
use serde_json::{Value, json};

use super::case::Case;
use super::changes::{changes, is_allowed, tokens};
use super::validation::{
    app_armor_annotations_are_valid, containers, effective, escalates, is_windows, items, names,
    shares_node, violations,
};
use crate::support::{answer, mutate};

/// The object after the mutating half.
fn injected(case: &Case, set: &PolicySet) -> Value {
    mutate(set, &case.review(&case.pod))
}

/// The patch applies; what it changes was unset and is what an injection says; every operation changes something.
pub(crate) fn changes_nothing_but_what_is_missing(case: &Case) {
    let response = answer(&case.set(), Stage::Mutate, &case.review(&case.pod));
    assert_eq!(response["allowed"], true);
    let Some(patch) = response["patch"].as_str() else {
        return;
    };
    assert_eq!(response["patchType"], "JSONPatch");
    let patch: json_patch::Patch =
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    let mut after = case.pod.clone();
    for operation in &patch.0 {
        let before = after.clone();
        json_patch::patch(&mut after, std::slice::from_ref(operation)).unwrap();
        assert_ne!(before, after, "{operation} changes nothing");
    }
    for change in changes(&case.pod, &after) {
        assert!(is_allowed(case, &change), "{change:?}");
        if change.path == ["spec", "automountServiceAccountToken"] && change.after == false {
            assert_eq!(tokens(&after), [&Value::Null; 0]);
        }
    }
}

/// Mutating the result again gives no patch.
pub(crate) fn injects_once(case: &Case) {
    let set = case.set();
    let after = injected(case, &set);
    let again = answer(&set, Stage::Mutate, &case.review(&after));
    assert_eq!(
        again,
        json!({"uid": "u-1", "allowed": true}),
        "after {after}"
    );
}

/// Policies in another order give the same answer, byte for byte.
pub(crate) fn does_not_depend_on_the_order_of_policies(case: &Case) {
    let review = case.review(&case.pod);
    let answer = |set: &PolicySet| answer(set, Stage::Mutate, &review);
    assert_eq!(answer(&case.set()), answer(&case.reordered()));
}

/// Policies by other names give the same object, if they do not contradict each other.
pub(crate) fn does_not_depend_on_the_names_of_policies(case: &Case) {
    let [mut one, mut two] = [case.set(), case.renamed()].map(|set| injected(case, &set));
    for pod in [&mut one, &mut two] {
        sort_capabilities(pod);
    }
    assert_eq!(one, two);
}

/// They are sets.
fn sort_capabilities(pod: &mut Value) {
    for list in super::pods::LISTS {
        for container in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            for which in ["add", "drop"] {
                let pointer = format!("/securityContext/capabilities/{which}");
                if let Some(names) = container
                    .pointer_mut(&pointer)
                    .and_then(Value::as_array_mut)
                {
                    names.sort_unstable_by_key(Value::to_string);
                }
            }
        }
    }
}

/// Nothing is wrong with the Pod that was not wrong before.
pub(crate) fn contradicts_no_validation(case: &Case) {
    let before = violations(&case.pod);
    for violation in violations(&injected(case, &case.set())) {
        assert!(before.contains(&violation), "{violation}");
    }
}

/// Injecting and judging at once finds what judging the patched object finds, word by word.
pub(crate) fn judges_what_it_injects(case: &Case) {
    let set = case.judging_all();
    let after = injected(case, &set);
    let whole = answer(&set, Stage::Whole, &case.review(&case.pod));
    assert_eq!(whole, answer(&set, Stage::Validate, &case.review(&after)));
}

/// The view that was judged is the one that the patched object reads as.
pub(crate) fn sees_what_the_patch_makes(case: &Case) {
    let set = case.set();
    let text = case.pod.to_string();
    let old = case.old.as_ref().map(Value::to_string);
    let mut view: PodView<'_> = json::from_str(&text).unwrap();
    let old: Option<PodView<'_>> = old.as_deref().map(|it| json::from_str(it).unwrap());
    let operation = if old.is_some() {
        Operation::Update
    } else {
        Operation::Create
    };
    let decision = decide(
        &set,
        &Request {
            stage: Stage::Mutate,
            operation,
            kind: Kind::Pod,
            subresource: "",
            namespace: "shop",
            namespace_labels: None,
            user: "jane",
            groups: &[],
            pod: &view,
            old: old.as_ref(),
        },
    )
    .unwrap();
    let edits: Vec<_> = decision.injected.into_iter().map(|it| it.edit).collect();
    for edit in edits {
        edit.apply(&mut view);
    }
    let after = injected(case, &set).to_string();
    assert_eq!(view, json::from_str::<PodView<'_>>(&after).unwrap());
}

/// A policy that injects something does not find it missing, unless it could not be injected.
pub(crate) fn satisfies_the_policy_that_injects(case: &Case) {
    if case.old.is_some() {
        // Only a part of the Pod was open.
        return;
    }
    let set = case.judging();
    let after = injected(case, &set);
    let response = answer(&set, Stage::Validate, &case.review(&after));
    assert!(
        response["auditAnnotations"]
            .get("findings-omitted")
            .is_none()
    );
    let findings = response["auditAnnotations"]["findings"]
        .as_str()
        .unwrap_or("[]");
    let findings: Value = serde_json::from_str(findings).unwrap();
    for finding in items(&findings) {
        let (Some(control), Some(path)) = (finding["control"].as_str(), finding["path"].as_str())
        else {
            panic!("{finding}")
        };
        let is_missing = finding["current"] == "unset" || path.ends_with("capabilities.drop");
        assert!(
            !is_missing || is_excused(case, &after, control, path),
            "{finding} after {after}"
        );
    }
}

/// True if what is missing could not be injected.
fn is_excused(case: &Case, pod: &Value, control: &str, path: &str) -> bool {
    let container = containers(pod).find(|(at, _)| path.starts_with(&format!("{at}.")));
    let container = container.map_or(&Value::Null, |(_, it)| it);
    match control {
        "seccomp" => {
            let annotation = pod["metadata"]["annotations"][super::pods::SECCOMP_POD].as_str();
            let values = || {
                case.injections
                    .iter()
                    .filter(|it| it.name == "seccompProfile")
                    .map(|it| &it.value)
            };
            let profile = |it: &Value| {
                let (kind, path) = it.as_str().and_then(|it| it.split_once('/')).unzip();
                json!({"type": kind.or(it.as_str()), "localhostProfile": path})
            };
            annotation.is_some_and(|it| values().any(|value| !names(it, &profile(value))))
        }
        "appArmor" => !app_armor_annotations_are_valid(pod),
        "capabilities" => {
            let own = &container["securityContext"]["capabilities"];
            let has = |list: &str, name: &Value| items(&own[list]).any(|it| it == name);
            let dropped = case
                .injections
                .iter()
                .filter(|it| it.name == control)
                .flat_map(|it| items(&it.value["drop"]));
            let mut missing =
                dropped.filter(|name| !has("drop", name) && !has("drop", &json!("ALL")));
            missing.all(|name| has("add", name))
        }
        "allowPrivilegeEscalation" => escalates(container),
        "runAsNonRoot" => effective(pod, container, "runAsUser") == 0,
        "runAsUser" => effective(pod, container, "runAsNonRoot") == true,
        "hostUsers" => shares_node(pod) || is_windows(pod),
        _ => false,
    }
}
