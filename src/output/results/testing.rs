//! Results for the tests of formats: one of everything, and hostile texts wherever a text can stand.

use crate::policy::{Mode, shipped};

use super::{
    Container, Failure, Fate, Finding, Injected, Namespace, Object, Obstacle, Place, Results,
    Skipped,
};

/// What a format must not be broken by: markup, quotes, separators, control characters, a mention, very much of it.
pub(crate) const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>]]>&amp;",
    "=HYPERLINK(\"http://x\",\"y\")",
    "a|b`c``d\\|e",
    "@team #1 [x](y) **z**",
    "line\r\nbreak\ttab",
    "\u{1b}[31mred\u{202e}\u{0}\u{fffe}",
    "'; \"quoted\", é🦀",
    "-1,2;3",
];

/// A finding about the Pod, which rejects.
pub(crate) fn finding(path: &str) -> Finding {
    Finding {
        control: "hostNamespaces".to_owned(),
        mode: Mode::Enforce,
        pod_mode: Mode::Enforce,
        policies: vec!["baseline".to_owned()],
        pod_policies: vec!["baseline".to_owned()],
        level: Some("baseline".to_owned()),
        container: None,
        volume: None,
        field: path.to_owned(),
        path: path.to_owned(),
        in_pod: None,
        current: "true".to_owned(),
        source: None,
        required: "false or unset".to_owned(),
        fix: Some("spec: {hostPID: false}".to_owned()),
        pods: 0,
        place: None,
        new: false,
    }
}

/// A finding about a container, which rejects.
pub(crate) fn in_container(list: &str, index: usize, name: &str) -> Finding {
    let field = "securityContext.privileged";
    Finding {
        control: "privileged".to_owned(),
        container: Some(Container {
            list: list.to_owned(),
            name: name.to_owned(),
        }),
        field: field.to_owned(),
        fix: Some("securityContext: {privileged: false}".to_owned()),
        ..finding(&format!("spec.{list}[{index}].{field}"))
    }
}

/// An object without a place.
pub(crate) fn object(kind: &str, namespace: &str, name: &str, findings: Vec<Finding>) -> Object {
    let mut it = Object {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: None,
        place: None,
        pods: 0,
        fate: Fate::Clean,
        findings,
        injected: Vec::new(),
    };
    it.fate = it.worst();
    it
}

/// A place in a file.
pub(crate) fn place(file: &str, line: usize) -> Place {
    Place {
        file: file.to_owned(),
        line,
        column: 3,
        end_line: line,
        end_column: 12,
    }
}

/// The results of nothing.
pub(crate) fn nothing(command: &str) -> Results {
    let set = shipped().expect("a test proves it");
    Results::new(command, &set)
}

/// What `check` could have found: an object of every fate, one skipped, one error of each kind.
pub(crate) fn manifests() -> Results {
    let at = |file: &str, line: usize, mut it: Object| {
        it.place = Some(place(file, line));
        for (number, finding) in it.findings.iter_mut().enumerate() {
            finding.place = Some(place(file, line + 4 + number));
        }
        it
    };
    let with = |mode: Mode, pod_mode: Mode, it: Finding| Finding {
        mode,
        pod_mode,
        ..it
    };
    let rejected = vec![
        in_container("containers", 0, "web"),
        in_container("containers", 1, "log"),
        finding("spec.hostPID"),
    ];
    let doomed = finding("spec.template.spec.hostPID");
    let warned = in_container("containers", 0, "app");
    let recorded = finding("spec.hostNetwork");
    let mut results = nothing("check");
    results.objects = vec![
        at("deploy/a b.yaml", 1, object("Pod", "shop", "web", rejected)),
        at(
            "deploy/a b.yaml",
            20,
            object(
                "Deployment",
                "shop",
                "api",
                vec![with(Mode::Warn, Mode::Enforce, doomed)],
            ),
        ),
        at(
            "c.yaml",
            1,
            object(
                "Pod",
                "shop",
                "app",
                vec![with(Mode::Warn, Mode::Warn, warned)],
            ),
        ),
        at(
            "c.yaml",
            30,
            object(
                "Pod",
                "ops",
                "top",
                vec![with(Mode::Audit, Mode::Audit, recorded)],
            ),
        ),
        at("c.yaml", 60, object("Pod", "ops", "good", Vec::new())),
    ];
    results.objects[4].injected = vec![Injected {
        path: "spec.securityContext.runAsNonRoot".to_owned(),
        value: serde_json::Value::Bool(true),
        policy: "inject-defaults".to_owned(),
    }];
    results.skipped = vec![Skipped {
        what: "ConfigMap shop/settings".to_owned(),
        why: "carries no Pod".to_owned(),
        count: 1,
        place: Some(place("c.yaml", 90)),
    }];
    results.errors = vec![
        Failure {
            what: "missing.yaml".to_owned(),
            why: "cannot be read: no such file".to_owned(),
            place: Some(Place::whole("missing.yaml")),
        },
        Failure {
            what: "bad.yaml".to_owned(),
            why: "expected a value".to_owned(),
            place: Some(place("bad.yaml", 7)),
        },
    ];
    results.count();
    results
}

/// What `audit` could have found: no places, Pods counted, namespaces, a comparison, a part that could not be read.
pub(crate) fn cluster() -> Results {
    let mut results = nothing("audit");
    results.run.started = Some("2026-11-24T17:00:00Z".to_owned());
    results.run.since = Some("2026-11-01T17:00:00Z".to_owned());
    results.run.cluster = Some("v1.37.0".to_owned());
    let mut web = object(
        "Deployment",
        "shop",
        "web",
        vec![
            in_container("containers", 0, "web"),
            in_container("containers", 1, "log"),
            Finding {
                mode: Mode::Warn,
                pod_mode: Mode::Warn,
                in_pod: Some("web-1".to_owned()),
                pods: 1,
                new: true,
                ..finding("spec.hostPID")
            },
        ],
    );
    web.pods = 3;
    web.uid = Some("0b1c".to_owned());
    results.objects = vec![
        web,
        object("Pod", "shop", "one", vec![finding("spec.hostNetwork")]),
        object(
            "DaemonSet",
            "ops",
            "agent",
            vec![finding("spec.template.spec.hostIPC")],
        ),
        object("Pod", "ops", "good", Vec::new()),
    ];
    results.namespaces = vec![Namespace {
        name: "shop".to_owned(),
        labels: [("enforce".to_owned(), "baseline".to_owned())].into(),
        workloads: 2,
        ready_for: "privileged".to_owned(),
        next: Some("baseline".to_owned()),
        obstacles: vec![Obstacle {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            controls: vec!["privileged".to_owned()],
        }],
    }];
    results.skipped = vec![Skipped {
        what: "Pods that have ended".to_owned(),
        why: "they run no more".to_owned(),
        count: 12,
        place: None,
    }];
    results.errors = vec![Failure {
        what: "list of pods in namespace dark".to_owned(),
        why: "forbidden".to_owned(),
        place: None,
    }];
    results.summary.fixed = Some(4);
    results.sort();
    results.count();
    results
}

/// The hostile texts wherever a text from outside can stand.
pub(crate) fn hostile() -> Results {
    let mut results = nothing("check");
    for (line, text) in HOSTILE.iter().enumerate() {
        let long = format!("{text}{}", "x".repeat(10_000));
        let mut it = in_container("containers", 0, text);
        it.current = (*text).to_owned();
        it.required.clone_from(&long);
        it.policies = vec![(*text).to_owned()];
        it.fix = Some((*text).to_owned());
        it.source = Some((*text).to_owned());
        it.place = Some(place(text, line + 1));
        let mut volume = finding(text);
        volume.volume = Some((*text).to_owned());
        volume.current = long;
        let mut object = object("Pod", text, text, vec![it, volume]);
        object.place = Some(place(text, line + 1));
        results.objects.push(object);
        results.errors.push(Failure {
            what: (*text).to_owned(),
            why: (*text).to_owned(),
            place: Some(Place::whole(*text)),
        });
        results.skipped.push(Skipped {
            what: (*text).to_owned(),
            why: (*text).to_owned(),
            count: 1,
            place: None,
        });
    }
    results.count();
    results
}
