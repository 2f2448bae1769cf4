//! What podgate has never heard of is judged or denied, and never overlooked. Before the real engine.

use serde_json::{Value, json};

use super::judged::{Judge, pod_review, review};

/// The denial by the shipped baseline of the Pod `shop/web`, in its exact words.
fn denial(control: &str, finding: &str, cause: &Value) -> Value {
    json!({
        "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": format!(
            "Pod shop/web breaks policy \"baseline\": 1 finding ({control})\n  {finding}\n\
             why: https://kubernetes.io/docs/concepts/security/pod-security-standards/\n\
             try it before applying: podgate check FILE"
        ),
        "details": {"kind": "Pod", "name": "web", "causes": [cause]},
    })
}

#[tokio::test]
async fn an_unknown_volume_source_is_a_finding_that_says_so() {
    let mut judge = Judge::start().await;
    let pod = pod_review(
        r#"{"spec":{"containers":[],"volumes":[{"name":"v","quantumFoam":{"deep":[1]}}]}}"#,
    );
    let response = judge.response("/validate", pod.clone()).await;
    assert_eq!(response["allowed"], false);
    let expected = denial(
        "volumes",
        "1. volume \"v\": spec.volumes[0].quantumFoam is set, which podgate does not know; \
         must be unset: allowed is any type podgate knows but hostPath",
        &json!({"reason": "FieldValueForbidden", "field": "spec.volumes[0].quantumFoam",
            "message": "[volumes] volume \"v\": must be unset: allowed is any type podgate knows but hostPath; \
                        found set, which podgate does not know"}),
    );
    assert_eq!(response["status"], expected);
    // Whatever the mutating half writes, the validating one comes after it.
    assert_eq!(judge.response("/mutate", pod).await["allowed"], true);
    // `null` is no source, and a volume without one is not let through either.
    let pod =
        pod_review(r#"{"spec":{"containers":[],"volumes":[{"name":"v","quantumFoam":null}]}}"#);
    let response = judge.response("/validate", pod).await;
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(
        response["status"]["details"]["causes"][0]["field"],
        "spec.volumes[0]"
    );
}

#[tokio::test]
async fn an_unknown_subresource_of_a_pod_is_judged_as_the_pod() {
    let mut judge = Judge::start().await;
    let mut review = review(
        "",
        "pods",
        &json!({"spec": {"hostPID": true, "containers": []}}),
    );
    review["request"]["subResource"] = json!("teleport");
    let response = judge.response("/validate", review.to_string()).await;
    assert_eq!(response["allowed"], false);
    let expected = denial(
        "hostNamespaces",
        "1. spec.hostPID is true; must be false or unset\n     fix: spec: {hostPID: false}",
        &json!({"reason": "FieldValueForbidden", "field": "spec.hostPID",
            "message": "[hostNamespaces] must be false or unset; found true"}),
    );
    assert_eq!(response["status"], expected);
    review["request"]["object"] = json!({"target": {"kind": "Node"}});
    let unreadable = "podgate cannot judge this Pod, so it is not admitted: request.object cannot be read: missing field `spec`";
    judge.denies(review.to_string(), unreadable).await;
    for known in [
        "attach",
        "binding",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "status",
    ] {
        review["request"]["subResource"] = json!(known);
        judge.allows(review.to_string()).await;
    }
    // Spelling counts.
    for unknown in ["Status", "status ", "exec/x"] {
        review["request"]["subResource"] = json!(unknown);
        judge.denies(review.to_string(), unreadable).await;
    }
}

#[tokio::test]
async fn an_unknown_subresource_of_a_workload_is_judged_if_it_has_a_template_and_else_denied() {
    let mut judge = Judge::start().await;
    for (group, resource, kind, template) in [
        ("apps", "deployments", "Deployment", "spec.template"),
        ("", "podtemplates", "PodTemplate", "template"),
        (
            "batch",
            "cronjobs",
            "CronJob",
            "spec.jobTemplate.spec.template",
        ),
    ] {
        let mut review = review(group, resource, &json!({"spec": {"replicas": 1}}));
        for known in ["scale", "status"] {
            review["request"]["subResource"] = json!(known);
            judge.allows(review.to_string()).await;
        }
        review["request"]["subResource"] = json!("teleport");
        let message = format!(
            "podgate cannot judge this {kind}, so it is not admitted: request.object has no {template}, \
             and podgate does not know the subresource \"teleport\""
        );
        judge.denies(review.to_string(), &message).await;
    }
    let mut review = review(
        "apps",
        "deployments",
        &json!({"spec": {"template": {"spec": {"hostPID": true}}}}),
    );
    review["request"]["subResource"] = json!("teleport");
    let response = judge.response("/validate", review.to_string()).await;
    assert_eq!(
        response["allowed"], true,
        "the shipped baseline only warns of workloads"
    );
    assert!(
        response["warnings"]
            .to_string()
            .contains("spec.template.spec.hostPID"),
        "{response}"
    );
}

#[tokio::test]
async fn an_update_without_the_old_object_is_judged_as_if_all_of_it_were_new() {
    let mut judge = Judge::start().await;
    let mut review = review(
        "",
        "pods",
        &json!({"spec": {"hostPID": true, "containers": []}}),
    );
    review["request"]["operation"] = json!("UPDATE");
    assert_eq!(
        judge.response("/validate", review.to_string()).await["status"]["code"],
        403
    );
    review["request"]["oldObject"] = review["request"]["object"].clone();
    assert_eq!(
        judge.response("/validate", review.to_string()).await["allowed"],
        true
    );
}
