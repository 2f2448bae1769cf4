//! `PodPolicy`: podgate's own format. Every key is known or refused, and every error says where.

use crate::control::{self, AnyControl, AnyInjection};
use crate::document::{Entry, Fields, FromNode, Node, Problem, Problems, Span, Value, one_of};

use super::super::level::{self, Level, Version};
use super::super::{Draft, Match, Mode, Workloads};

const API_VERSION: &str = "podgate.dev/v1alpha1";
/// The annotation whose link is shown in rejections.
const DOCS: &str = "podgate.dev/docs";
const MODES: &[(&str, Option<Mode>)] = &[
    ("enforce", Some(Mode::Enforce)),
    ("warn", Some(Mode::Warn)),
    ("audit", Some(Mode::Audit)),
];
/// A control may also be switched off, to loosen a level.
const CONTROL_MODES: &[(&str, Option<Mode>)] = &[
    ("enforce", Some(Mode::Enforce)),
    ("warn", Some(Mode::Warn)),
    ("audit", Some(Mode::Audit)),
    ("none", None),
];
const WORKLOADS: &[(&str, Workloads)] = &[
    ("enforce", Workloads::UpTo(Mode::Enforce)),
    ("warn", Workloads::UpTo(Mode::Warn)),
    ("audit", Workloads::UpTo(Mode::Audit)),
    ("ignore", Workloads::Ignore),
];
const LEVELS: &[(&str, Level)] = &[
    ("baseline", Level::Baseline),
    ("restricted", Level::Restricted),
];

/// The policy of one document, with the place of its name.
pub fn read(node: &Node, problems: &mut Problems) -> Option<(Draft, Span)> {
    let mut fields = Fields::of(node, problems)?;
    let version = fields.required::<String>("apiVersion", problems);
    let kind = fields.required::<String>("kind", problems);
    if let (Some(version), Some(place)) = (&version, node.get("apiVersion"))
        && version != API_VERSION
    {
        let problem = Problem::new(
            place.span,
            format!("the apiVersion \"{version}\" is not podgate's"),
        );
        problems.push(problem.hint(format!("policies are {API_VERSION}")));
        return None;
    }
    if let (Some(kind), Some(place)) = (&kind, node.get("kind")) {
        match kind.as_str() {
            "PodPolicy" => {}
            "PodExemption" => {
                problems.push(
                    Problem::new(
                        place.span,
                        "PodExemption is not supported by this version of podgate",
                    )
                    .hint(
                        "loosen a control for the namespace with a policy of its own until it is",
                    ),
                );
                return None;
            }
            other => {
                problems.push(
                    Problem::new(place.span, format!("unknown kind \"{other}\""))
                        .hint("did you mean PodPolicy?"),
                );
                return None;
            }
        }
    }
    let metadata = fields
        .node("metadata")
        .and_then(|it| read_metadata(it, problems));
    if node.get("metadata").is_none() {
        problems.push(
            Problem::new(node.span, "missing field \"metadata\"")
                .hint("a policy needs metadata.name"),
        );
    }
    let spec = fields.node("spec").and_then(|it| read_spec(it, problems));
    if node.get("spec").is_none() {
        problems.push(Problem::new(node.span, "missing field \"spec\""));
    }
    fields.finish(problems);
    let ((name, span, docs), mut draft) = (metadata?, spec?);
    draft.name = name;
    draft.docs = docs;
    Some((draft, span))
}

fn read_metadata(node: &Node, problems: &mut Problems) -> Option<(String, Span, Option<String>)> {
    let mut fields = Fields::of(node, problems)?;
    let name = fields.required::<String>("name", problems);
    // What a cluster object carries besides is none of podgate's business.
    for ignored in [
        "labels",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "ownerReferences",
    ] {
        let _ = fields.node(ignored);
    }
    let docs = fields
        .node("annotations")
        .and_then(|it| it.get(DOCS))
        .and_then(Node::as_str)
        .map(str::to_owned);
    fields.finish(problems);
    let span = node.get("name").map_or(node.span, |it| it.span);
    let name = name?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_name) {
        problems.push(
            Problem::new(span, format!("\"{name}\" is no name"))
                .hint("lower-case letters, digits, '-' and '.', at most 253 characters"),
        );
        return None;
    }
    Some((name, span, docs))
}

fn read_spec(node: &Node, problems: &mut Problems) -> Option<Draft> {
    let mut fields = Fields::of(node, problems)?;
    let mode = fields
        .node("mode")
        .and_then(|it| one_of(it, "mode", MODES, problems))
        .flatten();
    let workloads = fields
        .node("workloads")
        .and_then(|it| one_of(it, "workloads mode", WORKLOADS, problems));
    let matching = fields
        .optional::<Match>("match", problems)
        .unwrap_or_default();
    let level = fields
        .node("level")
        .and_then(|it| one_of(it, "level", LEVELS, problems));
    let version = read_version(fields.node("version"), problems);
    let controls = fields.node("controls");
    let inject = fields.node("inject");
    if let Some(rules) = fields.node("rules") {
        problems.push(Problem::new(
            rules.span,
            "CEL rules are not supported by this version of podgate",
        ));
    }
    fields.finish(problems);

    let judges = level.is_some() || controls.is_some_and(|it| !it.is_null());
    if judges && node.get("mode").is_none() {
        problems.push(
            Problem::new(node.span, "missing field \"mode\"")
                .hint("enforce, warn or audit; begin with audit"),
        );
    }
    let mode = mode.unwrap_or(Mode::Audit);
    let level = level.map(|level| level::controls(level, version));
    let controls = read_controls(level.unwrap_or_default(), mode, controls, problems);
    let injections = read_injections(inject, problems);
    if !judges && injections.is_empty() && problems.is_empty() {
        problems.push(
            Problem::new(node.span, "the policy asks for nothing")
                .hint("give it a level, controls or inject"),
        );
    }
    Some(Draft {
        name: String::new(),
        docs: None,
        workloads: workloads.unwrap_or(Workloads::UpTo(Mode::Warn)),
        matching,
        controls,
        injections,
    })
}

/// The newest one if none is named, or none that is known.
fn read_version(node: Option<&Node>, problems: &mut Problems) -> Version {
    let Some(node) = node else {
        return Version::LATEST;
    };
    let Some(text) = String::from_node(node, problems) else {
        return Version::LATEST;
    };
    let hint = format!("latest, or v1.0 to {}", Version::LATEST);
    match text.parse::<Version>() {
        // A policy means what it says: nothing is cut down to what is known.
        Ok(version) if text == "latest" || version.to_string() == text => version,
        Ok(_) => {
            let message = format!("the version \"{text}\" is newer than this version of podgate");
            problems.push(Problem::new(node.span, message).hint(hint));
            Version::LATEST
        }
        Err(_) => {
            problems.push(Problem::new(node.span, format!("\"{text}\" is no version")).hint(hint));
            Version::LATEST
        }
    }
}

fn read_controls(
    level: Vec<AnyControl>,
    mode: Mode,
    node: Option<&Node>,
    problems: &mut Problems,
) -> Vec<(AnyControl, Mode)> {
    let mut controls: Vec<(AnyControl, Mode)> =
        level.into_iter().map(|control| (control, mode)).collect();
    for Entry { key, value } in entries(node, problems) {
        let known = controls
            .iter()
            .position(|(control, _)| control.name() == key.name);
        let base = match known {
            Some(at) => controls[at].0.clone(),
            None => {
                if let Some(control) = AnyControl::default_of(&key.name) {
                    control
                } else {
                    problems.push(control::unknown(
                        "control",
                        &key.name,
                        key.span,
                        control::NAMES,
                    ));
                    continue;
                }
            }
        };
        let empty = Node {
            span: value.span,
            value: Value::Mapping(Vec::new()),
        };
        let value = if value.is_null() { &empty } else { value };
        let Some(mut fields) = Fields::of(value, problems) else {
            continue;
        };
        let own = match fields.node("mode") {
            Some(node) => one_of(node, "mode", CONTROL_MODES, problems).unwrap_or(Some(mode)),
            None => Some(mode),
        };
        let control = base.read(&mut fields, problems);
        fields.finish(problems);
        match (known, own) {
            (Some(at), Some(mode)) => controls[at] = (control, mode),
            (Some(at), None) => {
                controls.remove(at);
            }
            (None, Some(mode)) => controls.push((control, mode)),
            (None, None) => {}
        }
    }
    let rank = |control: &AnyControl| {
        control::NAMES
            .iter()
            .position(|name| *name == control.name())
    };
    controls.sort_by_key(|(control, _)| rank(control));
    controls
}

fn read_injections(node: Option<&Node>, problems: &mut Problems) -> Vec<AnyInjection> {
    entries(node, problems)
        .iter()
        .filter_map(|entry| {
            AnyInjection::read(&entry.key.name, entry.key.span, &entry.value, problems)
        })
        .collect()
}

/// The entries of an optional mapping.
fn entries<'n>(node: Option<&'n Node>, problems: &mut Problems) -> &'n [Entry] {
    match node.map(|it| &it.value) {
        None | Some(Value::Null) => &[],
        Some(Value::Mapping(entries)) => entries,
        Some(_) => {
            if let Some(node) = node {
                problems.push(Problem::mismatch("a mapping", node));
            }
            &[]
        }
    }
}
