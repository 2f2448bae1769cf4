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
mod tests;
