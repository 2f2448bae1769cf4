//! Policies: loading with located errors, matching, and compilation into an immutable [`PolicySet`].

mod error;
pub mod level;
pub mod matching;
pub mod selector;
pub mod source;

use std::fmt;
use std::sync::Arc;

use crate::control::{AnyControl, AnyInjection};
use crate::document::{Problem, Source};

pub use error::LoadError;
pub use matching::{Match, Selected};
pub use source::pod_security::{Options, PodSecurity};

use level::{Level, Version};
use source::Document;

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Recorded only.
    Audit,
    /// A `kubectl` warning.
    Warn,
    /// Rejected.
    Enforce,
}

/// What a broken pod template of a workload leads to, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workloads {
    /// Templates are not judged.
    Ignore,
    /// Judged, up to this mode.
    UpTo(Mode),
}

/// One policy, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// As users know it.
    pub name: String,
    /// Where they can read on.
    pub docs: Option<String>,
    /// What happens to templates.
    pub workloads: Workloads,
    /// Whom it concerns.
    pub matching: Match,
    /// Which of the set's checks it asks for, and in which mode.
    pub checks: Vec<(usize, Mode)>,
    /// The same checks, one bit each.
    asks: Vec<u64>,
    /// What it injects, step by step, each with its place in the order of all injections.
    pub injections: Vec<(usize, AnyInjection)>,
}

/// A policy as its source gives it, before equal controls are shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// As users know it.
    pub name: String,
    /// Where they can read on.
    pub docs: Option<String>,
    /// What happens to templates.
    pub workloads: Workloads,
    /// Whom it concerns.
    pub matching: Match,
    /// The controls it asks for.
    pub controls: Vec<(AnyControl, Mode)>,
    /// What it injects.
    pub injections: Vec<AnyInjection>,
}

/// All policies in force, immutable. Controls that several policies share are kept, and checked, once.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySet {
    policies: Vec<Policy>,
    checks: Vec<AnyControl>,
    hash: String,
    pod_security: Option<Arc<PodSecurity>>,
}

// === impl Policy ===

impl Policy {
    /// The mode in which it asks for the check at that position of its set, if it does.
    #[must_use]
    pub fn mode_of(&self, check: usize) -> Option<Mode> {
        self.checks
            .iter()
            .find(|(at, _)| *at == check)
            .map(|(_, mode)| *mode)
    }
}

/// Bits in one word of [`Policy::asks`].
const BITS: usize = u64::BITS as usize;

/// One bit for each check that is asked for.
fn bits(checks: &[(usize, Mode)]) -> Vec<u64> {
    let words = checks.iter().map(|(at, _)| at / BITS + 1).max();
    let mut bits = vec![0; words.unwrap_or_default()];
    for (at, _) in checks {
        bits[at / BITS] |= 1 << (at % BITS);
    }
    bits
}

// === impl PolicySet ===

impl PolicySet {
    /// Compiles the policies of these files, given by name and text. `place` says in errors where they came from.
    ///
    /// # Errors
    /// If any file has any error, or if there is no policy in them: all errors of all files, located.
    pub fn load(place: &str, files: &[(String, String)]) -> Result<Self, LoadError> {
        let mut drafts = Vec::new();
        let mut failed = Vec::new();
        let mut names: Vec<(String, String)> = Vec::new();
        let mut pod_security: Option<(Arc<PodSecurity>, String)> = None;
        for (name, text) in files {
            let (found, mut problems) = source::read(text);
            for (document, span) in found {
                let draft = match document {
                    Document::Policy(draft) => draft,
                    Document::PodSecurity(modes, exemptions) => {
                        if let Some((_, file)) = &pod_security {
                            let message =
                                format!("there is a PodSecurityConfiguration in {file} already");
                            problems.push(Problem::new(span, message));
                        }
                        let source = PodSecurity::new(modes, exemptions);
                        pod_security = Some((Arc::new(source), name.clone()));
                        continue;
                    }
                };
                if let Some((policy, file)) = names.iter().find(|(policy, _)| *policy == draft.name)
                {
                    problems.push(
                        Problem::new(
                            span,
                            format!("there is a policy \"{policy}\" in {file} already"),
                        )
                        .hint("names are unique in a policy set"),
                    );
                } else {
                    names.push((draft.name.clone(), name.clone()));
                    drafts.push(draft);
                }
            }
            if !problems.is_empty() {
                failed.push((Source::new(name.clone(), text.clone()), problems.into_vec()));
            }
        }
        if !failed.is_empty() {
            return Err(LoadError::Problems(failed));
        }
        if drafts.is_empty() && pod_security.is_none() {
            return Err(LoadError::Empty(place.to_owned()));
        }
        let mut set = Self::compile(drafts, hash(files));
        set.pod_security = pod_security.map(|(source, _)| source);
        Ok(set)
    }

    /// The levels of the Pod Security Standards at that version, each a policy of that name which enforces it everywhere,
    /// also on templates: to ask which level forbids what.
    #[must_use]
    pub fn of_levels(version: Version) -> Self {
        Self::of_each(&[Level::Baseline, Level::Restricted], version)
    }

    /// One level alone, in the same way.
    #[must_use]
    pub fn of_level(level: Level, version: Version) -> Self {
        Self::of_each(&[level], version)
    }

    fn of_each(levels: &[Level], version: Version) -> Self {
        let drafts = levels.iter().map(|&level| Draft {
            name: level.name().to_owned(),
            docs: None,
            workloads: Workloads::UpTo(Mode::Enforce),
            matching: Match::default(),
            controls: level::controls(level, version)
                .into_iter()
                .map(|it| (it, Mode::Enforce))
                .collect(),
            injections: Vec::new(),
        });
        let names = levels.iter().map(|level| level.name());
        let version = version.to_string();
        let hash = fingerprint(["levels", version.as_str()].into_iter().chain(names));
        Self::compile(drafts.collect(), hash)
    }

    fn compile(mut drafts: Vec<Draft>, hash: String) -> Self {
        // By name, so that the order of files changes nothing.
        drafts.sort_by(|one, two| one.name.cmp(&two.name));
        let mut checks: Vec<AnyControl> = Vec::new();
        let policies = drafts
            .into_iter()
            .map(|draft| {
                let index = |(control, mode)| {
                    let known = checks.iter().position(|known| *known == control);
                    let at = known.unwrap_or_else(|| {
                        checks.push(control);
                        checks.len() - 1
                    });
                    (at, mode)
                };
                let asked: Vec<(usize, Mode)> = draft.controls.into_iter().map(index).collect();
                let steps = draft.injections.into_iter().flat_map(AnyInjection::steps);
                Policy {
                    name: draft.name,
                    docs: draft.docs,
                    workloads: draft.workloads,
                    matching: draft.matching,
                    asks: bits(&asked),
                    checks: asked,
                    injections: steps.collect(),
                }
            })
            .collect();
        Self {
            policies,
            checks,
            hash,
            pod_security: None,
        }
    }

    /// The same set, and the Pod Security labels of namespaces count, as its `PodSecurityConfiguration` says if it has
    /// one.
    #[must_use]
    pub fn with_pod_security(mut self) -> Self {
        self.pod_security.get_or_insert_default();
        self
    }

    /// The same set, and where the labels count, they go as far as these say.
    #[must_use]
    pub fn with_pod_security_options(mut self, options: Options) -> Self {
        if let Some(source) = &mut self.pod_security {
            let it = PodSecurity::clone(source);
            *source = Arc::new(it.with_options(options));
        }
        self
    }

    /// What Pod Security labels mean, if they count.
    #[must_use]
    pub fn pod_security(&self) -> Option<&PodSecurity> {
        self.pod_security.as_deref()
    }

    /// The policies, by name.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The distinct controls that policies refer to by position.
    #[must_use]
    pub fn checks(&self) -> &[AnyControl] {
        &self.checks
    }

    /// The checks that at least one of `policies` asks for, each once, with their positions.
    pub fn asked(&self, policies: &[&Policy]) -> impl Iterator<Item = (usize, &AnyControl)> {
        let mut asked = vec![0_u64; self.checks.len().div_ceil(BITS)];
        for policy in policies {
            for (all, own) in asked.iter_mut().zip(&policy.asks) {
                *all |= own;
            }
        }
        let is_asked = move |at: usize| asked[at / BITS] >> (at % BITS) & 1 == 1;
        self.checks
            .iter()
            .enumerate()
            .filter(move |(at, _)| is_asked(*at))
    }

    /// A fingerprint of the files the set was made from, to compare replicas by.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// True if the labels of namespaces matter.
    #[must_use]
    pub fn needs_namespace_labels(&self) -> bool {
        self.pod_security.is_some() || self.selects_by_labels()
    }

    /// True if a policy selects namespaces by their labels.
    #[must_use]
    pub fn selects_by_labels(&self) -> bool {
        self.policies
            .iter()
            .any(|policy| policy.matching.namespace_selector.is_some())
    }
}

/// The policies that podgate ships, by file name: what it runs on when it is given none.
pub const SHIPPED: [(&str, &str); 3] = [
    ("baseline.yaml", include_str!("../policies/baseline.yaml")),
    (
        "inject-defaults.yaml",
        include_str!("../policies/inject-defaults.yaml"),
    ),
    (
        "restricted.yaml",
        include_str!("../policies/restricted.yaml"),
    ),
];

/// The set of the shipped policies.
///
/// # Errors
/// Never, as a test proves; the type is that of every set.
pub fn shipped() -> Result<PolicySet, LoadError> {
    let files = SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned()));
    PolicySet::load("the shipped policies", &files)
}

fn hash(files: &[(String, String)]) -> String {
    fingerprint(files.iter().flat_map(|(name, text)| [name.as_str(), text]))
}

/// FNV-1a over texts: a fingerprint, not a proof. The same on every machine and in every release.
#[must_use]
pub fn fingerprint<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for text in texts {
        for &byte in text.as_bytes().iter().chain(&[0]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{state:016x}")
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::error::MAX_PROBLEMS;
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<PolicySet, LoadError> {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        PolicySet::load("policies", &files)
    }

    #[test]
    fn the_shipped_policies_load() {
        let set = shipped().unwrap();
        let names: Vec<_> = set.policies().iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["baseline", "inject-defaults", "restricted"]);
    }

    #[test]
    fn no_policy_is_an_error() {
        assert_eq!(
            load(&[]).unwrap_err().to_string(),
            "no policies: policies holds no PodPolicy, and podgate does not run without one"
        );
        assert!(load(&[("empty.yaml", "# nothing\n")]).is_err());
    }

    #[test]
    fn every_error_of_every_file_is_told_at_once() {
        let one = "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: a}\nspec:\n  mode: enforec\n  controls:\n    privilegd: {}\n    capabilities: {requiredDrops: [ALL]}\n";
        let two = "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: b}\nspec: {level: restricted}\n";
        let error = load(&[("one.yaml", one), ("two.yaml", two)])
            .unwrap_err()
            .to_string();
        for part in [
            "one.yaml:5:9: ",
            "one.yaml:7:5: unknown control \"privilegd\" (did you mean \"privileged\"?)",
            "one.yaml:8:20: unknown field \"requiredDrops\"",
            "two.yaml:4:7: missing field \"mode\"",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn of_very_many_errors_the_rest_is_counted() {
        let text = format!(
            "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: a}}\n\
             spec: {{mode: enforce, controls: {{capabilities: {{requiredDrop: [{}]}}}}}}\n",
            "a, ".repeat(52)
        );
        let error = load(&[("one.yaml", &text)]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("; one.yaml: and 2 more problems")
        );
        let rendered = error.render(false);
        assert!(rendered.ends_with("\n\none.yaml: and 2 more problems"));
        assert_eq!(rendered.matches("error: ").count(), MAX_PROBLEMS);
    }

    #[test]
    fn controls_that_policies_share_are_kept_once() {
        let policy = |name: &str| {
            format!(
                "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {{name: {name}}}\nspec: {{mode: enforce, level: restricted}}\n---\n"
            )
        };
        let text: String = ["a", "b", "c"].map(policy).concat();
        let set = load(&[("all.yaml", &text)]).unwrap();
        assert_eq!(set.policies().len(), 3);
        assert_eq!(set.checks().len(), set.policies()[0].checks.len());
    }

    #[test]
    fn the_same_name_twice_is_an_error() {
        let text = "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: a}\nspec: {mode: audit, level: baseline}\n";
        let error = load(&[("one.yaml", text), ("two.yaml", text)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("two.yaml:3:18: there is a policy \"a\" in one.yaml already"),
            "{error}"
        );
    }
}
