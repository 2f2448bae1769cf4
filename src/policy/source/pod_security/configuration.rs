//! `PodSecurityConfiguration`, the file that the API server's plugin takes: read strictly, every error with its place.

use super::labels::parse_level;
use super::{LevelVersion, Modes, Written};
use crate::document::{Fields, FromNode, Node, Problem, Problems, Value};
use crate::policy::level::Level;

/// Who is not judged, letter by letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exemptions {
    /// Requesters.
    pub usernames: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// What Pods have in `runtimeClassName`.
    pub runtime_classes: Vec<String>,
}

// === impl Exemptions ===

impl Exemptions {
    /// True if what is in this namespace is not judged.
    #[must_use]
    pub fn has_namespace(&self, name: &str) -> bool {
        is_listed(&self.namespaces, name)
    }

    /// True if what this requester sends is not judged.
    #[must_use]
    pub fn has_user(&self, name: &str) -> bool {
        is_listed(&self.usernames, name)
    }

    /// True if Pods of this runtime class are not judged.
    #[must_use]
    pub fn has_runtime_class(&self, name: &str) -> bool {
        is_listed(&self.runtime_classes, name)
    }
}

fn is_listed(list: &[String], name: &str) -> bool {
    !name.is_empty() && list.iter().any(|it| it == name)
}

/// How its `apiVersion` begins.
pub const GROUP: &str = "pod-security.admission.config.k8s.io/";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const KIND: &str = "PodSecurityConfiguration";

/// The defaults and exemptions that a document says, if nothing in it is wrong.
pub fn read(node: &Node, problems: &mut Problems) -> Option<(Modes, Exemptions)> {
    let known = problems.len();
    let mut fields = Fields::of(node, problems)?;
    for (name, is_right) in [
        (
            "apiVersion",
            (|it| {
                it.strip_prefix(GROUP)
                    .is_some_and(|it| VERSIONS.contains(&it))
            }) as fn(&str) -> bool,
        ),
        ("kind", |it| it == KIND),
    ] {
        if let Some(text) = fields.required::<String>(name, problems)
            && !is_right(&text)
        {
            let span = node.get(name).map_or(node.span, |it| it.span);
            let problem = Problem::new(span, format!("the {name} is \"{text}\""));
            problems.push(problem.hint(format!("expected a {KIND} of {GROUP}v1")));
        }
    }
    let defaults = fields.node("defaults").filter(|it| !it.is_null());
    let defaults = defaults.map_or(Some(Modes::PRIVILEGED), |it| read_defaults(it, problems));
    let exemptions = fields.node("exemptions").filter(|it| !it.is_null());
    let exemptions = exemptions.map_or(Some(Exemptions::default()), |it| {
        read_exemptions(it, problems)
    });
    fields.finish(problems);
    Some((defaults?, exemptions?)).filter(|_| problems.len() == known)
}

fn read_defaults(node: &Node, problems: &mut Problems) -> Option<Modes> {
    let mut fields = Fields::of(node, problems)?;
    let mut mode = |level, version| LevelVersion {
        level: word(
            fields.node(level),
            "level",
            "one of privileged, baseline, restricted",
            problems,
            |text| parse_level(text).ok(),
        )
        .unwrap_or(None::<Level>),
        version: word(
            fields.node(version),
            "version",
            "\"latest\" or \"v1.x\"",
            problems,
            Written::parse,
        )
        .unwrap_or(Written::Latest),
    };
    let modes = Modes {
        enforce: mode("enforce", "enforce-version"),
        audit: mode("audit", "audit-version"),
        warn: mode("warn", "warn-version"),
    };
    fields.finish(problems);
    Some(modes)
}

/// A word that stands for something; one that is left out or empty is the default.
fn word<T>(
    node: Option<&Node>,
    what: &str,
    expected: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let node = node.filter(|it| !it.is_null())?;
    let text = String::from_node(node, problems).filter(|it| !it.is_empty())?;
    let parsed = parse(&text);
    if parsed.is_none() {
        let problem = Problem::new(node.span, format!("\"{text}\" is no {what}"));
        problems.push(problem.hint(format!("must be {expected}")));
    }
    parsed
}

fn read_exemptions(node: &Node, problems: &mut Problems) -> Option<Exemptions> {
    let mut fields = Fields::of(node, problems)?;
    let exemptions = Exemptions {
        usernames: names(fields.node("usernames"), "username", problems, |it| {
            !it.is_empty()
        }),
        namespaces: names(
            fields.node("namespaces"),
            "name of a namespace",
            problems,
            is_label,
        ),
        runtime_classes: names(
            fields.node("runtimeClasses"),
            "name of a runtime class",
            problems,
            |it| it.len() <= 253 && it.split('.').all(is_label_of_any_length),
        ),
    };
    fields.finish(problems);
    Some(exemptions)
}

fn names(
    node: Option<&Node>,
    what: &str,
    problems: &mut Problems,
    is_name: impl Fn(&str) -> bool,
) -> Vec<String> {
    let Some(node) = node.filter(|it| !it.is_null()) else {
        return Vec::new();
    };
    let Some(list) = Vec::<String>::from_node(node, problems) else {
        return Vec::new();
    };
    let Value::Sequence(items) = &node.value else {
        return list;
    };
    for (at, (name, item)) in list.iter().zip(items).enumerate() {
        if !is_name(name) {
            problems.push(Problem::new(item.span, format!("\"{name}\" is no {what}")));
        } else if list[..at].contains(name) {
            problems.push(Problem::new(
                item.span,
                format!("\"{name}\" is listed twice"),
            ));
        }
    }
    list
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_of_any_length(text)
}

fn is_label_of_any_length(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !text.is_empty()
        && text.as_bytes().iter().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::document::{Source, parse};

    fn of(text: &str) -> Result<(Modes, Exemptions), Problems> {
        let mut problems = Problems::default();
        let nodes = parse(text).unwrap();
        read(&nodes[0], &mut problems).ok_or(problems)
    }

    #[test]
    fn a_whole_configuration() {
        for version in VERSIONS {
            let text = format!(
                "apiVersion: {GROUP}{version}\nkind: {KIND}\ndefaults:\n  enforce: baseline\n  enforce-version: v1.30\n  \
                 audit: restricted\n  warn: \"\"\n  warn-version: latest\nexemptions:\n  usernames: [\"system:x\"]\n  \
                 namespaces: [kube-system]\n  runtimeClasses: [a.b-c]\n"
            );
            let (modes, exemptions) = of(&text).unwrap();
            let shown = [modes.enforce, modes.audit, modes.warn].map(|it| it.to_string());
            assert_eq!(
                shown,
                ["baseline:v1.30", "restricted:latest", "privileged:latest"]
            );
            assert_eq!(exemptions.usernames, ["system:x"]);
            assert_eq!(exemptions.namespaces, ["kube-system"]);
            assert_eq!(exemptions.runtime_classes, ["a.b-c"]);
        }
        let least = format!("apiVersion: {GROUP}v1\nkind: {KIND}\ndefaults:\nexemptions: null\n");
        assert_eq!(
            of(&least).unwrap(),
            (Modes::PRIVILEGED, Exemptions::default())
        );
    }

    #[test]
    fn every_error_is_told_with_its_place() {
        let text = format!(
            "apiVersion: {GROUP}v2\nkind: {KIND}s\ndefaults:\n  enforce: Baseline\n  enforce-version: \"1.30\"\n  enfroce: x\n\
             exemptions:\n  usernames: [\"\", a, a]\n  namespaces: [kube.system, -a]\n  runtimeClassNames: [x]\nmore: 1\n"
        );
        let source = Source::new("psc.yaml".to_owned(), text.clone());
        let problems = of(&text).unwrap_err().into_vec();
        let mut told: Vec<String> = problems
            .iter()
            .map(|it| {
                let (line, column) = source.line_col(it.span.start);
                format!("{line}:{column}: {}", it.message)
            })
            .collect();
        told.sort_by_key(|it| it.split(':').next().and_then(|it| it.parse::<u32>().ok()));
        let version = format!("1:13: the apiVersion is \"{GROUP}v2\"");
        let kind = format!("2:7: the kind is \"{KIND}s\"");
        let expected = [
            &*version,
            &*kind,
            "4:12: \"Baseline\" is no level",
            "5:20: \"1.30\" is no version",
            "6:3: unknown field \"enfroce\"",
            "8:15: \"\" is no username",
            "8:22: \"a\" is listed twice",
            "9:16: \"kube.system\" is no name of a namespace",
            "9:29: \"-a\" is no name of a namespace",
            "10:3: unknown field \"runtimeClassNames\"",
            "11:1: unknown field \"more\"",
        ];
        assert_eq!(told, expected);
    }
}
