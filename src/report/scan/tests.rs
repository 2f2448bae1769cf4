use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::output::results::Fate;
use crate::policy::PolicySet;
use crate::policy::level::{Level, Version};

/// What the API server answers to one request of a list, in turn; the last one again and again.
type Answers = Vec<(&'static str, Vec<(u16, Value)>)>;

fn client(answers: Answers) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let turns = answers
        .into_iter()
        .map(|(path, all)| (path, VecDeque::from(all)));
    let turns = Arc::new(Mutex::new(turns.collect::<BTreeMap<_, _>>()));
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        log.lock().unwrap().push(request.uri().to_string());
        let mut turns = turns.lock().unwrap();
        let (status, body) = match turns.get_mut(&*path) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue[0].clone(),
            None if path == "/version" => (
                200,
                json!({"major": "1", "minor": "37", "gitVersion": "v1.37.2", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            ),
            None => (200, list(&[])),
        };
        async move {
            let response = Response::builder().status(status);
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

fn list(items: &[Value]) -> Value {
    json!({"metadata": {}, "items": items})
}

fn page(items: &[Value], next: &str) -> Value {
    json!({"metadata": {"continue": next, "remainingItemCount": 1}, "items": items})
}

fn refusal(code: u16, reason: &str, after: u32) -> (u16, Value) {
    let details = json!({"retryAfterSeconds": after});
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code, "details": details}),
    )
}

fn pod(name: &str, privileged: bool) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name}, "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "a", "securityContext": {"privileged": privileged}}]}})
}

async fn run(answers: Answers, selection: Selection) -> (Results, Vec<String>) {
    run_by(
        PolicySet::of_level(Level::Baseline, Version::LATEST),
        answers,
        selection,
    )
    .await
}

async fn run_by(set: PolicySet, answers: Answers, selection: Selection) -> (Results, Vec<String>) {
    let judge = Judge::new(set, Version::LATEST, false);
    let (client, asked) = client(answers);
    let scan = Scan::new(client, &judge, selection, CancellationToken::new(), |_| {});
    let results = scan.run().await;
    let asked = asked.lock().unwrap().clone();
    (results, asked)
}

fn names(results: &Results) -> Vec<(&str, Fate)> {
    let objects = results.objects.iter();
    objects.map(|it| (it.name.as_str(), it.fate)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_is_begun_again_and_nothing_counts_twice() {
    let first = (200, page(&[pod("a", true)], "next"));
    let pods = vec![
        first.clone(),
        refusal(410, "Expired", 0),
        first,
        (200, list(&[pod("b", false)])),
    ];
    let (results, asked) = run(vec![("/api/v1/pods", pods)], Selection::default()).await;
    assert!(results.run.complete, "{:?}", results.errors);
    assert_eq!(names(&results), [("a", Fate::Rejected), ("b", Fate::Clean)]);
    assert_eq!(results.summary.scanned["pods"], 2);
    // The version, the namespaces, two pages of Pods twice, and eight kinds of workloads: nothing else is asked.
    assert_eq!(asked.len(), 1 + 1 + 4 + 8, "{asked:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_every_time_is_told_with_what_was_seen() {
    let first = (200, page(&[pod("a", true)], "next"));
    let expired = refusal(410, "Expired", 0);
    let mut pods = Vec::new();
    for _ in 0..=RESTARTS {
        pods.extend([first.clone(), expired.clone()]);
    }
    let (results, _) = run(vec![("/api/v1/pods", pods)], Selection::default()).await;
    assert!(!results.run.complete);
    assert_eq!(names(&results), [("a", Fate::Rejected)]);
    assert_eq!(
        results.errors[0],
        failure(
            "list of pods",
            "the list expired before it was read to its end (after 1 of them)"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_has_too_much_to_do_is_waited_for_as_long_as_it_says() {
    let started = tokio::time::Instant::now();
    let pods = vec![
        refusal(429, "TooManyRequests", 7),
        refusal(503, "ServiceUnavailable", 0),
        (200, list(&[pod("a", false)])),
    ];
    let (results, asked) = run(vec![("/api/v1/pods", pods)], Selection::default()).await;
    assert!(results.run.complete, "{:?}", results.errors);
    assert!(started.elapsed() >= Duration::from_secs(7));
    let pods = asked.iter().filter(|it| it.starts_with("/api/v1/pods"));
    assert_eq!(pods.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_restarts_is_waited_for_and_one_that_is_gone_is_named() {
    for (failures, is_complete) in [(3, true), (u32::MAX, false)] {
        let left = Arc::new(Mutex::new(failures));
        let service = tower::service_fn(move |request: Request<Body>| {
            let mut left = left.lock().unwrap();
            let is_down = *left > 0 && request.uri().path().ends_with("/pods");
            *left -= u32::from(is_down);
            async move {
                if is_down {
                    let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                    return Err(error);
                }
                let body = Body::from(list(&[]).to_string().into_bytes());
                Ok(Response::new(body))
            }
        });
        let judge = Judge::new(
            PolicySet::of_levels(Version::LATEST),
            Version::LATEST,
            false,
        );
        let client = Client::new(service, "default");
        let scan = Scan::new(
            client,
            &judge,
            Selection::default(),
            CancellationToken::new(),
            |_| {},
        );
        let results = scan.run().await;
        let of_pods = results.errors.iter().find(|it| it.what == "list of pods");
        assert_eq!(of_pods.is_none(), is_complete, "{:?}", results.errors);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_is_asked_for_once_and_the_rest_is_read() {
    let forbidden = vec![refusal(403, "Forbidden", 0)];
    let deployment = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d"},
        "spec": {"template": {"spec": {"hostPID": true, "containers": [{"name": "a"}]}}}});
    let (results, asked) = run(
        vec![
            ("/api/v1/pods", forbidden),
            (
                "/apis/apps/v1/deployments",
                vec![(200, list(&[deployment]))],
            ),
        ],
        Selection::default(),
    )
    .await;
    assert_eq!(names(&results), [("web", Fate::Rejected)]);
    assert_eq!(results.errors.len(), 1);
    assert!(!results.run.complete);
    let pods = asked.iter().filter(|it| it.starts_with("/api/v1/pods"));
    assert_eq!(pods.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_is_named_and_the_others_are_judged() {
    let mut odd = pod("odd", false);
    odd["spec"]["containers"] = json!(7);
    let (results, _) = run(
        vec![("/api/v1/pods", vec![(200, list(&[odd, pod("a", true)]))])],
        Selection::default(),
    )
    .await;
    assert_eq!(names(&results), [("a", Fate::Rejected)]);
    assert_eq!(results.errors[0].what, "Pod shop/odd");
    assert!(
        results.errors[0].why.contains("spec.containers"),
        "{:?}",
        results.errors
    );
    assert!(!results.run.complete);
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_stopped_says_what_it_did_not_read() {
    let judge = Judge::new(
        PolicySet::of_level(Level::Baseline, Version::LATEST),
        Version::LATEST,
        false,
    );
    let (client, _) = client(vec![("/api/v1/pods", vec![(200, list(&[pod("a", true)]))])]);
    let stop = CancellationToken::new();
    let on_pods = stop.clone();
    let scan = Scan::new(
        client,
        &judge,
        Selection::default(),
        stop,
        move |progress| {
            if progress.what == "pods" {
                on_pods.cancel();
            }
        },
    );
    let results = scan.run().await;
    assert_eq!(names(&results), [("a", Fate::Rejected)], "what is known");
    assert!(!results.run.complete);
    assert!(
        results
            .errors
            .contains(&failure("list of deployments", "interrupted"))
    );
    assert!(!results.errors.iter().any(|it| it.what == "list of pods"));
}

#[tokio::test(start_paused = true)]
async fn pods_of_an_owner_that_podgate_does_not_know_are_told_of_it() {
    let owned = |name: &str, kind: &str, api_version: &str, owner: &str| {
        let mut it = pod(name, true);
        it["metadata"]["ownerReferences"] = json!([{"apiVersion": api_version, "kind": kind, "name": owner, "uid": owner, "controller": true}]);
        it
    };
    let mut set = owned("rs", "Rollout", "argoproj.io/v1alpha1", "canary");
    set["spec"] = json!({"template": {"spec": {"containers": [{"name": "a"}]}}});
    let (results, _) = run(
        vec![
            (
                "/api/v1/pods",
                vec![(
                    200,
                    list(&[
                        owned("one", "ReplicaSet", "apps/v1", "rs"),
                        owned("two", "ReplicaSet", "apps/v1", "rs"),
                        owned("static", "Node", "v1", "node-1"),
                    ]),
                )],
            ),
            ("/apis/apps/v1/replicasets", vec![(200, list(&[set]))]),
        ],
        Selection::default(),
    )
    .await;
    let told: Vec<(&str, &str, u64)> = results
        .objects
        .iter()
        .map(|it| (&*it.kind, &*it.name, it.pods))
        .collect();
    assert_eq!(told, [("Pod", "static", 1), ("Rollout", "canary", 2)]);
    let finding = &results.objects[1].findings[0];
    assert_eq!((finding.pods, finding.in_pod.as_deref()), (2, Some("one")));
    assert_eq!(
        finding.path,
        "spec.containers[0].securityContext.privileged"
    );
    assert_eq!(results.skipped.len(), 1);
    assert!(results.skipped[0].why.contains("Rollout"));
}

#[tokio::test(start_paused = true)]
async fn pods_that_name_the_same_uid_as_their_owner_do_not_hide_each_other() {
    let owned = |namespace: &str, name: &str, owner: &str, privileged| {
        let mut it = pod(name, privileged);
        it["metadata"]["namespace"] = json!(namespace);
        it["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": owner, "uid": "d", "controller": true}]);
        it
    };
    let pods = list(&[
        owned("ops", "one", "agent", true),
        owned("shop", "two", "agent", true),
        owned("shop", "three", "forged", false),
    ]);
    let pods = vec![("/api/v1/pods", vec![(200, pods)])];
    let (results, _) = run(pods, Selection::default()).await;
    let told: Vec<(&str, u64, usize)> = results
        .objects
        .iter()
        .map(|it| (&*it.namespace, it.pods, it.findings.len()))
        .collect();
    assert_eq!(told, [("ops", 1, 1), ("shop", 2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_only_the_pod_has_stays_at_its_place_there() {
    let mut injected = pod("one", false);
    injected["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "d", "controller": true}]);
    injected["spec"]["containers"] = json!([
        {"name": "proxy", "securityContext": {"privileged": true}},
        {"name": "a", "securityContext": {"privileged": true}},
    ]);
    let agent = json!({"metadata": {"name": "agent", "namespace": "shop", "uid": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}});
    let (results, _) = run(
        vec![
            ("/api/v1/pods", vec![(200, list(&[injected]))]),
            ("/apis/apps/v1/daemonsets", vec![(200, list(&[agent]))]),
        ],
        Selection::default(),
    )
    .await;
    let findings = results.objects[0].findings.iter();
    let mut places: Vec<(&str, Option<&str>)> = findings
        .map(|it| (it.path.as_str(), it.in_pod.as_deref()))
        .collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            ("spec.containers[0].securityContext.privileged", Some("one")),
            (
                "spec.template.spec.containers[0].securityContext.privileged",
                None
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn by_labels_a_pod_is_rejected_and_a_workload_has_its_pods_rejected() {
    let text =
        "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n";
    let files = [("configuration.yaml".to_owned(), text.to_owned())];
    let set = PolicySet::load("the test", &files).unwrap();
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "privileged"});
    let namespace = json!({"metadata": {"name": "shop", "labels": labels}});
    let deployment = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d"},
        "spec": {"template": {"spec": {"hostPID": true, "containers": [{"name": "a"}]}}}});
    let (results, _) = run_by(
        set,
        vec![
            ("/api/v1/namespaces", vec![(200, list(&[namespace]))]),
            ("/api/v1/pods", vec![(200, list(&[pod("a", true)]))]),
            (
                "/apis/apps/v1/deployments",
                vec![(200, list(&[deployment]))],
            ),
        ],
        Selection::default(),
    )
    .await;
    assert_eq!(
        names(&results),
        [("web", Fate::PodsRejected), ("a", Fate::Rejected)]
    );
    let finding = &results.objects[0].findings[0];
    assert_eq!(
        finding.pod_policies,
        ["pod-security.kubernetes.io/enforce=baseline:latest"]
    );
    assert_eq!(finding.level.as_deref(), Some("baseline"));
}
