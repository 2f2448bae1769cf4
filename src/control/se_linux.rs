//! `seLinux`: which SELinux context a container runs in.
//!
//! Pod Security Standards, baseline. Looks at `seLinuxOptions` of the Pod and of every container.
//! Parameters, each on its own: `allowedTypes` (a `type` that is set has to be one of them), `allowUser` and
//! `allowRole` (`false`: `user` or `role` must not be set), and `must: {user, role, type, level}`: what every container
//! really gets has to equal it, as `MustRunAs` of `PodSecurityPolicy`; the order of categories in `level` does not
//! count, a field left out has to be unset, and Pods for Windows are not asked. Without parameters nothing is asked.

use super::finding::{Finding, Findings, Subject};
use super::{Control, Fields, Injection, Problem, Problems, Target};
use crate::document::{FromNode, Node};
use crate::pod::edit::flow;
use crate::pod::effective::Origin;
use crate::pod::view::SeLinuxOptions;
use crate::pod::{Change, Edit, PodView, Text};

const FIELD: &str = "securityContext.seLinuxOptions";

/// Which SELinux options a container may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeLinux {
    /// A type that is set has to be one of them; `None`: any.
    pub allowed_types: Option<Vec<String>>,
    /// A user may be set.
    pub allow_user: bool,
    /// A role may be set.
    pub allow_role: bool,
    /// What every container has to get.
    pub must: Option<SeLinuxOptions<'static>>,
}

/// `{user, role, type, level}` in a policy, at least one of them.
struct Options(SeLinuxOptions<'static>);

impl Default for SeLinux {
    fn default() -> Self {
        Self { allowed_types: None, allow_user: true, allow_role: true, must: None }
    }
}

impl Control for SeLinux {
    const NAME: &'static str = "seLinux";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let it = Self {
            allowed_types: fields.optional("allowedTypes", problems).or(base.allowed_types),
            allow_user: fields.optional("allowUser", problems).unwrap_or(base.allow_user),
            allow_role: fields.optional("allowRole", problems).unwrap_or(base.allow_role),
            must: fields.optional("must", problems).map(|it: Options| it.0).or(base.must),
        };
        for (field, value, _) in it.must.iter().flat_map(|must| it.forbidden(must)) {
            problems.push(Problem::new(fields.span(), format!("the {field} must be {value:?}, which is not allowed")));
        }
        it
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let on_pod = pod.spec.security_context.as_ref().and_then(|it| it.se_linux_options.as_ref());
        let must = self.must.as_ref().filter(|_| !pod.is_windows());
        // The API server refuses the field on a Windows Pod, whatever it says.
        let fix = |finding: Finding, edit: Edit<'static>| if pod.is_windows() { finding } else { finding.fix(edit) };
        if let Some(options) = on_pod {
            for (field, value, required) in self.forbidden(options) {
                let field = format!("spec.{FIELD}.{field}");
                let finding =
                    Finding::new(Self::NAME, Subject::Pod, field, format!("{value:?}"), required).values([value]);
                findings.push(fix(finding, Edit::pod(Change::SeLinux(self.mended(options)))));
            }
        }
        let is_inherited = pod
            .containers()
            .any(|(_, container)| pod.se_linux(container).is_some_and(|it| it.origin == Origin::Pod));
        if let (Some(must), Some(options)) = (must, on_pod)
            && is_inherited
            && !equal(must, options)
        {
            findings.push(
                Finding::new(Self::NAME, Subject::Pod, format!("spec.{FIELD}"), show(options), show(must))
                    .fix(Edit::pod(Change::SeLinux(must.clone()))),
            );
        }
        for (at, container) in pod.containers() {
            let own = container.security_context.as_ref().and_then(|it| it.se_linux_options.as_ref());
            let new = |field: String, current: String, required: String| {
                Finding::new(Self::NAME, Subject::container(at, container), field, current, required)
            };
            if let Some(options) = own {
                for (field, value, required) in self.forbidden(options) {
                    let finding = new(format!("{FIELD}.{field}"), format!("{value:?}"), required).values([value]);
                    findings.push(fix(finding, Edit::container(at, Change::SeLinux(self.mended(options)))));
                }
            }
            let Some(must) = must else {
                continue;
            };
            let change = Change::SeLinux(must.clone());
            match own {
                Some(options) if !equal(must, options) => findings.push(
                    new(FIELD.to_owned(), show(options), show(must)).fix(Edit::container(at, change)),
                ),
                None if on_pod.is_none() => {
                    findings.push(new(FIELD.to_owned(), "unset".to_owned(), show(must)).fix(Edit::pod(change)));
                }
                _ => {}
            }
        }
    }
}

impl SeLinux {
    /// The fields that may not be as they are: name, value, what is required.
    fn forbidden(&self, options: &SeLinuxOptions<'_>) -> Vec<(&'static str, String, String)> {
        let mut list = Vec::new();
        if let (kind, Some(allowed)) = (set(options.kind.as_ref()), &self.allowed_types)
            && !kind.is_empty()
            && !allowed.iter().any(|it| it == kind)
        {
            let required = allowed.iter().map(String::as_str).chain(["unset"]).collect::<Vec<_>>().join(" or ");
            list.push(("type", kind.to_owned(), required));
        }
        for (field, value, may) in
            [("user", &options.user, self.allow_user), ("role", &options.role, self.allow_role)]
        {
            let value = set(value.as_ref());
            if !may && !value.is_empty() {
                list.push((field, value.to_owned(), "unset".to_owned()));
            }
        }
        list
    }

    /// The whole field as it should be, so that the fixes of all findings of one place agree.
    fn mended(&self, options: &SeLinuxOptions<'_>) -> SeLinuxOptions<'static> {
        if let Some(must) = &self.must {
            return must.clone();
        }
        let bad = self.forbidden(options);
        let keep = |field: &str, value: &Option<Text<'_>>| {
            let value = value.as_ref().filter(|_| !bad.iter().any(|(name, ..)| *name == field));
            value.map(|it| Text::from(it.to_string()))
        };
        SeLinuxOptions {
            user: keep("user", &options.user),
            role: keep("role", &options.role),
            kind: keep("type", &options.kind),
            level: keep("level", &options.level),
        }
    }
}

/// `inject: {seLinuxOptions: {level: "s0:c1,c2"}}`: on the Pod, if it has none; containers with their own keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectSeLinux(pub SeLinuxOptions<'static>);

impl Injection for InjectSeLinux {
    const NAME: &'static str = "seLinuxOptions";

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        Options::from_node(node, problems).map(|it| Self(it.0))
    }

    fn inject(&self, pod: &PodView<'_>, target: Target<'_>, edits: &mut Vec<Edit<'static>>) {
        if pod.is_windows() {
            return;
        }
        let change = || Change::SeLinux(self.0.clone());
        if let Target::Pod = target {
            if pod.spec.security_context.as_ref().is_none_or(|it| it.se_linux_options.is_none()) {
                edits.push(Edit::pod(change()));
            }
            return;
        }
        for (at, _) in target.containers(pod).filter(|(_, container)| pod.se_linux(container).is_none()) {
            edits.push(Edit::container(at, change()));
        }
    }
}

/// The value, empty where there is none: SELinux options do not tell the two apart.
fn set<'v>(value: Option<&'v Text<'_>>) -> &'v str {
    value.map_or("", |it| it.as_str())
}

fn equal(one: &SeLinuxOptions<'_>, two: &SeLinuxOptions<'_>) -> bool {
    let same = |one: &Option<Text<'_>>, two: &Option<Text<'_>>| set(one.as_ref()) == set(two.as_ref());
    same(&one.user, &two.user)
        && same(&one.role, &two.role)
        && same(&one.kind, &two.kind)
        && is_same_level(set(one.level.as_ref()), set(two.level.as_ref()))
}

/// `s0:c6,c0` is `s0:c0,c6`.
fn is_same_level(one: &str, two: &str) -> bool {
    let (Some((one, ours)), Some((two, theirs))) = (one.split_once(':'), two.split_once(':')) else {
        return one == two;
    };
    let sorted = |list: &str| {
        let mut list: Vec<String> = list.split(',').map(str::to_owned).collect();
        list.sort_unstable();
        list
    };
    one == two && sorted(ours) == sorted(theirs)
}

fn show(options: &SeLinuxOptions<'_>) -> String {
    let own = |value: &Option<Text<'_>>| value.as_ref().map(|it| Text::from(it.to_string()));
    let options = SeLinuxOptions {
        user: own(&options.user),
        role: own(&options.role),
        kind: own(&options.kind),
        level: own(&options.level),
    };
    flow(&Change::SeLinux(options).value())
}

impl FromNode for Options {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let mut text = |name| fields.optional(name, problems).map(|it: String| Text::from(it));
        let it = SeLinuxOptions { user: text("user"), role: text("role"), kind: text("type"), level: text("level") };
        if it == SeLinuxOptions::default() {
            problems.push(Problem::new(node.span, "at least one of user, role, type and level must be given"));
        }
        fields.finish(problems);
        Some(Self(it))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::control::testing::{check, inject, inject_into};
    use crate::document::parse;

    fn standard() -> SeLinux {
        SeLinux {
            allowed_types: Some(vec!["container_t".into(), "container_init_t".into()]),
            allow_user: false,
            allow_role: false,
            must: None,
        }
    }

    fn level(level: &'static str) -> SeLinuxOptions<'static> {
        SeLinuxOptions { level: Some(level.into()), ..SeLinuxOptions::default() }
    }

    #[test]
    fn types_are_listed_and_user_and_role_unset() {
        let pod = r#"{"spec": {
            "securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u", "level": "s0"}},
            "initContainers": [{"name": "i", "securityContext": {"seLinuxOptions": {"role": "r"}}}],
            "containers": [
                {"name": "a", "securityContext": {"seLinuxOptions": {"type": "container_t", "level": "s0:c1"}}},
                {"name": "b", "securityContext": {"seLinuxOptions": {"type": "", "user": "", "role": ""}}}],
            "ephemeralContainers": [{"name": "e", "securityContext": {"seLinuxOptions": {"type": "x"}}}]}}"#;
        let expected = [
            "spec.securityContext.seLinuxOptions.type is \"spc_t\"; must be container_t or container_init_t or unset",
            "spec.securityContext.seLinuxOptions.user is \"u\"; must be unset",
            "spec.initContainers[0].securityContext.seLinuxOptions.role is \"r\"; must be unset",
            "spec.ephemeralContainers[0].securityContext.seLinuxOptions.type is \"x\"; \
             must be container_t or container_init_t or unset",
        ];
        check(standard(), pod, &expected);
        check(standard(), &pod.replace(r#"{"spec": {"#, r#"{"spec": {"os": {"name": "windows"}, "#), &expected);
        check(SeLinux::default(), pod, &[]);
    }

    #[test]
    fn what_a_container_gets_must_equal() {
        let must = || SeLinux { must: Some(level("s0:c0,c6")), ..SeLinux::default() };
        let required = r#"must be {level: "s0:c0,c6"}"#;
        check(
            must(),
            r#"{"spec": {"securityContext": {"seLinuxOptions": {"level": "s0:c6,c0", "user": ""}},
                         "containers": [{"name": "a"}],
                         "ephemeralContainers": [{"name": "e", "securityContext": {"seLinuxOptions": {"type": "x"}}}]}}"#,
            &[&format!("spec.ephemeralContainers[0].securityContext.seLinuxOptions is {{type: x}}; {required}")],
        );
        check(
            must(),
            r#"{"spec": {"initContainers": [{"name": "i"}], "containers": [
                {"name": "a", "securityContext": {"seLinuxOptions": {"level": "s0:c0,c6"}}}]}}"#,
            &[&format!("spec.initContainers[0].securityContext.seLinuxOptions is unset; {required}")],
        );
        check(
            must(),
            r#"{"spec": {"securityContext": {"seLinuxOptions": {"level": "s1:c0,c6"}},
                         "containers": [{"name": "a"}, {"name": "b"}]}}"#,
            &[&format!("spec.securityContext.seLinuxOptions is {{level: \"s1:c0,c6\"}}; {required}")],
        );
        check(must(), r#"{"spec": {"os": {"name": "windows"}, "containers": [{"name": "a"}]}}"#, &[]);
    }

    #[test]
    fn refuses_to_require_what_it_forbids() {
        let nodes = parse("{allowedTypes: [a], allowUser: false, must: {type: b, user: u, level: s0}}").unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::of(&nodes[0], &mut problems).unwrap();
        let _ = SeLinux::read(SeLinux::default(), &mut fields, &mut problems);
        fields.finish(&mut problems);
        let messages: Vec<_> = problems.into_vec().into_iter().map(|it| it.message).collect();
        assert_eq!(
            messages,
            ["the type must be \"b\", which is not allowed", "the user must be \"u\", which is not allowed"]
        );
    }

    #[test]
    fn injects_where_unset() {
        let it = InjectSeLinux(level("s0:c1,c2"));
        inject(
            &it,
            r#"{"spec": {"containers": [{"name": "a", "securityContext": {"seLinuxOptions": {"type": "x"}}}]}}"#,
            &[r#"spec.securityContext: {seLinuxOptions: {level: "s0:c1,c2"}}"#],
        );
        inject(&it, r#"{"spec": {"securityContext": {"seLinuxOptions": {}}}}"#, &[]);
        inject(&it, r#"{"spec": {"os": {"name": "windows"}}}"#, &[]);
        inject_into(
            &it,
            r#"{"spec": {"ephemeralContainers": [{"name": "e"}, {"name": "f"}]}}"#,
            Target::Ephemeral(&[1]),
            &[r#"spec.ephemeralContainers[1].securityContext.seLinuxOptions = {level: "s0:c1,c2"}"#],
        );
        inject_into(
            &it,
            r#"{"spec": {"securityContext": {"seLinuxOptions": {"type": "x"}}, "ephemeralContainers": [{"name": "e"}]}}"#,
            Target::Ephemeral(&[0]),
            &[],
        );
    }
}
