//! One workload of a sample: some of what workloads get wrong, worded as the engine does.

use podgate::output::results::{Container, Fate, Finding, Injected, Object};
use podgate::policy::Mode;
use serde_json::json;

use super::{NAMESPACES, namespace_name};

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
pub(super) struct Fault {
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

pub(super) const OF_CONTAINERS: [Fault; 9] = [
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

/// Something that looks like chance and is the same in every run.
fn dice(seed: usize, sides: usize) -> usize {
    let mixed = (seed as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40).unwrap_or(0)
        % sides
}

pub(super) fn object(index: usize) -> Object {
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

pub(super) fn of_container(
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

pub(super) fn fate(findings: &[Finding]) -> Fate {
    let of = |it: &Finding| match (it.mode, it.pod_mode) {
        (Mode::Enforce, _) => Fate::Rejected,
        (_, Mode::Enforce) => Fate::PodsRejected,
        (Mode::Warn, _) | (_, Mode::Warn) => Fate::Warned,
        _ => Fate::Recorded,
    };
    findings.iter().map(of).max().unwrap_or(Fate::Clean)
}

fn injected(index: usize, kind: &str, containers: usize) -> Vec<Injected> {
    if index.is_multiple_of(3) {
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
