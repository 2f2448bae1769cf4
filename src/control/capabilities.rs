//! `capabilities`: which Linux capabilities every container has to drop and which it may add.
//!
//! Pod Security Standards, baseline (`allowedAdd`) and restricted (`requiredDrop` too). Looks at
//! `securityContext.capabilities` of every container.
//! Parameters: `requiredDrop` (each has to stand in `drop`, letter by letter; `ALL` in `drop` stands for each of them;
//! what has to be dropped by name may not be added back, neither by name nor by `ALL`),
//! `allowedAdd` (nothing else may stand in `add`; left out, or with `*` in it: anything may).
//! `skipWindows` (nothing is asked of a Pod for Windows; `true` if not said otherwise, `false` for baseline and for
//! restricted before v1.25).
//! Names are those of Kubernetes: `NET_ADMIN`, neither `CAP_NET_ADMIN` nor `net_admin`.

use serde_json::Value;

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problem, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::edit::flow;
use crate::pod::{Change, Container, Edit, PodView, Text, view};

/// Drops what has to be dropped, adds only what may be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Each has to stand in `drop`.
    pub required_drop: Vec<String>,
    /// Only these may stand in `add`; `None` and `*`: any.
    pub allowed_add: Option<Vec<String>>,
    /// Nothing is asked of a Pod for Windows.
    pub skip_windows: bool,
}

/// A capability as Kubernetes names it, or `*`.
struct Name(String);

const ALL: &str = "ALL";
const ANY: &str = "*";

impl Default for Capabilities {
    fn default() -> Self {
        Self { required_drop: Vec::new(), allowed_add: None, skip_windows: true }
    }
}

impl Control for Capabilities {
    const NAME: &'static str = "capabilities";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let it = Self {
            required_drop: names("requiredDrop", fields, problems).unwrap_or(base.required_drop),
            allowed_add: names("allowedAdd", fields, problems).or(base.allowed_add),
            skip_windows: fields.optional("skipWindows", problems).unwrap_or(base.skip_windows),
        };
        no_wildcard("requiredDrop", &it.required_drop, fields, problems);
        for name in it.allowed_add.iter().flatten().filter(|name| it.required_drop.contains(name)) {
            problems.push(
                Problem::new(fields.span(), format!("{name} is required to be dropped and allowed to be added"))
                    .hint("take it out of requiredDrop or out of allowedAdd"),
            );
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        if self.skip_windows && pod.is_windows() {
            return;
        }
        let none = view::Capabilities::default();
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.capabilities.as_ref()).unwrap_or(&none);
            let lacks_drop = self.missing(own).next().is_some();
            let forbidden: Vec<&str> = own.add.iter().map(|it| &**it).filter(|it| !self.may_add(it)).collect();
            let mut push = |field: &str, current: String, required: String, values: &[&str]| {
                let subject = Subject::container(at, container);
                let field = format!("securityContext.capabilities.{field}");
                let finding = Finding::new(Self::NAME, subject, field, current, required);
                // The API server refuses the field on a Windows Pod, whatever it says.
                let fix = (!pod.is_windows()).then(|| Edit::container(at, self.mended(own)));
                findings.push(Finding { fix, ..finding.values(values.iter().copied()) });
            };
            if lacks_drop {
                let required = format!("a list with {}", self.required_drop.join(", "));
                push("drop", list(own.drop.iter().map(|it| &**it)), required, &[]);
            }
            if !forbidden.is_empty() {
                let allowed = self.allowed_add.as_deref().unwrap_or_default();
                let required = match allowed {
                    [] if self.allowed_add.is_some() => "empty".to_owned(),
                    [] => format!("without ALL, {}", self.required_drop.join(", ")),
                    [any, ..] if any == ANY => format!("without ALL, {}", self.required_drop.join(", ")),
                    allowed => format!("only {}", allowed.join(", ")),
                };
                push("add", list(forbidden.iter().copied()), required, &forbidden);
            }
        }
    }
}

impl Capabilities {
    /// What has to be dropped and is not.
    fn missing<'s>(&'s self, own: &'s view::Capabilities<'_>) -> impl Iterator<Item = &'s String> {
        self.required_drop.iter().filter(|name| !has(&own.drop, ALL) && !has(&own.drop, name))
    }

    fn may_add(&self, name: &str) -> bool {
        let is_dropped = self.required_drop.iter().any(|it| it != ALL && (it == name || name == ALL));
        !is_dropped
            && self.allowed_add.as_ref().is_none_or(|allowed| allowed.iter().any(|it| it == ANY || it == name))
    }

    /// The whole field as it should be, so that the fixes of both findings of one container agree.
    fn mended(&self, own: &view::Capabilities<'_>) -> Change<'static> {
        let mut missing: Vec<&String> = self.missing(own).collect();
        if missing.iter().any(|it| *it == ALL) {
            missing.retain(|it| *it == ALL);
        }
        let may_stay = |it: &&Text<'_>| self.may_add(it) && !missing.iter().any(|name| **name == ***it);
        Change::Capabilities {
            add: (!own.add.is_empty()).then(|| own.add.iter().filter(may_stay).map(owned).collect()),
            drop: own.drop.iter().map(owned).chain(missing.iter().map(|it| text(it))).collect(),
        }
    }
}

/// `inject: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}`: into each container, beside what it says itself.
/// Nothing is added that the container drops, and nothing dropped that it adds; nor `SYS_ADMIN` beside
/// `allowPrivilegeEscalation: false`, as the injection of the latter does not write it beside the former.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InjectCapabilities {
    /// Goes into `drop`.
    pub drop: Vec<String>,
    /// Goes into `add`.
    pub add: Vec<String>,
}

impl InjectCapabilities {
    /// What it adds, then whether it drops `ALL`, then what it drops by name, which has nothing left to do after `ALL`.
    #[must_use]
    pub fn steps(self) -> [Self; 3] {
        let (all, named) = self.drop.into_iter().partition(|name| name == ALL);
        let drops = |drop| Self { drop, add: Vec::new() };
        [Self { drop: Vec::new(), add: self.add }, drops(all), drops(named)]
    }
}

impl Injection for InjectCapabilities {
    const NAME: &'static str = "capabilities";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let it = Self {
            drop: names("drop", &mut fields, problems).unwrap_or_default(),
            add: names("add", &mut fields, problems).unwrap_or_default(),
        };
        no_wildcard("drop", &it.drop, &fields, problems);
        no_wildcard("add", &it.add, &fields, problems);
        for name in it.add.iter().filter(|name| it.drop.contains(name)) {
            problems.push(Problem::new(fields.span(), format!("{name} is both dropped and added")));
        }
        fields.finish(problems);
        Some(it)
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let none = view::Capabilities::default();
        for (at, container) in target.containers(pod) {
            let own = container.security_context.as_ref().and_then(|it| it.capabilities.as_ref()).unwrap_or(&none);
            let mut add: Vec<Text<'static>> = own.add.iter().map(owned).collect();
            let mut drop: Vec<Text<'static>> = own.drop.iter().map(owned).collect();
            let may_add = |name: &str| name != "SYS_ADMIN" || !forbids_escalation(container);
            for name in &self.add {
                if may_add(name) && !has(&add, name) && !has(&drop, name) && !has(&drop, ALL) {
                    add.push(text(name));
                }
            }
            for name in &self.drop {
                if !has(&add, name) && !has(&drop, name) && !has(&drop, ALL) {
                    drop.push(text(name));
                }
            }
            if (add.len(), drop.len()) != (own.add.len(), own.drop.len()) {
                let add = Some(add).filter(|it| !it.is_empty());
                edits.push(Edit::container(at, Change::Capabilities { add, drop }));
            }
        }
    }
}

fn forbids_escalation(container: &Container<'_>) -> bool {
    container.security_context.as_ref().is_some_and(|it| it.allow_privilege_escalation == Some(false))
}

fn has(list: &[Text<'_>], name: &str) -> bool {
    list.iter().any(|it| &**it == name)
}

fn text(name: &str) -> Text<'static> {
    Text::from(name.to_owned())
}

fn owned(name: &Text<'_>) -> Text<'static> {
    text(name)
}

/// `[NET_RAW, SYS_TIME]`, or `unset` if there are none.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<Value> = names.map(Value::from).collect();
    if names.is_empty() { "unset".to_owned() } else { flow(&Value::Array(names)) }
}

fn names(field: &'static str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let names: Vec<Name> = fields.optional(field, problems)?;
    Some(names.into_iter().map(|it| it.0).collect())
}

fn no_wildcard(field: &str, names: &[String], fields: &Fields<'_>, problems: &mut Problems) {
    if names.iter().any(|it| it == ANY) {
        problems.push(Problem::new(fields.span(), format!("{field} cannot hold \"*\"")).hint("use ALL"));
    }
}

impl FromNode for Name {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if text == ANY || (is_name && name == text) {
            return Some(Self(text));
        }
        let problem = Problem::new(node.span, format!("{text:?} is no capability as Kubernetes names it"));
        problems.push(if is_name {
            problem.hint(format!("write {name}"))
        } else {
            problem.hint("names look like NET_ADMIN")
        });
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};
    use crate::document::parse;

    fn restricted() -> Capabilities {
        Capabilities { required_drop: vec!["ALL".into()], allowed_add: Some(vec!["NET_BIND_SERVICE".into()]), skip_windows: true }
    }

    fn messages(yaml: &str) -> Vec<String> {
        let nodes = parse(yaml).unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::of(&nodes[0], &mut problems).unwrap();
        let _ = Capabilities::read(Capabilities::default(), &mut fields, &mut problems);
        fields.finish(&mut problems);
        problems.into_vec().into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn asks_every_container_list_to_drop_all() {
        check(
            restricted(),
            r#"{"spec": {
                "initContainers": [{"name": "i"}],
                "containers": [
                    {"name": "a", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}},
                    {"name": "b", "securityContext": {"capabilities": {"drop": ["NET_RAW", "all"]}}}],
                "ephemeralContainers": [
                    {"name": "e", "securityContext": {"capabilities": {"add": ["SYS_TIME", "NET_BIND_SERVICE"]}}}]}}"#,
            &[
                "spec.initContainers[0].securityContext.capabilities.drop is unset; must be a list with ALL",
                "spec.containers[1].securityContext.capabilities.drop is [NET_RAW, all]; must be a list with ALL",
                "spec.ephemeralContainers[0].securityContext.capabilities.drop is unset; must be a list with ALL",
                "spec.ephemeralContainers[0].securityContext.capabilities.add is [SYS_TIME]; \
                 must be only NET_BIND_SERVICE",
            ],
        );
    }

    #[test]
    fn all_stands_for_any_name_but_windows_is_not_asked() {
        let two = Capabilities { required_drop: vec!["NET_RAW".into(), "MKNOD".into()], ..Capabilities::default() };
        check(
            two.clone(),
            r#"{"spec": {"containers": [
                {"name": "a", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}},
                {"name": "b", "securityContext": {"capabilities": {"drop": ["MKNOD", "NET_RAW"]}}},
                {"name": "c", "securityContext": {"capabilities": {"drop": ["MKNOD"], "add": ["NET_RAW"]}}},
                {"name": "d", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}},
                {"name": "e", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["ALL"]}}}]}}"#,
            &[
                "spec.containers[2].securityContext.capabilities.drop is [MKNOD]; must be a list with NET_RAW, MKNOD",
                "spec.containers[2].securityContext.capabilities.add is [NET_RAW]; must be without ALL, NET_RAW, MKNOD",
                "spec.containers[3].securityContext.capabilities.add is [NET_RAW]; must be without ALL, NET_RAW, MKNOD",
                "spec.containers[4].securityContext.capabilities.add is [ALL]; must be without ALL, NET_RAW, MKNOD",
            ],
        );
        check(two, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn adds_are_compared_letter_by_letter() {
        let pod = r#"{"spec": {"containers": [
            {"name": "a", "securityContext": {"capabilities": {"add": ["CAP_CHOWN", "chown", "x: y"]}}}]}}"#;
        let one = Capabilities { allowed_add: Some(vec!["CHOWN".into()]), ..Capabilities::default() };
        let none = Capabilities { allowed_add: Some(vec![]), ..Capabilities::default() };
        let any = Capabilities { allowed_add: Some(vec!["*".into()]), ..Capabilities::default() };
        let add = r#"spec.containers[0].securityContext.capabilities.add is [CAP_CHOWN, chown, "x: y"]; must be"#;
        check(one, pod, &[&format!("{add} only CHOWN")]);
        check(none, pod, &[&format!("{add} empty")]);
        check(any, pod, &[]);
        check(Capabilities::default(), pod, &[]);
    }

    /// The fix of each finding on one container with these capabilities, as it is printed.
    fn fixes(control: &Capabilities, own: &str) -> Vec<String> {
        let pod = format!(
            r#"{{"spec": {{"containers": [{{"name": "a", "securityContext": {{"capabilities": {own}}}}}]}}}}"#
        );
        let mut findings = Findings::default();
        control.check(&crate::pod::json::from_str(&pod).unwrap(), &mut findings);
        findings.into_vec().iter().map(|it| it.fix.as_ref().unwrap().yaml()).collect()
    }

    #[test]
    fn both_fixes_of_a_container_agree() {
        let both = "securityContext: {capabilities: {add: [NET_BIND_SERVICE], drop: [NET_RAW, ALL]}}";
        let own = r#"{"add": ["SYS_TIME", "NET_BIND_SERVICE"], "drop": ["NET_RAW"]}"#;
        assert_eq!(fixes(&restricted(), own), [both; 2]);
    }

    #[test]
    fn a_fix_that_empties_add_says_so_and_no_other_does() {
        let baseline = Capabilities { allowed_add: Some(vec!["CHOWN".into()]), ..Capabilities::default() };
        let own = r#"{"add": ["SYS_TIME"], "drop": []}"#;
        assert_eq!(fixes(&baseline, own), ["securityContext: {capabilities: {add: []}}"]);
        assert_eq!(fixes(&restricted(), own), ["securityContext: {capabilities: {add: [], drop: [ALL]}}"; 2]);
        for own in ["null", "{}", r#"{"add": [], "drop": null}"#] {
            assert_eq!(fixes(&restricted(), own), ["securityContext: {capabilities: {drop: [ALL]}}"], "{own}");
        }
    }

    #[test]
    fn refuses_names_that_mean_nothing_and_contradictions() {
        assert_eq!(messages("{requiredDrop: [ALL], allowedAdd: [NET_BIND_SERVICE]}"), [""; 0]);
        assert_eq!(messages("{allowedAdd: ['*']}"), [""; 0]);
        assert_eq!(
            messages("{requiredDrop: [CAP_NET_RAW]}"),
            ["\"CAP_NET_RAW\" is no capability as Kubernetes names it"]
        );
        assert_eq!(messages("{allowedAdd: [chown]}"), ["\"chown\" is no capability as Kubernetes names it"]);
        assert_eq!(messages("{requiredDrop: ['*']}"), ["requiredDrop cannot hold \"*\""]);
        assert_eq!(
            messages("{requiredDrop: [NET_RAW], allowedAdd: [NET_RAW]}"),
            ["NET_RAW is required to be dropped and allowed to be added"]
        );
    }

    #[test]
    fn injects_beside_what_is_there() {
        let it = InjectCapabilities { drop: vec!["ALL".into()], add: vec!["CHOWN".into()] };
        inject(
            &it,
            r#"{"spec": {
                "initContainers": [{"name": "i"}],
                "containers": [
                    {"name": "a", "securityContext": {"capabilities": {"drop": ["CHOWN"], "add": ["KILL"]}}},
                    {"name": "b", "securityContext": {"capabilities": {"drop": ["ALL"]}}},
                    {"name": "c", "securityContext": {"privileged": true, "capabilities": {"add": ["CHOWN"]}}}]}}"#,
            &[
                "spec.initContainers[0].securityContext.capabilities = {add: [CHOWN], drop: [ALL]}",
                "spec.containers[0].securityContext.capabilities = {add: [KILL], drop: [CHOWN, ALL]}",
                "spec.containers[2].securityContext.capabilities = {add: [CHOWN], drop: [ALL]}",
            ],
        );
        inject(&it, r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
        let pod = r#"{"spec": {"containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}, {"name": "f"}]}}"#;
        inject_into(
            &it,
            pod,
            Target::Ephemeral(&[1]),
            &["spec.ephemeralContainers[1].securityContext.capabilities = {add: [CHOWN], drop: [ALL]}"],
        );
    }

    #[test]
    fn adds_no_sys_admin_where_escalation_is_forbidden() {
        inject(
            &InjectCapabilities { drop: vec![], add: vec!["SYS_ADMIN".into(), "CHOWN".into()] },
            r#"{"spec": {"containers": [
                {"name": "a", "securityContext": {"allowPrivilegeEscalation": false}},
                {"name": "b", "securityContext": {"allowPrivilegeEscalation": true}}]}}"#,
            &[
                "spec.containers[0].securityContext.capabilities = {add: [CHOWN]}",
                "spec.containers[1].securityContext.capabilities = {add: [SYS_ADMIN, CHOWN]}",
            ],
        );
    }

    #[test]
    fn never_drops_what_the_container_adds() {
        let it = InjectCapabilities { drop: vec!["NET_RAW".into(), "MKNOD".into()], add: vec![] };
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]}}"#,
            &["spec.containers[0].securityContext.capabilities = {add: [NET_RAW], drop: [MKNOD]}"],
        );
    }
}
