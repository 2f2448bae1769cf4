//! A review as the API server writes it, and its answer as JSON.

use podgate::decision::Stage;
use podgate::policy::{PolicySet, shipped};
use podgate::review::Review;
use serde_json::{Value, json};

/// A set of one file.
#[track_caller]
pub(crate) fn policies(yaml: &str) -> PolicySet {
    PolicySet::load("the test", &[("policy.yaml".to_owned(), yaml.to_owned())]).unwrap()
}

/// A policy with this `spec`, in flow style.
pub(crate) fn policy(spec: &str) -> PolicySet {
    policies(&format!(
        "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    ))
}

/// A CREATE of the object as that resource of the group.
pub(crate) fn create(group: &str, resource: &str, object: &Value) -> Value {
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "resource": {"group": group, "version": "v1", "resource": resource},
        "name": "web", "namespace": "shop", "operation": "CREATE",
        "userInfo": {"username": "jane", "groups": ["devs", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false, "options": null}})
}

/// An UPDATE from one object to another.
pub(crate) fn update(group: &str, resource: &str, old: &Value, new: &Value) -> Value {
    let mut review = create(group, resource, new);
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["oldObject"] = old.clone();
    review
}

/// The `response` of the answer; its uid is the request's.
#[track_caller]
pub(crate) fn answer(set: &PolicySet, stage: Stage, review: &Value) -> Value {
    let bytes = serde_json::to_vec(review).unwrap();
    let answer = Review::parse(&bytes).unwrap().answer(stage, set, None);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    answer["response"].clone()
}

/// The answer of the validating half.
#[track_caller]
pub(crate) fn validate(set: &PolicySet, review: &Value) -> Value {
    answer(set, Stage::Validate, review)
}

/// The object after the mutating half, by applying its patch.
#[track_caller]
pub(crate) fn mutate(set: &PolicySet, review: &Value) -> Value {
    use base64::Engine as _;
    let response = answer(set, Stage::Mutate, review);
    assert_eq!(response["allowed"], true);
    let mut object = review["request"]["object"].clone();
    if let Some(patch) = response["patch"].as_str() {
        let patch = base64::engine::general_purpose::STANDARD
            .decode(patch)
            .unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
    }
    object
}

/// The shipped policies.
pub(crate) fn defaults() -> PolicySet {
    shipped().unwrap()
}

/// A review that a real API server sent.
pub(crate) fn recorded(name: &str) -> Value {
    let path = format!("{}/tests/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
