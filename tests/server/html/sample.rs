//! Results as a cluster of some size would give them: the same in every run, and nothing in them is from a real one.

use std::collections::BTreeMap;

use podgate::output::results::{
    API_VERSION, Container, Failure, Fate, Finding, Injected, KIND, Namespace, Object, Obstacle,
    Place, Results, Run, Skipped, Summary,
};
use podgate::policy::Mode;
use serde_json::json;

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
const NAMES: [&str; 20] = [
    "web",
    "api",
    "worker",
    "gateway",
    "cache",
    "queue-consumer",
    "scheduler",
    "node-exporter",
    "log-collector",
    "migrations",
    "image-resizer",
    "session-store",
    "webhook-dispatcher",
    "ledger",
    "currency-rates",
    "catalogue-indexer",
    "search-frontend",
    "backup",
    "storage-driver",
    "mail-relay-with-a-name-that-somebody-made-rather-long",
];
const KINDS: [(&str, &str); 8] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "ReplicationController"),
    ("v1", "Pod"),
];
const CONTAINERS: [&str; 5] = ["app", "proxy", "metrics", "log-shipper", "config-reloader"];

/// What is the matter, as the engine words it.
struct Fault {
    control: &'static str,
    level: Option<&'static str>,
    /// Below the container, or the whole path where it is about the Pod.
    field: &'static str,
    current: &'static str,
    required: &'static str,
    fix: Option<&'static str>,
}

const fn fault(
    control: &'static str,
    level: Option<&'static str>,
    field: &'static str,
    current: &'static str,
    required: &'static str,
    fix: Option<&'static str>,
) -> Fault {
    Fault {
        control,
        level,
        field,
        current,
        required,
        fix,
    }
}

const BASELINE: Option<&str> = Some("baseline");
const RESTRICTED: Option<&str> = Some("restricted");

const OF_CONTAINERS: [Fault; 9] = [
    fault(
        "privileged",
        BASELINE,
        "securityContext.privileged",
        "true",
        "false or unset",
        Some("securityContext: {privileged: false}"),
    ),
    fault(
        "capabilities",
        RESTRICTED,
        "securityContext.capabilities.drop",
        "unset",
        "a list with ALL",
        Some("securityContext: {capabilities: {drop: [ALL]}}"),
    ),
    fault(
        "allowPrivilegeEscalation",
        RESTRICTED,
        "securityContext.allowPrivilegeEscalation",
        "unset",
        "false",
        Some("securityContext: {allowPrivilegeEscalation: false}"),
    ),
    fault(
        "hostPorts",
        BASELINE,
        "ports[0].hostPort",
        "9100",
        "unset",
        Some("ports: [{containerPort: 9100}]"),
    ),
    fault(
        "probeHosts",
        BASELINE,
        "livenessProbe.httpGet.host",
        "\"10.0.0.1\"",
        "unset",
        None,
    ),
    fault(
        "runAsNonRoot",
        RESTRICTED,
        "securityContext.runAsNonRoot",
        "unset",
        "true",
        Some("securityContext: {runAsNonRoot: true}"),
    ),
    fault(
        "readOnlyRootFilesystem",
        None,
        "securityContext.readOnlyRootFilesystem",
        "unset",
        "true",
        Some("securityContext: {readOnlyRootFilesystem: true}"),
    ),
    fault(
        "runAsUser",
        RESTRICTED,
        "securityContext.runAsUser",
        "0",
        "1000–65535",
        Some("securityContext: {runAsUser: 1000}"),
    ),
    fault(
        "seccomp",
        RESTRICTED,
        "securityContext.seccompProfile.type",
        "Unconfined",
        "RuntimeDefault or Localhost",
        Some("securityContext: {seccompProfile: {type: RuntimeDefault}}"),
    ),
];
const OF_PODS: [Fault; 3] = [
    fault(
        "hostNamespaces",
        BASELINE,
        "hostNetwork",
        "true",
        "false or unset",
        Some("spec: {hostNetwork: false}"),
    ),
    fault(
        "sysctls",
        BASELINE,
        "securityContext.sysctls[0].name",
        "kernel.msgmax",
        "one of kernel.shm_rmid_forced, net.ipv4.ip_local_port_range, net.ipv4.ip_unprivileged_port_start, net.ipv4.tcp_syncookies, net.ipv4.ping_group_range",
        None,
    ),
    fault(
        "automountServiceAccountToken",
        None,
        "automountServiceAccountToken",
        "unset",
        "false",
        Some("spec: {automountServiceAccountToken: false}"),
    ),
];

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
    results.run.command = "check".to_owned();
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

/// Something that looks like chance and is the same in every run.
fn dice(seed: usize, sides: usize) -> usize {
    let mixed = (seed as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40).unwrap_or(0)
        % sides
}

fn object(index: usize) -> Object {
    let (api_version, kind) = KINDS[[0, 0, 0, 1, 2, 3, 4, 5, 6, 7][dice(index, 10)]];
    // One in a namespace of each name.
    let name = NAMES[(index / NAMESPACES) % NAMES.len()];
    let (mode, pod_mode) = match (dice(index + 7000, 4), kind) {
        (0, "Pod") => (Mode::Enforce, Mode::Enforce),
        (0, _) => (Mode::Warn, Mode::Enforce),
        (1 | 2, _) => (Mode::Warn, Mode::Warn),
        _ => (Mode::Audit, Mode::Audit),
    };
    let containers = 1 + dice(index + 1000, 4);
    let mut findings = Vec::new();
    if dice(index + 2000, 4) > 0 {
        let faults = |of: usize, some: &'static [Fault]| {
            some.iter()
                .enumerate()
                .filter(move |(at, _)| dice(index * 31 + at + of, 10) < 3)
        };
        for (at, fault) in faults(0, &OF_CONTAINERS) {
            // Most faults are in each container, some in one.
            let few = if dice(index + at, 3) == 0 {
                1
            } else {
                containers
            };
            let modes = if fault.level == BASELINE {
                (mode, pod_mode)
            } else {
                (Mode::Warn.min(mode), Mode::Warn.min(pod_mode))
            };
            for (place, container) in CONTAINERS.iter().enumerate().take(few) {
                findings.push(of_container(
                    fault,
                    (api_version, kind),
                    place,
                    container,
                    modes,
                ));
            }
        }
        for (_, fault) in faults(40, &OF_PODS) {
            findings.push(finding(
                fault,
                format!("{}.{}", spec(kind), fault.field),
                (mode, pod_mode),
            ));
        }
        if dice(index + 3000, 6) == 0 {
            findings.push(Finding {
                volume: Some("host".to_owned()),
                ..finding(
                    &fault(
                        "volumes",
                        BASELINE,
                        "hostPath",
                        "{path: \"/var/log\"}",
                        "unset: allowed is any type podgate knows but hostPath",
                        None,
                    ),
                    format!("{}.volumes[0].hostPath", spec(kind)),
                    (mode, pod_mode),
                )
            });
        }
    }
    let pods = if kind == "CronJob" {
        0
    } else {
        1 + dice(index + 4000, 12) as u64
    };
    for finding in findings.iter_mut().filter(|_| pods > 0) {
        finding.pods = pods.min(3);
    }
    Object {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace_name(index),
        name: if kind == "Job" {
            format!("{name}-{}", 28_900_000 + index)
        } else {
            name.to_owned()
        },
        uid: Some(format!(
            "{:08x}-0000-4000-8000-{:012x}",
            dice(index, 1 << 20),
            index
        )),
        place: None,
        pods,
        fate: fate(&findings),
        injected: injected(index, kind, containers),
        findings,
    }
}

fn spec(kind: &str) -> &'static str {
    match kind {
        "Pod" => "spec",
        "CronJob" => "spec.jobTemplate.spec.template.spec",
        _ => "spec.template.spec",
    }
}

fn of_container(
    fault: &Fault,
    kind: (&str, &str),
    at: usize,
    name: &str,
    modes: (Mode, Mode),
) -> Finding {
    // The last is an init container.
    let (list, at) = if name == CONTAINERS[4] {
        ("initContainers", 0)
    } else {
        ("containers", at)
    };
    let is_inherited = fault.control == "seccomp" || fault.control == "runAsUser";
    Finding {
        container: Some(Container {
            list: list.to_owned(),
            name: name.to_owned(),
        }),
        source: is_inherited.then(|| format!("{}.securityContext", spec(kind.1))),
        ..finding(
            fault,
            format!("{}.{list}[{at}].{}", spec(kind.1), fault.field),
            modes,
        )
    }
}

fn finding(fault: &Fault, path: String, (mode, pod_mode): (Mode, Mode)) -> Finding {
    let policies = vec![fault.level.unwrap_or("hardening").to_owned()];
    Finding {
        control: fault.control.to_owned(),
        mode,
        pod_mode,
        pod_policies: policies.clone(),
        policies,
        level: fault.level.map(str::to_owned),
        container: None,
        volume: None,
        field: fault.field.to_owned(),
        path,
        in_pod: None,
        current: fault.current.to_owned(),
        source: None,
        required: fault.required.to_owned(),
        fix: fault.fix.map(str::to_owned),
        pods: 0,
        place: None,
        new: false,
    }
}

fn fate(findings: &[Finding]) -> Fate {
    let of = |it: &Finding| match (it.mode, it.pod_mode) {
        (Mode::Enforce, _) => Fate::Rejected,
        (_, Mode::Enforce) => Fate::PodsRejected,
        (Mode::Warn, _) | (_, Mode::Warn) => Fate::Warned,
        _ => Fate::Recorded,
    };
    findings.iter().map(of).max().unwrap_or(Fate::Clean)
}

fn injected(index: usize, kind: &str, containers: usize) -> Vec<Injected> {
    if index % 3 == 0 {
        return Vec::new();
    }
    let one = |path: String, value| Injected {
        path,
        value,
        policy: "inject-defaults".to_owned(),
    };
    let spec = spec(kind);
    let mut injected = vec![one(
        format!("{spec}.securityContext.seccompProfile"),
        json!({"type": "RuntimeDefault"}),
    )];
    for at in 0..containers {
        injected.push(one(
            format!("{spec}.containers[{at}].securityContext.allowPrivilegeEscalation"),
            json!(false),
        ));
    }
    injected
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
