//! `volumes`: a Pod mounts only what it is allowed to, above all not the node's own files.
//!
//! Pod Security Standards: baseline forbids `hostPath`, restricted names the types that are allowed. Looks at every
//! source of every volume, and for read-only host paths at the mounts of every container. A source that podgate does
//! not know, or none at all, is always a finding, and so is a host path with a `..` segment.
//! Parameters: `allowed` (types by their field names; `*` alone is every type that podgate knows, as is the default)
//! or `forbidden` (types); `hostPaths` (`pathPrefix`, and `readOnly` if every mount has to be; default any),
//! `csiDrivers` and `flexVolumeDrivers` (names; default any) narrow a type that is allowed.
//! `allowed` replaces what the level says of types; `forbidden` adds to what the level forbids.

pub mod host_path;

use std::fmt::Display;

use self::host_path::{HostPath, Verdict, climbs, verdict};
use super::finding::{Finding, Findings, Subject};
use super::listing::{listed, quoted};
use super::{Control, Fields, Problems};
use crate::document::{FromNode, Node, Problem, nearest};
use crate::pod::PodView;
use crate::pod::volume::{Source, TYPES, UNKNOWN, Volume};

/// In `allowed`: every type that podgate knows.
pub const ANY: &str = "*";

/// Only some types of volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volumes {
    /// The types that are allowed, or `*`; `None`: every one that podgate knows.
    pub allowed: Option<Vec<&'static str>>,
    /// The types that are not.
    pub forbidden: Vec<&'static str>,
    /// The paths of the node that may be mounted; `None`: any.
    pub host_paths: Option<Vec<HostPath>>,
    /// The drivers of inline CSI volumes; `None`: any.
    pub csi_drivers: Option<Vec<String>>,
    /// The drivers of `FlexVolumes`; `None`: any.
    pub flex_volume_drivers: Option<Vec<String>>,
    /// A source that podgate does not know is let through, as by Pod Security Admission at baseline. Not for policies.
    pub allow_unknown: bool,
}

/// A volume type in a policy.
struct Type(&'static str);

impl Control for Volumes {
    const NAME: &'static str = "volumes";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let allowed = read_types("allowed", fields, problems);
        let forbidden = read_types("forbidden", fields, problems);
        if allowed.is_some() && forbidden.is_some() {
            let problem = Problem::new(fields.span(), "allowed and forbidden cannot both be given");
            problems.push(problem.hint("what is not in allowed is forbidden"));
        }
        if let Some(list) = &allowed
            && list.len() > 1
            && list.contains(&ANY)
        {
            let problem = Problem::new(fields.span(), "\"*\" beside other types");
            problems.push(problem.hint("\"*\" alone allows every type"));
        }
        if forbidden.iter().flatten().any(|it| *it == ANY) {
            let problem = Problem::new(fields.span(), "\"*\" cannot be forbidden");
            problems.push(problem.hint("to forbid every type, write allowed: []"));
        }
        Self {
            forbidden: match (&allowed, forbidden) {
                // A policy that forbids more never allows what its level forbids.
                (None, Some(list)) => {
                    let mut forbidden = base.forbidden;
                    forbidden.extend(list);
                    forbidden.sort_unstable();
                    forbidden.dedup();
                    forbidden
                }
                (Some(_), list) => list.unwrap_or_default(),
                (None, None) => base.forbidden,
            },
            allowed: allowed.or(base.allowed),
            host_paths: fields.optional("hostPaths", problems).or(base.host_paths),
            csi_drivers: fields.optional("csiDrivers", problems).or(base.csi_drivers),
            flex_volume_drivers: fields
                .optional("flexVolumeDrivers", problems)
                .or(base.flex_volume_drivers),
            allow_unknown: base.allow_unknown,
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        for (index, volume) in pod.spec.volumes.iter().enumerate() {
            let subject = || Subject::Volume {
                index,
                name: volume.name.to_string(),
            };
            if volume.source.is_none() && !self.allow_unknown {
                let required = format!("given one: {}", self.types());
                let finding =
                    Finding::new(Self::NAME, subject(), "", "without a source", required);
                findings.push(finding.values([UNKNOWN]));
            }
            for source in volume.sources() {
                if !self.allows(source.kind()) {
                    let required = format!("unset: {}", self.types());
                    let (field, current) = (source.field(), current(source));
                    let finding = Finding::new(Self::NAME, subject(), field, current, required);
                    findings.push(finding.values([source.kind()]));
                    continue;
                }
                let (field, value, required) = match source {
                    Source::HostPath(path) => match self.judge_path(path) {
                        Ok(Some(entry)) => {
                            check_mounts(pod, volume, entry, findings);
                            continue;
                        }
                        Ok(None) => continue,
                        Err(required) => ("hostPath.path", path, required),
                    },
                    Source::Csi(driver) => {
                        match judge_driver(self.csi_drivers.as_deref(), driver) {
                            Ok(()) => continue,
                            Err(required) => ("csi.driver", driver, required),
                        }
                    }
                    Source::FlexVolume(driver) => {
                        match judge_driver(self.flex_volume_drivers.as_deref(), driver) {
                            Ok(()) => continue,
                            Err(required) => ("flexVolume.driver", driver, required),
                        }
                    }
                    Source::Known(_) | Source::Unknown(_) => continue,
                };
                let current = format!("{:?}", value.as_str());
                findings.push(Finding::new(
                    Self::NAME,
                    subject(),
                    field,
                    current,
                    required,
                ));
            }
        }
    }
}

// === impl Volumes ===

impl Volumes {
    fn allows(&self, kind: &'static str) -> bool {
        let is_listed = |list: &Vec<_>| list.contains(&ANY) || list.contains(&kind);
        (kind != UNKNOWN || self.allow_unknown)
            && self.allowed.as_ref().is_none_or(is_listed)
            && !self.forbidden.contains(&kind)
    }

    /// What is allowed, to be read after a colon.
    fn types(&self) -> String {
        match &self.allowed {
            Some(list) if !list.contains(&ANY) => {
                format!(
                    "allowed is {}",
                    listed(list.iter().filter(|it| !self.forbidden.contains(it)))
                )
            }
            _ if self.forbidden.is_empty() => "allowed is any type podgate knows".to_owned(),
            _ => format!(
                "allowed is any type podgate knows but {}",
                listed(&self.forbidden)
            ),
        }
    }

    /// The entry whose mounts have to be read-only, if it is one, or what is required instead of the path.
    fn judge_path(&self, path: &str) -> Result<Option<&HostPath>, String> {
        if climbs(path) {
            return Err("a path without ..".to_owned());
        }
        let Some(list) = &self.host_paths else {
            return Ok(None);
        };
        match verdict(list, path) {
            Verdict::Allowed => Ok(None),
            Verdict::ReadOnly(entry) => Ok(Some(entry)),
            Verdict::Denied => Err(one_of(list.is_empty(), "path", || {
                format!("{} or below", listed(list))
            })),
        }
    }
}

fn judge_driver(list: Option<&[String]>, driver: &str) -> Result<(), String> {
    match list {
        Some(list) if !list.iter().any(|it| it == driver) => {
            Err(one_of(list.is_empty(), "driver", || quoted(list)))
        }
        _ => Ok(()),
    }
}

fn one_of<T: Display>(is_empty: bool, what: &str, list: impl FnOnce() -> T) -> String {
    if is_empty {
        format!("unset, since no {what} is allowed")
    } else {
        list().to_string()
    }
}

fn check_mounts(pod: &PodView<'_>, volume: &Volume<'_>, entry: &HostPath, findings: &mut Findings) {
    for (at, container) in pod.containers() {
        for (index, mount) in container.volume_mounts.iter().enumerate() {
            if mount.name != volume.name || mount.read_only == Some(true) {
                continue;
            }
            let current = if mount.read_only.is_some() {
                "false"
            } else {
                "unset"
            };
            let subject = Subject::container(at, container);
            let field = format!("volumeMounts[{index}].readOnly");
            let required = format!(
                "true, since {:?} of the node is allowed for reading only",
                entry.path_prefix
            );
            findings.push(Finding::new(
                Volumes::NAME,
                subject,
                field,
                current,
                required,
            ));
        }
    }
}

/// The source as a person would write it, as far as podgate reads it.
fn current(source: &Source<'_>) -> String {
    match source {
        Source::HostPath(path) => format!("{{path: {:?}}}", path.as_str()),
        Source::Csi(driver) | Source::FlexVolume(driver) => {
            format!("{{driver: {:?}}}", driver.as_str())
        }
        Source::Known(_) => "set".to_owned(),
        Source::Unknown(_) => "set, which podgate does not know".to_owned(),
    }
}

fn read_types(
    name: &'static str,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<Vec<&'static str>> {
    let list: Vec<Type> = fields.optional(name, problems)?;
    Some(list.into_iter().map(|it| it.0).collect())
}

// === impl Type ===

impl FromNode for Type {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        // As `PodSecurityPolicy` spelt it.
        let name = if text == "cephFS" { "cephfs" } else { &text };
        let mut known = TYPES.into_iter().filter(|it| *it != UNKNOWN).chain([ANY]);
        if let Some(it) = known.clone().find(|it| *it == name) {
            return Some(Self(it));
        }
        let problem = Problem::new(node.span, format!("unknown volume type \"{text}\""));
        problems.push(match nearest(&text, known.by_ref()) {
            Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
            None => {
                problem.hint("expected the name of a volume source in a Pod, such as configMap")
            }
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, read_over};

    fn only(types: &[&'static str]) -> Volumes {
        Volumes {
            allowed: Some(types.to_vec()),
            ..Volumes::default()
        }
    }

    fn logs(read_only: bool) -> HostPath {
        HostPath {
            path_prefix: "/var/log".to_owned(),
            read_only,
        }
    }

    #[test]
    fn allows_the_types_that_are_listed() {
        check(
            only(&["configMap", "secret"]),
            r#"{"spec": {"volumes": [{"name": "a", "secret": {}}, {"name": "b", "hostPath": {"path": "/var"}},
                {"name": "c", "csi": {"driver": "x"}}, {"name": "d", "nfs": {}}, {"name": "e", "configMap": {}}]}}"#,
            &[
                r#"spec.volumes[1].hostPath is {path: "/var"}; must be unset: allowed is configMap or secret"#,
                r#"spec.volumes[2].csi is {driver: "x"}; must be unset: allowed is configMap or secret"#,
                "spec.volumes[3].nfs is set; must be unset: allowed is configMap or secret",
            ],
        );
        check(
            only(&[]),
            r#"{"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}"#,
            &["spec.volumes[0].emptyDir is set; must be unset: allowed is nothing"],
        );
        check(
            only(&[
                "configMap",
                "csi",
                "downwardAPI",
                "emptyDir",
                "ephemeral",
                "image",
                "projected",
                "secret",
                "nfs",
            ]),
            r#"{"spec": {"volumes": [{"name": "a", "rbd": {}}]}}"#,
            &[
                "spec.volumes[0].rbd is set; must be unset: allowed is configMap, csi, downwardAPI, emptyDir, ephemeral, \
               image, projected, secret and 1 more",
            ],
        );
    }

    #[test]
    fn denies_the_types_that_are_forbidden() {
        check(
            Volumes {
                forbidden: vec!["hostPath"],
                ..Volumes::default()
            },
            r#"{"spec": {"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "hostPath": {"path": "/"}}]}}"#,
            &[
                r#"spec.volumes[1].hostPath is {path: "/"}; must be unset: allowed is any type podgate knows but hostPath"#,
            ],
        );
    }

    #[test]
    fn denies_what_it_does_not_know_and_every_source_of_a_volume() {
        let pod = r#"{"spec": {"volumes": [{"name": "a", "quantumFoam": {}}, {"name": "b"},
            {"name": "c", "emptyDir": {}, "unknown": {}, "nfs": {}}]}}"#;
        let known = [
            "spec.volumes[0].quantumFoam is set, which podgate does not know; must be unset: allowed is any type podgate knows",
            "spec.volumes[1] is without a source; must be given one: allowed is any type podgate knows",
            "spec.volumes[2].unknown is set, which podgate does not know; must be unset: allowed is any type podgate knows",
        ];
        check(Volumes::default(), pod, &known);
        check(only(&[ANY]), pod, &known);
        check(
            only(&["emptyDir"]),
            r#"{"spec": {"volumes": [{"name": "c", "emptyDir": {}, "nfs": {}}]}}"#,
            &["spec.volumes[0].nfs is set; must be unset: allowed is emptyDir"],
        );
    }

    #[test]
    fn narrows_host_paths() {
        let it = Volumes {
            host_paths: Some(vec![logs(false)]),
            ..Volumes::default()
        };
        check(
            it,
            r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/var/log/x"}},
                {"name": "b", "hostPath": {"path": "/var/logs"}}, {"name": "c", "hostPath": {"path": "/var/log/../x"}}],
                "containers": [{"name": "c", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}]}}"#,
            &[
                r#"spec.volumes[1].hostPath.path is "/var/logs"; must be "/var/log" or below"#,
                r#"spec.volumes[2].hostPath.path is "/var/log/../x"; must be a path without .."#,
            ],
        );
        check(
            Volumes {
                host_paths: Some(Vec::new()),
                ..Volumes::default()
            },
            r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}}"#,
            &[r#"spec.volumes[0].hostPath.path is "/"; must be unset, since no path is allowed"#],
        );
        check(
            Volumes::default(),
            r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/a/.."}}, {"name": "b", "hostPath": {"path": "/"}}]}}"#,
            &[r#"spec.volumes[0].hostPath.path is "/a/.."; must be a path without .."#],
        );
    }

    #[test]
    fn a_read_only_host_path_asks_for_read_only_mounts_in_every_container_list() {
        let pod = r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/var/log"}}, {"name": "b", "emptyDir": {}}],
            "initContainers": [{"name": "i", "volumeMounts": [{"name": "a", "readOnly": false}]}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "b"}, {"name": "a", "readOnly": true}, {"name": "a"}]}],
            "ephemeralContainers": [{"name": "e", "volumeMounts": [{"name": "a"}]}]}}"#;
        let of = |list| Volumes {
            host_paths: Some(list),
            ..Volumes::default()
        };
        let required = r#"must be true, since "/var/log" of the node is allowed for reading only"#;
        check(
            of(vec![logs(true)]),
            pod,
            &[
                &format!("spec.initContainers[0].volumeMounts[0].readOnly is false; {required}"),
                &format!("spec.containers[0].volumeMounts[2].readOnly is unset; {required}"),
                &format!(
                    "spec.ephemeralContainers[0].volumeMounts[0].readOnly is unset; {required}"
                ),
            ],
        );
        check(of(vec![logs(true), logs(false)]), pod, &[]);
        check(
            of(vec![logs(true)]),
            r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/etc"}}]}}"#,
            &[
                r#"spec.volumes[0].hostPath.path is "/etc"; must be "/var/log" (read-only) or below"#,
            ],
        );
    }

    #[test]
    fn narrows_drivers() {
        let drivers = || Some(vec!["good".to_owned()]);
        check(
            Volumes {
                csi_drivers: drivers(),
                flex_volume_drivers: drivers(),
                ..Volumes::default()
            },
            r#"{"spec": {"volumes": [{"name": "a", "csi": {"driver": "good"}}, {"name": "b", "csi": {"driver": "bad"}},
                {"name": "c", "flexVolume": {"driver": "good"}}, {"name": "d", "flexVolume": {}}]}}"#,
            &[
                r#"spec.volumes[1].csi.driver is "bad"; must be "good""#,
                r#"spec.volumes[3].flexVolume.driver is ""; must be "good""#,
            ],
        );
        check(
            Volumes {
                csi_drivers: Some(Vec::new()),
                ..Volumes::default()
            },
            r#"{"spec": {"volumes": [{"name": "b", "csi": {"driver": "bad"}}]}}"#,
            &[r#"spec.volumes[0].csi.driver is "bad"; must be unset, since no driver is allowed"#],
        );
    }

    #[test]
    fn reads_over_the_base() {
        let baseline = || Volumes {
            forbidden: vec!["hostPath"],
            ..Volumes::default()
        };
        let yaml = "{allowed: [hostPath, cephFS], hostPaths: [{pathPrefix: /var/log, readOnly: true}], csiDrivers: [a], flexVolumeDrivers: [b]}";
        let expected = Volumes {
            allowed: Some(vec!["hostPath", "cephfs"]),
            forbidden: Vec::new(),
            host_paths: Some(vec![logs(true)]),
            csi_drivers: Some(vec!["a".to_owned()]),
            flex_volume_drivers: Some(vec!["b".to_owned()]),
            allow_unknown: false,
        };
        assert_eq!(read_over(baseline(), yaml), Ok(expected));
        assert_eq!(read_over(baseline(), "{}"), Ok(baseline()));
        let both = Volumes {
            forbidden: vec!["csi", "hostPath"],
            ..Volumes::default()
        };
        assert_eq!(read_over(baseline(), "forbidden: [csi]"), Ok(both));
        assert_eq!(read_over(baseline(), "allowed: ['*']"), Ok(only(&[ANY])));
        let narrowed = Volumes {
            forbidden: vec!["csi"],
            ..only(&["csi", "secret"])
        };
        assert_eq!(
            read_over(only(&["csi", "secret"]), "forbidden: [csi]"),
            Ok(narrowed)
        );
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (yaml, expected) in [
            (
                "{allowed: [nfs], forbidden: [csi]}",
                "allowed and forbidden cannot both be given (what is not in allowed is forbidden)",
            ),
            (
                "allowed: [configmaps]",
                "unknown volume type \"configmaps\" (did you mean \"configMap\"?)",
            ),
            (
                "allowed: [unknown]",
                "unknown volume type \"unknown\" (expected the name of a volume source in a Pod, such as configMap)",
            ),
            (
                "allowed: ['*', nfs]",
                "\"*\" beside other types (\"*\" alone allows every type)",
            ),
            (
                "forbidden: ['*']",
                "\"*\" cannot be forbidden (to forbid every type, write allowed: [])",
            ),
            (
                "hostPaths: [{pathPrefix: var}]",
                "the host path \"var\" is not absolute (it must start with /)",
            ),
            (
                "hostPaths: [{pathPrefix: /a/../b}]",
                "the host path \"/a/../b\" must not contain ..",
            ),
            (
                "hostPaths: [{readOnly: true}]",
                "missing field \"pathPrefix\"",
            ),
        ] {
            assert_eq!(
                read_over(Volumes::default(), yaml),
                Err(vec![expected.to_owned()]),
                "{yaml}"
            );
        }
    }
}
