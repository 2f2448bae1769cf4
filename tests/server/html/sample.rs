//! Results as a cluster of some size would give them: the same in every run, and nothing in them is from a real one.

mod workload;

use std::collections::BTreeMap;

use podgate::output::results::{
    API_VERSION, Failure, Fate, KIND, Namespace, Object, Obstacle, Place, Results, Run, Skipped,
    Summary,
};
use podgate::policy::Mode;

use workload::{OF_CONTAINERS, object, of_container};

const NAMESPACES: usize = 50;
const TEAMS: [&str; 10] = [
    "shop",
    "payments",
    "search",
    "media",
    "billing",
    "identity",
    "logistics",
    "reports",
    "monitoring",
    "kube-system",
];
const STAGES: [&str; 5] = ["", "-staging", "-canary", "-batch", "-preview"];

/// A run of `audit` over 1,000 workloads that saw everything.
pub(crate) fn cluster() -> Results {
    of_size(1000)
}

/// The same over as many as that.
pub(crate) fn of_size(workloads: usize) -> Results {
    let mut objects: Vec<Object> = (0..workloads).map(object).collect();
    objects.sort_by(|one, two| key(one).cmp(&key(two)));
    let names = (0..workloads.min(NAMESPACES)).map(namespace_name);
    let mut namespaces: Vec<Namespace> = names.map(|it| namespace(it, &objects)).collect();
    namespaces.sort_by(|one, two| one.name.cmp(&two.name));
    let mut results = Results {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        run: Run {
            command: "audit".to_owned(),
            version: "0.1.0".to_owned(),
            started: Some("2027-03-01T09:30:00Z".to_owned()),
            seconds: Some(4.2),
            complete: true,
            policy_set: "5b1f0c7d9a42".to_owned(),
            policies: ["baseline", "inject-defaults", "restricted"]
                .map(str::to_owned)
                .to_vec(),
            cluster: Some("v1.37.0".to_owned()),
            selection: vec!["all namespaces".to_owned()],
            as_enforce: false,
            since: None,
        },
        summary: Summary::default(),
        namespaces,
        objects,
        skipped: vec![Skipped {
            what: "Pods that have ended".to_owned(),
            why: "nothing of them runs".to_owned(),
            count: 212,
            place: None,
        }],
        errors: Vec::new(),
    };
    count(&mut results);
    results
}

/// One that did not see everything.
pub(crate) fn incomplete() -> Results {
    let mut results = of_size(40);
    results.run.complete = false;
    results.errors = vec![
        Failure {
            what: "list of pods in namespace payments-canary".to_owned(),
            why: "pods is forbidden: User \"system:serviceaccount:podgate:audit\" cannot list resource \"pods\" in API group \"\" in the namespace \"payments-canary\"".to_owned(),
            place: None,
        },
        Failure {
            what: "Deployment shop/web".to_owned(),
            why: "spec.template.spec.containers is a map; must be a list".to_owned(),
            place: Some(place("deploy/shop.yaml", 14)),
        },
    ];
    results.skipped.push(Skipped {
        what: "ConfigMap shop/settings".to_owned(),
        why: "it makes no Pods".to_owned(),
        count: 1,
        place: Some(place("deploy/shop.yaml", 80)),
    });
    count(&mut results);
    results
}

/// One that is compared with an earlier one.
pub(crate) fn compared() -> Results {
    compared_of(120)
}

fn compared_of(workloads: usize) -> Results {
    let mut results = of_size(workloads);
    results.run.since = Some("2027-02-22T09:30:00Z".to_owned());
    for (index, object) in results.objects.iter_mut().enumerate() {
        for finding in object.findings.iter_mut().filter(|_| index % 9 == 4) {
            finding.new = finding.control == "capabilities";
        }
    }
    count(&mut results);
    results.summary.fixed = Some(31);
    results
}

/// One of `check`: files, and one Pod that has more containers than a page has lines.
pub(crate) fn manifests() -> Results {
    let mut results = of_size(24);
    results.run.command = "check".into();
    results.run.started = None;
    results.run.seconds = None;
    results.run.cluster = None;
    results.run.selection = vec!["deploy/".to_owned()];
    results.namespaces.clear();
    results.skipped = vec![Skipped {
        what: "ConfigMap shop/settings".to_owned(),
        why: "it makes no Pods".to_owned(),
        count: 1,
        place: Some(place("deploy/shop.yaml", 80)),
    }];
    for (index, object) in results.objects.iter_mut().enumerate() {
        let file = format!("deploy/{}.yaml", object.namespace);
        object.uid = None;
        object.pods = 0;
        object.place = Some(place(&file, 1 + 40 * index));
        for (line, finding) in object.findings.iter_mut().enumerate() {
            finding.pods = 0;
            finding.in_pod = None;
            finding.place = Some(place(&file, 41 * index + line));
        }
    }
    let many: Vec<String> = (0..500).map(|it| format!("c{it}")).collect();
    let kind = ("v1", "Pod");
    results.objects.push(Object {
        kind: "Pod".to_owned(),
        api_version: "v1".to_owned(),
        name: "many-containers".to_owned(),
        findings: (0..many.len())
            .flat_map(|at| OF_CONTAINERS.iter().map(move |fault| (at, fault)))
            .map(|(at, fault)| {
                of_container(fault, kind, at, &many[at], (Mode::Enforce, Mode::Enforce))
            })
            .collect(),
        fate: Fate::Rejected,
        injected: Vec::new(),
        ..results.objects[0].clone()
    });
    count(&mut results);
    results
}

/// What somebody may call a thing to harm the reader.
const HOSTILE: [&str; 8] = [
    "<script>window.harmed = 1</script>",
    "\" onmouseover=\"window.harmed = 1",
    "' autofocus onfocus='window.harmed = 1",
    "</pre></td></details><img src=https://example.com/x onerror='window.harmed = 1'>",
    "%00%zz#?q=%&control=<b>",
    "\u{202e}gnp.exe\u{2066}\u{feff}\r\n\u{0}",
    "--><!--<![CDATA[ </title></style></script><script>window.harmed = 1</script>",
    "a-name-that-does-not-end-a-name-that-does-not-end-a-name-that-does-not-end-a-name-that-does-not-end-aNameThatDoesNotEndAnywhereAndHasNoPlaceToBreakIt",
];

/// One in which everything that can be named is one of [`HOSTILE`].
pub(crate) fn hostile() -> Results {
    let mut results = compared_of(24);
    results.errors = incomplete().errors;
    results.run.cluster = Some(HOSTILE.join(""));
    let name = |at: usize| HOSTILE[at % HOSTILE.len()].to_owned();
    for (at, namespace) in results.namespaces.iter_mut().enumerate() {
        namespace.labels = BTreeMap::from([(name(at), name(at + 1))]);
        for obstacle in &mut namespace.obstacles {
            obstacle.name = name(at);
            obstacle.controls.push(name(at + 2));
        }
    }
    for (at, object) in results.objects.iter_mut().enumerate() {
        object.namespace = name(at / HOSTILE.len());
        object.name = name(at);
        object.kind = name(at + 1);
        for (place, finding) in object.findings.iter_mut().enumerate() {
            finding.control = name(place);
            finding.current = name(at + 3);
            finding.required = name(at + 4);
            finding.fix = Some(name(at + 5));
            finding.path = name(at + 6);
            finding.policies = vec![name(at + 7)];
            if let Some(container) = &mut finding.container {
                container.name = name(at + place);
            }
        }
        for it in &mut object.injected {
            it.path = name(at + 2);
            it.value = name(at + 3).into();
        }
    }
    results
}

fn key(object: &Object) -> (&str, &str, &str) {
    (&object.namespace, &object.kind, &object.name)
}

fn namespace_name(index: usize) -> String {
    let index = index % NAMESPACES;
    format!(
        "{}{}",
        TEAMS[index % TEAMS.len()],
        STAGES[index / TEAMS.len()]
    )
}

fn namespace(name: String, objects: &[Object]) -> Namespace {
    let of_it: Vec<&Object> = objects.iter().filter(|it| it.namespace == name).collect();
    let broken = |levels: &[&str]| -> Vec<Obstacle> {
        let in_the_way = |object: &&&Object| Obstacle {
            kind: object.kind.clone(),
            name: object.name.clone(),
            controls: {
                let of_level = object.findings.iter().filter(|it| {
                    it.level
                        .as_deref()
                        .is_some_and(|level| levels.contains(&level))
                });
                let mut controls: Vec<String> = of_level.map(|it| it.control.clone()).collect();
                controls.dedup();
                controls
            },
        };
        of_it
            .iter()
            .map(|it| in_the_way(&it))
            .filter(|it| !it.controls.is_empty())
            .collect()
    };
    let (baseline, restricted) = (broken(&["baseline"]), broken(&["baseline", "restricted"]));
    let (ready_for, next, obstacles) = if !baseline.is_empty() {
        ("privileged", Some("baseline"), baseline)
    } else if !restricted.is_empty() {
        ("baseline", Some("restricted"), restricted)
    } else {
        ("restricted", None, Vec::new())
    };
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let labels = match name.len() % 3 {
        0 => BTreeMap::new(),
        1 => BTreeMap::from([label("warn", "restricted")]),
        _ => BTreeMap::from([
            label("enforce", "privileged"),
            label("warn", "baseline"),
            label("warn-version", "v1.37"),
        ]),
    };
    Namespace {
        name,
        labels,
        workloads: of_it.len() as u64,
        ready_for: ready_for.to_owned(),
        next: next.map(str::to_owned),
        obstacles,
    }
}

fn place(file: &str, line: usize) -> Place {
    Place {
        file: file.to_owned(),
        line,
        column: 7,
        end_line: line,
        end_column: 20,
    }
}

fn count(results: &mut Results) {
    let of = |fate| results.objects.iter().filter(|it| it.fate == fate).count() as u64;
    let mut scanned = BTreeMap::from([(
        "pods".to_owned(),
        results.objects.iter().map(|it| it.pods).sum(),
    )]);
    for object in &results.objects {
        *scanned
            .entry(format!("{}s", object.kind.to_lowercase()))
            .or_default() += 1;
    }
    results.summary = Summary {
        scanned,
        judged: results.objects.len() as u64,
        rejected: of(Fate::Rejected),
        pods_rejected: of(Fate::PodsRejected),
        warned: of(Fate::Warned),
        recorded: of(Fate::Recorded),
        clean: of(Fate::Clean),
        skipped: results.skipped.iter().map(|it| it.count).sum(),
        errors: results.errors.len() as u64,
        findings: results
            .objects
            .iter()
            .map(|it| it.findings.len() as u64)
            .sum(),
        fixed: None,
    };
}
