//! What a body may take in memory: no Pod, however it is made up, has podgate keep much more than its text.
//!
//! Each case is answered in a process of its own, which is this test again, and the kernel says what it took.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use podgate::decision::Stage;
use podgate::pod::{PodView, json};
use podgate::policy::PolicySet;
use podgate::review::Review;
use serde_json::{Value, json as value};

use crate::support::{create, policies, policy, update, validate};

/// The most that the server reads.
const BODY: usize = 7 * 1024 * 1024;

/// In kB, beside the body. The installed Deployment has 256 MiB, and budgets its bodies apart.
const MOST: u64 = 48 * 1024;

/// Where the body is that the process is for.
const BODY_AT: &str = "PODGATE_TEST_BODY";

/// Everything at once: findings in all modes by several policies, injections, and labels.
const POLICIES: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: restricted}
spec:
  mode: enforce
  level: restricted
  inject:
    seccompProfile: RuntimeDefault
    capabilities: {drop: [ALL]}
    runAsNonRoot: true
    allowPrivilegeEscalation: false
---
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: further}
spec:
  mode: warn
  controls:
    readOnlyRootFilesystem: {}
    runAsUser: {ranges: [{min: 1000, max: 65535}]}
    supplementalGroups: {ranges: [{min: 1000, max: 65535}]}
    capabilities: {requiredDrop: [NET_RAW], allowedAdd: [CHOWN]}
    volumes: {allowed: [configMap]}
---
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
";

/// A body: what stands before the part that is repeated until it is full, that part, and what stands behind it.
/// `@` in it is replaced by a number.
struct Case {
    name: &'static str,
    resource: (&'static str, &'static str),
    before: String,
    repeated: String,
    after: &'static str,
    /// Repeated no more often than this.
    times: usize,
}

fn case(name: &'static str, before: &str, repeated: &str, after: &'static str) -> Case {
    Case {
        name,
        resource: ("", "pods"),
        before: format!(r#""operation":"CREATE","object":{{{before}"#),
        repeated: repeated.to_owned(),
        after,
        times: usize::MAX,
    }
}

#[allow(
    clippy::too_many_lines,
    reason = "a table: every list that a Pod can have"
)]
fn cases() -> Vec<Case> {
    let in_spec =
        |name, list: &str, item: &str| case(name, &format!(r#""spec":{{"{list}":["#), item, "]}}");
    let in_container = |name, field: &str, item: &str| {
        case(
            name,
            &format!(r#""spec":{{"containers":[{{{field}"#),
            item,
            "]}]}}",
        )
    };
    let in_context = |name, field: &str, item: &str| {
        case(
            name,
            &format!(
                r#""spec":{{"containers":[{{"securityContext":{{"capabilities":{{"{field}":["#
            ),
            item,
            "]}}}]}}",
        )
    };
    let in_pod_context = |name, field: &str, item: &str| {
        case(
            name,
            &format!(r#""spec":{{"containers":[{{}}],"securityContext":{{"{field}":["#),
            item,
            "]}}}",
        )
    };
    let in_metadata = |name, field: &str, open: &str, item: &str, close| {
        case(
            name,
            &format!(r#""spec":{{"containers":[{{}}]}},"metadata":{{"{field}":{open}"#),
            item,
            close,
        )
    };
    // As many containers as are kept, each as bad as can be, in a text that is as long as can be.
    let bad = r#"{"name":"@","image":"i","env":"PAD","ports":[{"hostPort":1}],"securityContext":{"privileged":true,"capabilities":{"add":["A","B"]},"procMount":"Unmasked","runAsUser":0,"runAsGroup":0,"seccompProfile":{"type":"Unconfined"},"appArmorProfile":{"type":"Unconfined"},"seLinuxOptions":{"type":"a","user":"b","role":"c"},"windowsOptions":{"hostProcess":true}},"livenessProbe":{"httpGet":{"host":"h"}}}"#;
    let padded = |times: usize| {
        bad.replace(
            "PAD",
            &"x".repeat((BODY / times).saturating_sub(bad.len() + 40)),
        )
    };
    let long = "z".repeat(4000);
    let mut cases = vec![
        in_spec("containers", "containers", "{}"),
        in_spec("init containers", "initContainers", "{}"),
        in_spec(
            "ephemeral containers",
            "ephemeralContainers",
            r#"{"name":"@"}"#,
        ),
        in_spec(
            "privileged containers",
            "containers",
            r#"{"name":"@","securityContext":{"privileged":true}}"#,
        ),
        in_spec("volumes", "volumes", "{}"),
        in_spec(
            "host paths",
            "volumes",
            r#"{"name":"@","hostPath":{"path":"/"}}"#,
        ),
        case(
            "sources of a volume",
            r#""spec":{"volumes":[{"a":1"#,
            r#","@":1"#,
            "}]}}",
        ),
        in_container("ports", r#""ports":["#, r#"{"hostPort":@}"#),
        in_container("mounts", r#""volumeMounts":["#, "{}"),
        in_container("devices", r#""volumeDevices":["#, "{}"),
        in_container("environment", r#""env":["#, "{}"),
        in_context("added capabilities", "add", r#""@""#),
        in_context("dropped capabilities", "drop", r#""""#),
        in_context("escaped capabilities", "add", r#""\u0041@""#),
        in_pod_context("groups of processes", "supplementalGroups", "1"),
        in_pod_context("kernel parameters", "sysctls", "{}"),
        in_pod_context("named kernel parameters", "sysctls", r#"{"name":"@"}"#),
        in_metadata("annotations", "annotations", "{", r#""@":"""#, "}}}"),
        in_metadata("labels", "labels", "{", r#""@":"""#, "}}}"),
        in_metadata("one label", "labels", "{", r#""a":"""#, "}}}"),
        in_metadata(
            "owners",
            "ownerReferences",
            "[",
            r#"{"kind":"","name":""}"#,
            "]}}",
        ),
        case(
            "a field that comes twice",
            r#""spec":{"containers":[{}]"#,
            r#","containers":[{}]"#,
            "}}",
        ),
        case("lists in lists", r#""spec":{"x":["#, "[]", "]}}"),
    ];
    for (name, times) in [
        ("2000 bad containers", 2000),
        ("400 bad containers", 400),
        ("300 bad containers", 300),
    ] {
        let mut it = in_spec(name, "containers", &padded(times));
        it.times = times;
        cases.push(it);
    }
    let mut named = in_spec(
        "2000 containers with long names",
        "containers",
        &format!(r#"{{"name":"@{}"}}"#, "n".repeat(3000)),
    );
    named.times = 2000;
    cases.push(named);
    let mut good = in_spec(
        "700 containers that say nothing",
        "containers",
        r#"{"name":"@"}"#,
    );
    good.times = 700;
    cases.push(good);
    let mut inherited = case(
        "long values that 2000 containers inherit",
        &format!(
            r#""spec":{{"securityContext":{{"seccompProfile":{{"type":"Localhost","localhostProfile":"{long}"}},"appArmorProfile":{{"type":"Localhost","localhostProfile":"\u0041{long}"}},"seLinuxOptions":{{"type":"{long}","user":"{long}"}}}},"containers":["#
        ),
        r#"{"name":"@"}"#,
        "]}}",
    );
    inherited.times = 2000;
    cases.push(inherited);
    let mut templates = vec![
        (
            ("apps", "deployments"),
            in_spec("containers of a Deployment", "containers", "{}"),
            "spec\":{\"template",
        ),
        (
            ("batch", "cronjobs"),
            in_spec("containers of a CronJob", "containers", "{}"),
            "spec\":{\"jobTemplate\":{\"spec\":{\"template",
        ),
    ];
    for (resource, mut it, path) in templates.drain(..) {
        it.resource = resource;
        it.before = it
            .before
            .replacen(r#""object":{"#, &format!(r#""object":{{"{path}":{{"#), 1);
        it.after = if resource.0 == "apps" {
            "]}}}}"
        } else {
            "]}}}}}}"
        };
        cases.push(it);
    }
    let mut updated = in_spec("containers of the old object", "containers", "{}");
    updated.before = String::from(
        r#""operation":"UPDATE","object":{"spec":{"containers":[{"name":"a"}]}},"oldObject":{"spec":{"containers":["#,
    );
    cases.push(updated);
    let mut both = in_spec(
        "300 bad containers of both objects",
        "containers",
        &padded(600),
    );
    both.times = 300;
    let old: Vec<String> = (0..300)
        .map(|at| both.repeated.replace('@', &format!("{at}")))
        .collect();
    both.repeated = both.repeated.replace(r#""image":"i""#, r#""image":"j""#);
    both.before = format!(
        r#""operation":"UPDATE","oldObject":{{"spec":{{"containers":[{}]}}}},"object":{{"spec":{{"containers":["#,
        old.join(",")
    );
    cases.push(both);
    let mut groups = case("groups of the requester", "", r#""@""#, "]}");
    groups.before = String::from(
        r#""operation":"CREATE","object":{"spec":{"containers":[{}]}},"userInfo":{"groups":["#,
    );
    cases.push(groups);
    cases
}

impl Case {
    fn body(&self) -> Vec<u8> {
        let (group, resource) = self.resource;
        let mut text = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","namespace":"n","resource":{{"group":"{group}","resource":"{resource}"}},{}"#,
            self.before
        );
        let end = format!("{}}}}}", self.after);
        let begin = text.len();
        let room = BODY - text.len() - end.len();
        let comma = if self.repeated.starts_with(',') {
            ""
        } else {
            ","
        };
        if self.repeated.contains('@') {
            for at in 0..self.times {
                let item = self.repeated.replace('@', &at.to_string());
                if text.len() - begin + item.len() + comma.len() >= room {
                    break;
                }
                if at > 0 {
                    text += comma;
                }
                text += &item;
            }
        } else {
            let item = format!("{}{comma}", self.repeated);
            let more = item.repeat((room / item.len()).min(self.times));
            text += more.strip_suffix(comma).unwrap_or(&more);
        }
        (text + &end).into_bytes()
    }
}

/// The most memory that the answers to this body take, in kB, and the last of them.
fn measure(body: &[u8], set: &PolicySet) -> (u64, String) {
    let labels: BTreeMap<String, String> = [
        ("enforce", "restricted"),
        ("warn", "baseline"),
        ("audit", "restricted"),
        ("audit-version", "v1.20"),
    ]
    .map(|(key, value)| {
        (
            format!("pod-security.kubernetes.io/{key}"),
            value.to_owned(),
        )
    })
    .into();
    let before = kilobytes("VmRSS:");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut answers = Vec::new();
    for stage in [Stage::Mutate, Stage::Validate] {
        answers.push(match Review::parse(body) {
            Ok(review) => review.answer(stage, set, Some(&labels)).body,
            Err(refusal) => refusal.to_string().into_bytes(),
        });
    }
    let taken = kilobytes("VmHWM:").saturating_sub(before);
    let text = answers.pop().unwrap();
    let answer = serde_json::from_slice::<Value>(&text).map_or_else(
        |_| String::from_utf8(text).unwrap(),
        |it| {
            format!(
                "{} {}",
                it["response"]["allowed"], it["response"]["status"]["message"]
            )
        },
    );
    (taken, answer)
}

fn kilobytes(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn no_body_takes_much_more_memory_than_its_text() {
    if let Ok(path) = std::env::var(BODY_AT) {
        let (taken, answer) = measure(&fs::read(path).unwrap(), &policies(POLICIES));
        println!("\n{BODY_AT} {taken} {answer}");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body.json");
    let mut over = Vec::new();
    for it in cases() {
        fs::write(&path, it.body()).unwrap();
        let output = Command::new(&this)
            .args([
                "--exact",
                "memory::no_body_takes_much_more_memory_than_its_text",
                "--nocapture",
            ])
            .env(BODY_AT, &path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix(BODY_AT));
        let told = line.and_then(|line| line.trim().split_once(' '));
        let Some((taken, answer)) = told else {
            panic!(
                "{}: {text}{}",
                it.name,
                String::from_utf8_lossy(&output.stderr)
            );
        };
        let taken: u64 = taken.parse().unwrap();
        let answer: String = answer.chars().take(200).collect();
        println!("{taken:>7} kB  {}: {answer}", it.name);
        if taken > MOST {
            over.push(format!("{}: {taken} kB", it.name));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

fn many(item: &Value, count: usize) -> Value {
    vec![item.clone(); count].into()
}

/// What `policies/README.md` says.
#[test]
fn a_pod_within_the_limits_is_read() {
    let annotations: serde_json::Map<String, Value> = (0..20_000)
        .map(|at| (at.to_string(), value!("a")))
        .collect();
    for spec in [
        value!({"containers": many(&value!({}), 2000)}),
        value!({"volumes": many(&value!({"name": "a", "emptyDir": {}}), 7000)}),
        value!({"containers": [{"volumeMounts": many(&value!({"name": "a"}), 30_000)}]}),
        value!({"containers": [{"ports": many(&value!({"hostPort": 1}), 100_000)}]}),
    ] {
        let pod = value!({"spec": spec}).to_string();
        json::from_str::<PodView<'_>>(&pod).unwrap();
    }
    let long = "a".repeat(200_000);
    for metadata in [
        value!({"annotations": annotations}),
        value!({"annotations": {"a": long}}),
    ] {
        let pod = value!({"metadata": metadata, "spec": {}}).to_string();
        json::from_str::<PodView<'_>>(&pod).unwrap();
    }
}

/// In no mode, of no object, and never as if it were a finding.
#[test]
fn a_pod_beyond_the_limits_is_not_admitted() {
    let bad =
        value!({"name": "a", "securityContext": {"privileged": true, "procMount": "Unmasked"}});
    let lists = "the lists of this object hold more than the 2 MiB that podgate keeps of one; that is a limit of \
                 podgate, not of a policy";
    let cases = [
        (
            value!({"containers": many(&value!({}), 5000)}),
            format!("request.object cannot be read: spec.containers: {lists}"),
        ),
        (
            value!({"containers": many(&value!({}), 2000), "initContainers": many(&value!({}), 2000)}),
            format!("request.object cannot be read: spec.initContainers: {lists}"),
        ),
        (
            value!({"containers": [{"name": "a".repeat(4097)}]}),
            "request.object cannot be read: spec.containers[0].name: a string of 4097 bytes; podgate reads none of \
             more than 4096, whatever the policies say"
                .to_owned(),
        ),
        (
            value!({"containers": many(&bad, 2000)}),
            "there is more wrong with it than the 2 MiB of findings that podgate keeps of one object; that is a limit \
             of podgate, not of a policy"
                .to_owned(),
        ),
    ];
    for mode in ["enforce", "warn", "audit"] {
        let set = policy(&format!(
            "{{mode: {mode}, level: restricted, workloads: audit}}"
        ));
        for (spec, why) in &cases {
            let pod = value!({"spec": spec});
            let old = value!({"spec": {"containers": [{"name": "a", "image": "a"}]}});
            let deployment = value!({"spec": {"template": pod}});
            for (kind, review) in [
                ("Pod", create("", "pods", &pod)),
                ("Pod", update("", "pods", &old, &pod)),
                ("Deployment", create("apps", "deployments", &deployment)),
            ] {
                let why = match kind {
                    "Pod" => why.clone(),
                    _ => why.replace(": spec.", ": spec.template.spec."),
                };
                let status = &validate(&set, &review)["status"];
                assert_eq!(
                    (status["code"].as_u64(), status["message"].as_str()),
                    (
                        Some(400),
                        Some(&*format!(
                            "podgate cannot judge this {kind}, so it is not admitted: {why}"
                        ))
                    )
                );
            }
        }
    }
}

#[test]
fn an_old_object_beyond_the_limits_keeps_its_successor_out() {
    let old = value!({"spec": {"containers": many(&value!({}), 5000)}});
    let new = value!({"spec": {"containers": [{"name": "a", "image": "a"}]}});
    let response = validate(
        &policy("{mode: warn, level: baseline}"),
        &update("", "pods", &old, &new),
    );
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("request.oldObject cannot be read: spec.containers: "),
        "{message}"
    );
}
