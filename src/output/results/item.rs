//! Findings that say the same of several containers, merged into one item of a text; and the words of it.

use std::collections::BTreeMap;

use crate::output::group::ranges;
use crate::output::text::{self, MAX_VALUE, clean};
use crate::policy::Mode;

use super::{ANNOTATION, Fate, Finding, Object};

/// How much of a path is shown.
const MAX_PATH: usize = 400;

/// One control, broken in the same way at one or more places of an object.
#[derive(Debug, Clone)]
pub struct Item<'r> {
    /// At least one.
    pub members: Vec<&'r Finding>,
}

/// Merges findings that differ only in the container; the order stays that of the first of each.
#[must_use]
pub fn items(findings: &[Finding]) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut known = BTreeMap::new();
    for finding in findings {
        let at = match &finding.container {
            Some(_) => *known.entry(said(finding)).or_insert(items.len()),
            None => items.len(),
        };
        match items.get_mut(at) {
            Some(item) => item.members.push(finding),
            None => items.push(Item {
                members: vec![finding],
            }),
        }
    }
    items
}

/// All but who it is about and where that stands; taken apart so that no field is forgotten.
fn said(finding: &Finding) -> impl Ord + '_ {
    let Finding {
        control,
        mode,
        pod_mode,
        policies,
        pod_policies,
        level,
        container: _,
        volume,
        field,
        path: _,
        in_pod,
        current,
        source,
        required,
        fix,
        pods,
        place: _,
        new,
    } = finding;
    (
        (control, field, current, required, source, fix, volume),
        (mode, pod_mode, policies, pod_policies, level),
        (in_pod, pods, new),
    )
}

// === impl Item ===

impl<'r> Item<'r> {
    /// The first member, which speaks for all but its place.
    #[must_use]
    pub fn first(&self) -> &'r Finding {
        self.members[0]
    }

    /// Who is meant: `containers "a", "b": `; nothing for the Pod as a whole.
    #[must_use]
    pub fn who(&self) -> String {
        let first = self.first();
        if let Some(volume) = &first.volume {
            return text::who("volume", &[volume], usize::MAX);
        }
        let names: Vec<&str> = self
            .members
            .iter()
            .filter_map(|it| it.container.as_ref().map(|it| it.name.as_str()))
            .collect();
        text::who("container", &names, usize::MAX)
    }

    /// The exact path; several containers of one list as `spec.containers[0,2-5].…`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut places: Vec<(&str, &str, Vec<usize>)> = Vec::new();
        for finding in &self.members {
            let Some((before, index, after)) = self.members.get(1).and_then(|_| parts(finding))
            else {
                return clean(&self.first().path, MAX_PATH);
            };
            match places.iter_mut().find(|(list, ..)| *list == before) {
                Some((.., indices)) => indices.push(index),
                None => places.push((before, after, vec![index])),
            }
        }
        let paths: Vec<String> = places
            .iter()
            .map(|(before, after, indices)| {
                format!("{before}[{}]{}", ranges(indices), clean(after, MAX_PATH))
            })
            .collect();
        paths.join(" and ")
    }

    /// `container "a": securityContext.privileged`; for the Pod the whole path.
    #[must_use]
    pub fn place(&self) -> String {
        let first = self.first();
        match (&first.container, &first.volume) {
            (None, None) => self.path(),
            _ => format!("{}{}", self.who(), clean(&first.field, MAX_PATH)),
        }
    }

    /// The value, and where it came from: `false (from spec.securityContext)`.
    #[must_use]
    pub fn current(&self) -> String {
        let first = self.first();
        let current = clean(&first.current, MAX_VALUE);
        match first.source.as_deref() {
            None => current,
            Some(ANNOTATION) => format!("{current} (from its legacy annotation)"),
            Some(path) => format!("{current} (from {})", clean(path, MAX_PATH)),
        }
    }

    /// What is required, to be read behind "must be".
    #[must_use]
    pub fn required(&self) -> String {
        clean(&self.first().required, 3 * MAX_VALUE)
    }

    /// `container "a": securityContext.privileged is true; must be false or unset`.
    #[must_use]
    pub fn statement(&self) -> String {
        let pods = match self.first().in_pod.as_deref() {
            None => String::new(),
            Some(pod) => format!("in Pod {}: ", clean(pod, 253)),
        };
        format!(
            "{pods}{} is {}; must be {}",
            self.place(),
            self.current(),
            self.required()
        )
    }

    /// What follows from it, to be read behind the object: ` is rejected by policy "baseline"`.
    #[must_use]
    pub fn verdict(&self) -> String {
        let first = self.first();
        let names = |names: &'r [String]| text::policies(names.iter().map(String::as_str));
        match first.mode {
            Mode::Enforce => format!(" is rejected by {}", names(&first.policies)),
            _ if first.fate() == Fate::PodsRejected => format!(
                ": its Pods will be rejected by {}",
                names(&first.pod_policies)
            ),
            Mode::Warn => format!(" is warned of by {}", names(&first.policies)),
            Mode::Audit => format!(" is recorded by {}", names(&first.policies)),
        }
    }
}

/// The path up to the container list, the position in it, and the rest: `spec.containers`, 0, `.tty`.
fn parts(finding: &Finding) -> Option<(&str, usize, &str)> {
    let list = &finding.container.as_ref()?.list;
    let open = finding.path.find(&format!("{list}["))? + list.len();
    let (before, rest) = finding.path.split_at(open);
    let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
    Some((before, index.parse().ok()?, after))
}

// === impl Object ===

impl Object {
    /// As messages call it: `Deployment shop/web`.
    #[must_use]
    pub fn title(&self) -> String {
        text::title(&self.kind, &self.namespace, &self.name)
    }
}

// === impl Fate ===

impl Fate {
    /// As JSON has it: `podsRejected`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Recorded => "recorded",
            Self::Warned => "warned",
            Self::PodsRejected => "podsRejected",
            Self::Rejected => "rejected",
        }
    }

    /// What would happen, to be read behind the object: `would be rejected`.
    #[must_use]
    pub fn would(self) -> &'static str {
        match self {
            Self::Clean => "would be admitted",
            Self::Recorded => "would be admitted and recorded",
            Self::Warned => "would be admitted with a warning",
            Self::PodsRejected => "would be admitted and its Pods rejected",
            Self::Rejected => "would be rejected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{finding, in_container};
    use super::*;

    #[test]
    fn findings_that_say_the_same_of_several_containers_are_one_item() {
        let findings = [
            in_container("containers", 0, "a"),
            in_container("containers", 1, "b"),
            Finding {
                mode: Mode::Warn,
                ..in_container("containers", 2, "c")
            },
            in_container("containers", 3, "d"),
            in_container("initContainers", 0, "e"),
            finding("spec.hostPID"),
            finding("spec.hostPID"),
        ];
        let items = items(&findings);
        let told: Vec<(String, String)> = items.iter().map(|it| (it.who(), it.path())).collect();
        let field = "securityContext.privileged";
        let expected = [
            (
                "containers \"a\", \"b\", \"d\", \"e\": ",
                format!("spec.containers[0,1,3].{field} and spec.initContainers[0].{field}"),
            ),
            ("container \"c\": ", format!("spec.containers[2].{field}")),
            ("", "spec.hostPID".to_owned()),
            ("", "spec.hostPID".to_owned()),
        ];
        assert_eq!(told, expected.map(|(who, path)| (who.to_owned(), path)));
    }

    #[test]
    fn a_fate_has_the_name_that_json_has() {
        for fate in [
            Fate::Clean,
            Fate::Recorded,
            Fate::Warned,
            Fate::PodsRejected,
            Fate::Rejected,
        ] {
            let json = serde_json::to_value(fate).ok();
            assert_eq!(json, Some(fate.name().into()));
        }
    }

    #[test]
    fn an_item_says_what_is_wrong_and_what_follows() {
        let mut it = Finding {
            source: Some("spec.template.spec.securityContext".to_owned()),
            ..in_container("containers", 0, "a\nb")
        };
        let said = |it: &Finding| {
            let item = Item { members: vec![it] };
            (item.statement(), item.verdict())
        };
        let text = "container \"a\\u{a}b\": securityContext.privileged is true \
                    (from spec.template.spec.securityContext); must be false or unset";
        let verdict = " is rejected by policy \"baseline\"";
        assert_eq!(said(&it), (text.to_owned(), verdict.to_owned()));

        it.source = Some(ANNOTATION.to_owned());
        it.in_pod = Some("web-1".to_owned());
        it.mode = Mode::Warn;
        it.policies = vec!["a".to_owned(), "b".to_owned()];
        let text = "in Pod web-1: container \"a\\u{a}b\": securityContext.privileged is true \
                    (from its legacy annotation); must be false or unset";
        let verdict = ": its Pods will be rejected by policy \"baseline\"";
        assert_eq!(said(&it), (text.to_owned(), verdict.to_owned()));

        it.pod_mode = Mode::Warn;
        assert_eq!(said(&it).1, " is warned of by policies \"a\", \"b\"");
        (it.mode, it.pod_mode) = (Mode::Audit, Mode::Audit);
        assert_eq!(said(&it).1, " is recorded by policies \"a\", \"b\"");
    }
}
