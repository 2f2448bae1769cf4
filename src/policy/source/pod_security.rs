//! Pod Security Admission's way to say policies: three modes, each with a level and a version, in labels of the
//! namespace, with defaults and exemptions in a `PodSecurityConfiguration`.
//!
//! The semantics are upstream's (`k8s.io/pod-security-admission` v0.37), texts of errors included. Labels never fail to
//! parse: what is wrong degrades, `enforce` to the strictest level, `audit` and `warn` to none, and is told.

mod configuration;
mod labels;

use std::collections::BTreeMap;
use std::fmt;

use crate::control::AnyControl;
use crate::policy::level::{Level, Version, pod_security};

pub use configuration::{Exemptions, GROUP, read};
pub use labels::{LabelError, aggregate};

/// The three modes of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Rejects Pods.
    pub enforce: LevelVersion,
    /// Is recorded.
    pub audit: LevelVersion,
    /// Is told.
    pub warn: LevelVersion,
}

/// A level at a version: `restricted:v1.24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelVersion {
    /// `None` asks for nothing: `privileged`.
    pub level: Option<Level>,
    /// As it was written, which matters to texts.
    pub version: Written,
}

/// A version as it is written in a label. Those that podgate does not know yet are judged as the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// `latest`
    Latest,
    /// `v1.N`
    Minor(i64),
}

/// Where podgate goes further than upstream, if it is asked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// What a workload is told whose Pods would be rejected.
    pub workloads: Templates,
    /// Of a Pod that gets an ephemeral container, only that container is judged.
    pub added_only: bool,
    /// A rejection goes on after upstream's line: what, where, and how to mend it.
    pub explain: bool,
}

/// What a workload is told whose Pods would be rejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Templates {
    /// Nothing: `enforce` is not for workloads.
    #[default]
    Upstream,
    /// That they will be.
    Warn,
    /// That it is rejected itself.
    Enforce,
}

/// Defaults, exemptions, and the controls of every level and version.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSecurity {
    defaults: Modes,
    exemptions: Exemptions,
    options: Options,
    /// By level, then by minor version.
    controls: [Vec<Vec<AnyControl>>; 2],
}

// === impl Modes ===

impl Modes {
    /// What a namespace says that says nothing, where no configuration does either.
    pub const PRIVILEGED: Self = Self {
        enforce: LevelVersion::PRIVILEGED,
        audit: LevelVersion::PRIVILEGED,
        warn: LevelVersion::PRIVILEGED,
    };

    /// True if each mode asks for the same.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let same = |one: LevelVersion, two: LevelVersion| {
            one == two || (one.level.is_none() && two.level.is_none())
        };
        same(self.enforce, other.enforce)
            && same(self.audit, other.audit)
            && same(self.warn, other.warn)
    }

    /// True if no mode asks for anything.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.enforce.level.is_none() && self.audit.level.is_none() && self.warn.level.is_none()
    }
}

// === impl LevelVersion ===

impl LevelVersion {
    /// `privileged:latest`
    pub const PRIVILEGED: Self = Self {
        level: None,
        version: Written::Latest,
    };

    /// The level as labels say it.
    #[must_use]
    pub fn level_name(self) -> &'static str {
        self.level.map_or("privileged", Level::name)
    }
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level_name(), self.version)
    }
}

// === impl Written ===

impl Written {
    fn parse(text: &str) -> Option<Self> {
        // The grammar is the same; a number that Go's int does not hold is no version there.
        text.parse::<Version>().ok()?;
        match text.strip_prefix("v1.") {
            None => Some(Self::Latest),
            Some(minor) => minor.parse().ok().map(Self::Minor),
        }
    }

    /// The version to judge by.
    #[must_use]
    pub fn known(self) -> Version {
        match self {
            Self::Latest => Version::LATEST,
            Self::Minor(minor) => Version::of_minor(minor),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Minor(minor) => write!(f, "v1.{minor}"),
        }
    }
}

// === impl PodSecurity ===

impl Default for PodSecurity {
    fn default() -> Self {
        Self::new(Modes::PRIVILEGED, Exemptions::default())
    }
}

impl PodSecurity {
    /// The source with these defaults and exemptions.
    #[must_use]
    pub fn new(defaults: Modes, exemptions: Exemptions) -> Self {
        let controls = [Level::Baseline, Level::Restricted].map(|level| {
            Version::all()
                .map(|version| pod_security(level, version))
                .collect()
        });
        Self {
            defaults,
            exemptions,
            options: Options::default(),
            controls,
        }
    }

    /// The same, going as far as these say.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How far it goes.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// What a namespace with these labels asks for, and what is wrong with them.
    #[must_use]
    pub fn modes(&self, labels: &BTreeMap<String, String>) -> (Modes, Vec<LabelError>) {
        self.defaults.with_labels(labels)
    }

    /// What a namespace without labels asks for.
    #[must_use]
    pub fn defaults(&self) -> Modes {
        self.defaults
    }

    /// Who is not judged.
    #[must_use]
    pub fn exemptions(&self) -> &Exemptions {
        &self.exemptions
    }

    /// The controls of a level at a version.
    #[must_use]
    pub fn controls(&self, level: Level, version: Version) -> &[AnyControl] {
        let of_level = &self.controls[usize::from(level == Level::Restricted)];
        of_level.get(version.minor()).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let of = |(key, value): &(&str, &str)| {
            (
                format!("pod-security.kubernetes.io/{key}"),
                (*value).to_owned(),
            )
        };
        all.iter().map(of).collect()
    }

    #[track_caller]
    fn check(defaults: Modes, all: &[(&str, &str)], expected: [&str; 3], errors: &[&str]) {
        let (modes, found) = defaults.with_labels(&labels(all));
        assert_eq!(
            [modes.enforce, modes.audit, modes.warn].map(|it| it.to_string()),
            expected,
            "{all:?}"
        );
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            errors,
            "{all:?}"
        );
    }

    #[test]
    fn each_mode_is_what_its_labels_say_or_the_default() {
        const NONE: &str = "privileged:latest";
        check(Modes::PRIVILEGED, &[], [NONE; 3], &[]);
        check(
            Modes::PRIVILEGED,
            &[
                ("audit", "restricted"),
                ("audit-version", "v1.24"),
                ("warn", "baseline"),
                ("enforce", "privileged"),
            ],
            [NONE, "restricted:v1.24", "baseline:latest"],
            &[],
        );
        check(
            Modes::PRIVILEGED,
            &[("enforce-version", "v1.99")],
            ["privileged:v1.99", NONE, NONE],
            &[],
        );
        check(
            Modes::PRIVILEGED,
            &[("exempt", "restricted")],
            [NONE; 3],
            &[],
        );
    }

    #[test]
    fn who_enforces_is_warned_unless_he_says_otherwise() {
        let restricted = "restricted:v1.30";
        let enforce = [("enforce", "restricted"), ("enforce-version", "v1.30")];
        check(
            Modes::PRIVILEGED,
            &enforce,
            [restricted, "privileged:latest", restricted],
            &[],
        );
        let with = |more: (&'static str, &'static str)| [enforce[0], enforce[1], more];
        check(
            Modes::PRIVILEGED,
            &with(("warn", "privileged")),
            [restricted, "privileged:latest", "privileged:latest"],
            &[],
        );
        check(
            Modes::PRIVILEGED,
            &with(("warn-version", "v1.2")),
            [restricted, "privileged:latest", "restricted:v1.2"],
            &[],
        );
        let warned = LevelVersion {
            level: Some(Level::Restricted),
            version: Written::Minor(1),
        };
        let defaults = Modes {
            warn: warned,
            ..Modes::PRIVILEGED
        };
        check(
            defaults,
            &[("enforce", "baseline")],
            ["baseline:latest", "privileged:latest", "restricted:v1.1"],
            &[],
        );
    }

    #[test]
    fn what_is_wrong_degrades_and_is_told_in_upstreams_words() {
        check(
            Modes::PRIVILEGED,
            &[
                ("enforce", "Baseline"),
                ("enforce-version", "1.24"),
                ("audit", ""),
                ("audit-version", "v1.07"),
                ("warn", "none"),
                ("warn-version", "v1.99999999999999999999"),
            ],
            [
                "restricted:latest",
                "privileged:latest",
                "privileged:latest",
            ],
            &[
                "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"Baseline\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: \"1.24\": must be \"latest\" or \"v1.x\"",
                "metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: \"\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: \"v1.07\": must be \"latest\" or \"v1.x\"",
                "metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"none\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"v1.99999999999999999999\": must be \"latest\" or \"v1.x\"",
            ],
        );
    }

    #[test]
    fn a_broken_enforce_level_is_not_what_is_warned_of() {
        check(
            Modes::PRIVILEGED,
            &[("enforce", "x")],
            [
                "restricted:latest",
                "privileged:latest",
                "privileged:latest",
            ],
            &[
                "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"x\": must be one of privileged, baseline, restricted",
            ],
        );
    }

    #[test]
    fn every_version_has_its_controls() {
        let it = PodSecurity::default();
        for level in [Level::Baseline, Level::Restricted] {
            for version in Version::all() {
                assert_eq!(it.controls(level, version), pod_security(level, version));
            }
            let newest = Written::Minor(i64::MAX).known();
            assert_eq!(
                it.controls(level, newest),
                pod_security(level, Version::LATEST)
            );
        }
    }
}
