//! Findings in the words of Pod Security Admission, letter by letter: what `k8s.io/pod-security-admission` v0.37 says
//! of the same Pod at the same level and version. Scripts, dashboards and people's memory depend on these texts.

mod existing;
mod quote;

use std::collections::BTreeSet;

use crate::control::{Finding, Subject};
use crate::pod::ContainerRef;
use crate::policy::level::{Level, Version};

pub use self::existing::{MAX_EXISTING, UNLISTED, existing};
use self::quote::go_quoted;

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A few words: `host namespaces`.
    pub reason: String,
    /// Who and what: `hostNetwork=true, hostPID=true`.
    pub detail: String,
}

/// The controls in the order of upstream's baseline checks, which is that of their IDs.
const BASELINE: [&str; 12] = [
    "appArmor",
    "capabilities",
    "hostNamespaces",
    "volumes",
    "hostPorts",
    "probeHosts",
    "privileged",
    "procMount",
    "seLinux",
    "seccomp",
    "sysctls",
    "windowsHostProcess",
];

/// Those of upstream's restricted checks, which come behind all of baseline's, and the minor version since which each
/// stands in the place of its namesake in baseline.
const RESTRICTED: [(&str, u32); 7] = [
    ("allowPrivilegeEscalation", 0),
    ("capabilities", 22),
    ("procMount", 35),
    ("volumes", 0),
    ("runAsNonRoot", 0),
    ("runAsUser", 0),
    ("seccomp", 19),
];

/// The findings of one control.
struct Found<'f> {
    findings: Vec<&'f Finding>,
}

/// The violations, in upstream's order.
#[must_use]
pub fn violations<'f>(
    level: Level,
    version: Version,
    findings: impl IntoIterator<Item = &'f Finding>,
) -> Vec<Violation> {
    let mut by_check: Vec<(usize, Found<'f>)> = Vec::new();
    for finding in findings {
        let rank = rank(level, version, finding.control);
        match by_check.iter_mut().find(|(known, _)| *known == rank) {
            Some((_, found)) => found.findings.push(finding),
            None => by_check.push((
                rank,
                Found {
                    findings: vec![finding],
                },
            )),
        }
    }
    by_check.sort_by_key(|(rank, _)| *rank);
    by_check
        .iter()
        .map(|(rank, found)| found.violation(*rank >= BASELINE.len()))
        .collect()
}

/// One line for all: `host namespaces (hostPID=true), privileged (container "a" must not set …)`.
#[must_use]
pub fn sentence(violations: &[Violation]) -> String {
    let parts: Vec<_> = violations
        .iter()
        .map(|it| format!("{} ({})", it.reason, it.detail))
        .collect();
    parts.join(", ")
}

fn rank(level: Level, version: Version, control: &str) -> usize {
    let restricted = RESTRICTED
        .iter()
        .position(|(name, since)| *name == control && version.is_since(*since));
    let restricted = restricted.filter(|_| level == Level::Restricted);
    match restricted {
        Some(at) => BASELINE.len() + at,
        None => BASELINE
            .iter()
            .position(|name| *name == control)
            .unwrap_or(usize::MAX),
    }
}

// === impl Found ===

impl<'f> Found<'f> {
    fn violation(&self, is_restricted: bool) -> Violation {
        let (reason, detail) = match self.findings[0].control {
            "allowPrivilegeEscalation" => (
                "allowPrivilegeEscalation != false",
                format!(
                    "{} must set securityContext.allowPrivilegeEscalation=false",
                    self.containers()
                ),
            ),
            "appArmor" => return self.app_armor(),
            "capabilities" if is_restricted => ("unrestricted capabilities", self.capabilities()),
            "capabilities" => ("non-default capabilities", self.added_capabilities()),
            "hostNamespaces" => ("host namespaces", self.host_namespaces()),
            "hostPorts" => ("hostPort", self.host_ports()),
            "privileged" => (
                "privileged",
                format!(
                    "{} must not set securityContext.privileged=true",
                    self.containers()
                ),
            ),
            "probeHosts" => ("probe or lifecycle host", self.probe_hosts()),
            "procMount" => {
                let types = quoted(self.sorted_values());
                (
                    "procMount",
                    format!(
                        "{} must not set securityContext.procMount to {types}",
                        self.containers()
                    ),
                )
            }
            "runAsNonRoot" => ("runAsNonRoot != true", self.run_as_non_root()),
            "runAsUser" => (
                "runAsUser=0",
                format!("{} must not set runAsUser=0", self.setters()),
            ),
            "seLinux" => ("seLinuxOptions", self.se_linux()),
            "seccomp" => ("seccompProfile", self.seccomp()),
            "sysctls" => (
                "forbidden sysctls",
                self.values().collect::<Vec<_>>().join(", "),
            ),
            "volumes" if is_restricted => ("restricted volume types", self.volume_types()),
            "volumes" => ("hostPath volumes", self.volumes()),
            "windowsHostProcess" => (
                "hostProcess",
                format!(
                    "{} must not set securityContext.windowsOptions.hostProcess=true",
                    self.setters()
                ),
            ),
            other => (other, String::new()),
        };
        Violation {
            reason: reason.to_owned(),
            detail,
        }
    }

    fn app_armor(&self) -> Violation {
        let (annotations, fields): (Vec<&Finding>, Vec<&Finding>) = self
            .findings
            .iter()
            .copied()
            .partition(|it| it.field.starts_with("metadata."));
        let (annotations, fields) = (
            Found {
                findings: annotations,
            },
            Found { findings: fields },
        );
        let mut setters: Vec<String> = Some(fields.setters())
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
        let mut values: Vec<String> = fields.sorted_values().map(str::to_owned).collect();
        let named = annotations.annotations();
        if !named.is_empty() {
            setters.push(plural("annotation", named.len()));
            values.extend(named);
        }
        Violation {
            reason: plural("forbidden AppArmor profile", values.len()),
            detail: format!(
                "{} must not set AppArmor profile type to {}",
                setters.join(" and "),
                quoted(values.iter().map(String::as_str))
            ),
        }
    }

    fn added_capabilities(&self) -> String {
        let names = quoted(self.sorted_values());
        format!(
            "{} must not include {names} in securityContext.capabilities.add",
            self.containers()
        )
    }

    fn capabilities(&self) -> String {
        let (adding, missing): (Vec<&Finding>, Vec<&Finding>) = self
            .findings
            .iter()
            .copied()
            .partition(|it| it.field.ends_with("capabilities.add"));
        let (adding, missing) = (Found { findings: adding }, Found { findings: missing });
        let mut details = Vec::new();
        if !missing.findings.is_empty() {
            details.push(format!(
                "{} must set securityContext.capabilities.drop=[\"ALL\"]",
                missing.containers()
            ));
        }
        if !adding.findings.is_empty() {
            details.push(adding.added_capabilities());
        }
        details.join("; ")
    }

    fn host_namespaces(&self) -> String {
        let set: Vec<_> = self
            .findings
            .iter()
            .map(|it| format!("{}=true", it.field.trim_start_matches("spec.")))
            .collect();
        set.join(", ")
    }

    fn host_ports(&self) -> String {
        let ports: Vec<&str> = self.sorted_values().collect();
        let containers = self.names().len();
        let uses = if containers == 1 { "uses" } else { "use" };
        format!(
            "{} {uses} {} {}",
            self.containers(),
            plural("hostPort", ports.len()),
            ports.join(", ")
        )
    }

    fn probe_hosts(&self) -> String {
        let hosts: Vec<&str> = self.sorted_values().collect();
        // The one check that sorts its containers and names each once.
        let names: BTreeSet<&str> = self.names().into_iter().collect();
        let uses = if names.len() == 1 { "uses" } else { "use" };
        let (count, what) = (names.len(), plural("probe or lifecycle host", hosts.len()));
        format!(
            "{} {} {uses} {what} {}",
            plural("container", count),
            quoted(names),
            quoted(hosts)
        )
    }

    fn run_as_non_root(&self) -> String {
        let explicit = self.those(|it| it.current == "false");
        if explicit.findings.is_empty() {
            return format!(
                "pod or {} must set securityContext.runAsNonRoot=true",
                self.containers()
            );
        }
        format!(
            "{} must not set securityContext.runAsNonRoot=false",
            explicit.setters()
        )
    }

    fn se_linux(&self) -> String {
        let of = |field: &str| self.those(|it| it.field.ends_with(field));
        let types = of(".type");
        let types: Vec<&str> = types.sorted_values().collect();
        let mut data = Vec::new();
        if !types.is_empty() {
            data.push(format!("{} {}", plural("type", types.len()), quoted(types)));
        }
        for (field, text) in [
            (".user", "user may not be set"),
            (".role", "role may not be set"),
        ] {
            if !of(field).findings.is_empty() {
                data.push(text.to_owned());
            }
        }
        format!(
            "{} set forbidden securityContext.seLinuxOptions: {}",
            self.setters(),
            data.join("; ")
        )
    }

    fn seccomp(&self) -> String {
        let annotations = self
            .those(|it| it.field.starts_with("metadata."))
            .annotations();
        if !annotations.is_empty() {
            return format!(
                "forbidden {} {}",
                plural("annotation", annotations.len()),
                annotations.join(", ")
            );
        }
        let explicit = self.those(|it| !it.values.is_empty());
        if explicit.findings.is_empty() {
            return format!(
                "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
                self.containers()
            );
        }
        let types = quoted(explicit.sorted_values());
        format!(
            "{} must not set securityContext.seccompProfile.type to {types}",
            explicit.setters()
        )
    }

    fn volume_types(&self) -> String {
        let types: Vec<&str> = self.sorted_values().collect();
        let uses = if self.names().len() == 1 {
            "uses"
        } else {
            "use"
        };
        let what = plural("restricted volume type", types.len());
        format!("{} {uses} {what} {}", self.volumes(), quoted(types))
    }

    fn volumes(&self) -> String {
        let names = self.names();
        format!("{} {}", plural("volume", names.len()), quoted(names))
    }

    fn those(&self, which: impl Fn(&Finding) -> bool) -> Found<'f> {
        Found {
            findings: self
                .findings
                .iter()
                .copied()
                .filter(|it| which(it))
                .collect(),
        }
    }

    /// `container "a"`, `containers "a", "b"`.
    fn containers(&self) -> String {
        let names = self.names();
        format!("{} {}", plural("container", names.len()), quoted(names))
    }

    /// `pod`, `containers "a", "b"`, `pod and container "a"`.
    fn setters(&self) -> String {
        let has_pod = self.findings.iter().any(|it| it.subject == Subject::Pod);
        match (has_pod, self.names().is_empty()) {
            (true, true) => "pod".to_owned(),
            (true, false) => format!("pod and {}", self.containers()),
            (false, true) => String::new(),
            (false, false) => self.containers(),
        }
    }

    /// The names of the containers or volumes: each place once, in the order of the Pod.
    fn names(&self) -> Vec<&'f str> {
        let mut last: Option<(Option<ContainerRef>, usize)> = None;
        let mut names = Vec::new();
        for finding in &self.findings {
            let (place, name) = match &finding.subject {
                Subject::Pod => continue,
                Subject::Container { at, name } => ((Some(*at), 0), name),
                Subject::Volume { index, name } => ((None, *index), name),
            };
            if last != Some(place) {
                names.push(name.as_str());
            }
            last = Some(place);
        }
        names
    }

    /// `key="value"` of annotations, sorted.
    fn annotations(&self) -> Vec<String> {
        let named: BTreeSet<String> = self
            .findings
            .iter()
            .filter_map(|it| match &it.values[..] {
                [key, value] => Some(format!("{key}={}", go_quoted(value))),
                _ => None,
            })
            .collect();
        named.into_iter().collect()
    }

    fn values(&self) -> impl Iterator<Item = &'f str> {
        self.findings
            .iter()
            .flat_map(|it| it.values.iter().map(String::as_str))
    }

    /// Each once, sorted by their bytes.
    fn sorted_values(&self) -> impl Iterator<Item = &'f str> + use<'f> {
        self.values().collect::<BTreeSet<_>>().into_iter()
    }
}

fn plural(noun: &str, count: usize) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

/// `"a", "b"`, with nothing escaped, as upstream.
fn quoted<'t>(items: impl IntoIterator<Item = &'t str>) -> String {
    let items: Vec<_> = items.into_iter().map(|it| format!("\"{it}\"")).collect();
    items.join(", ")
}
