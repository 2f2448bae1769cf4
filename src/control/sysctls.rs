//! `sysctls`: only kernel parameters that stay inside the Pod are set.
//!
//! Pod Security Standards, baseline. Looks at `spec.securityContext.sysctls`; `/` in a name is the same as `.`.
//! A name that is forbidden is a finding, else one that is allowed is none, else one that is not allowed is a finding.
//! Parameters: `forbidden` (names and patterns `prefix*`; default none), `allowed` (names; default the list of Pod
//! Security Standards v1.37), `allowedUnsafe` (names and patterns `prefix*` beyond those; default none).

use super::finding::{Finding, Findings, Subject};
use super::listing::quoted;
use super::{Control, Fields, Problems};
use crate::document::{FromNode, Node, Problem};
use crate::pod::PodView;

/// The sysctls that Pod Security Standards v1.37 allow, in the order in which its versions added them.
pub const SAFE: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    // v1.27
    "net.ipv4.ip_local_reserved_ports",
    // v1.29
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    // v1.32
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    // v1.37
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

/// Only safe kernel parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctls {
    /// Names that may be set.
    pub allowed: Vec<String>,
    /// Names and patterns that may be set beyond those.
    pub allowed_unsafe: Vec<String>,
    /// Names and patterns that may not be set, whatever else is allowed.
    pub forbidden: Vec<String>,
    /// A name with `/` is another one, as for Pod Security Admission. Not for policies: it refuses what is the same.
    pub literal: bool,
}

/// A name without `*`.
struct Name(String);

/// A name, or the start of one and `*`.
struct Pattern(String);

impl Control for Sysctls {
    const NAME: &'static str = "sysctls";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let allowed: Option<Vec<Name>> = fields.optional("allowed", problems);
        let unsafe_ones: Option<Vec<Pattern>> = fields.optional("allowedUnsafe", problems);
        let forbidden: Option<Vec<Pattern>> = fields.optional("forbidden", problems);
        let given = allowed.iter().flatten().map(|it| &it.0);
        let given = given.chain(unsafe_ones.iter().flatten().map(|it| &it.0));
        for name in given {
            if forbidden.iter().flatten().any(|it| is_same(&it.0, name)) {
                let message = format!("the sysctl \"{name}\" is both allowed and forbidden");
                problems.push(Problem::new(fields.span(), message));
            }
        }
        let plain = |list: Vec<Pattern>| list.into_iter().map(|it| it.0).collect();
        Self {
            allowed: allowed.map_or(base.allowed, |list| {
                list.into_iter().map(|it| it.0).collect()
            }),
            allowed_unsafe: unsafe_ones.map_or(base.allowed_unsafe, plain),
            forbidden: forbidden.map_or(base.forbidden, plain),
            literal: base.literal,
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        let sysctls = pod.spec.security_context.iter().flat_map(|it| &it.sysctls);
        for (index, sysctl) in sysctls.enumerate() {
            let name = sysctl.name.as_str();
            let required = if self.forbidden.iter().any(|it| matches(it, name)) {
                format!("none of {}", quoted(&self.forbidden))
            } else if self.allows(name)
                || self.allowed_unsafe.iter().any(|it| matches(it, name))
            {
                continue;
            } else if self.allowed.is_empty() && self.allowed_unsafe.is_empty() {
                "removed, since no sysctl is allowed".to_owned()
            } else {
                // What a policy adds comes first: it is what its author would look for.
                format!(
                    "one of {}",
                    quoted(self.allowed_unsafe.iter().chain(&self.allowed))
                )
            };
            let field = format!("spec.securityContext.sysctls[{index}].name");
            let current = format!("{name:?}");
            let finding = Finding::new(Self::NAME, Subject::Pod, field, current, required);
            findings.push(finding.values([name]));
        }
    }
}

// === impl Sysctls ===

impl Default for Sysctls {
    fn default() -> Self {
        Self {
            allowed: SAFE.map(str::to_owned).to_vec(),
            allowed_unsafe: Vec::new(),
            forbidden: Vec::new(),
            literal: false,
        }
    }
}

impl Sysctls {
    fn allows(&self, name: &str) -> bool {
        let is = |it: &String| {
            if self.literal {
                it == name
            } else {
                is_same(it, name)
            }
        };
        self.allowed.iter().any(is)
    }
}

// === impl Pattern ===

impl FromNode for Pattern {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        let start = text.strip_suffix('*').unwrap_or(&text);
        if text.is_empty() || start.contains('*') {
            let problem = Problem::new(node.span, format!("\"{text}\" is no sysctl"));
            problems.push(problem.hint("expected a name, or the start of one with * at its end"));
            return None;
        }
        Some(Self(text))
    }
}

// === impl Name ===

impl FromNode for Name {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Pattern(text) = Pattern::from_node(node, problems)?;
        if text.ends_with('*') {
            let problem = Problem::new(node.span, format!("\"{text}\" is a pattern"));
            problems.push(problem.hint("patterns belong in allowedUnsafe"));
            return None;
        }
        Some(Self(text))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|it| is_same(start, it)),
        None => is_same(pattern, name),
    }
}

fn is_same(one: &str, two: &str) -> bool {
    let dotted = |byte: u8| if byte == b'/' { b'.' } else { byte };
    one.bytes().map(dotted).eq(two.bytes().map(dotted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, read_over};

    fn of(names: &[&str]) -> Vec<String> {
        names.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn allows_the_safe_ones_in_both_spellings() {
        check(Sysctls::default(), r#"{"spec": {}}"#, &[]);
        check(
            Sysctls::default(),
            r#"{"spec": {"securityContext": {"sysctls": [
                {"name": "kernel.shm_rmid_forced"}, {"name": "net/ipv4/tcp_rmem", "value": "1"},
                {"name": "kernel.msgmax"}, {"name": "kernel/msgmax"}, {"name": ""}]}}}"#,
            &[2, 3, 4].map(|index| {
                let name = ["kernel.msgmax", "kernel/msgmax", ""][index - 2];
                let required = r#"one of "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout" and 6 more"#;
                &*format!("spec.securityContext.sysctls[{index}].name is {name:?}; must be {required}").leak()
            }),
        );
    }

    #[test]
    fn forbidden_goes_before_allowed_and_unsafe() {
        let it = Sysctls {
            allowed: of(&["kernel.a"]),
            allowed_unsafe: of(&["net.core.*"]),
            forbidden: of(&["kernel/a", "net.core.x*"]),
            literal: false,
        };
        check(
            it,
            r#"{"spec": {"securityContext": {"sysctls": [{"name": "kernel.a"}, {"name": "net.core.a"},
                {"name": "net/core/xy"}, {"name": "net.cor"}, {"name": "net.coreé"}]}}}"#,
            &[
                r#"spec.securityContext.sysctls[0].name is "kernel.a"; must be none of "kernel/a" or "net.core.x*""#,
                r#"spec.securityContext.sysctls[2].name is "net/core/xy"; must be none of "kernel/a" or "net.core.x*""#,
                r#"spec.securityContext.sysctls[3].name is "net.cor"; must be one of "net.core.*" or "kernel.a""#,
                r#"spec.securityContext.sysctls[4].name is "net.coreé"; must be one of "net.core.*" or "kernel.a""#,
            ],
        );
    }

    #[test]
    fn a_lone_star_is_all() {
        let pod =
            r#"{"spec": {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced"}]}}}"#;
        let all = of(&["*"]);
        let nothing = Sysctls {
            allowed: Vec::new(),
            ..Sysctls::default()
        };
        let at = "spec.securityContext.sysctls[0].name is \"kernel.shm_rmid_forced\"; must be";
        check(
            Sysctls {
                allowed_unsafe: all.clone(),
                ..nothing.clone()
            },
            pod,
            &[],
        );
        check(
            Sysctls {
                forbidden: all,
                ..Sysctls::default()
            },
            pod,
            &[&format!("{at} none of \"*\"")],
        );
        check(
            nothing,
            pod,
            &[&format!("{at} removed, since no sysctl is allowed")],
        );
    }

    #[test]
    fn reads_over_the_base() {
        let it = read_over(
            Sysctls::default(),
            "{allowedUnsafe: ['net.*'], forbidden: [kernel.shm_rmid_forced]}",
        );
        assert_eq!(
            it,
            Ok(Sysctls {
                allowed_unsafe: of(&["net.*"]),
                forbidden: of(&["kernel.shm_rmid_forced"]),
                ..Sysctls::default()
            })
        );
        assert_eq!(
            read_over(
                Sysctls::default(),
                "{allowed: [a*, b], allowedUnsafe: [a*b, '', c/d], forbidden: [c.d, b]}"
            ),
            Err(of(&[
                "\"a*\" is a pattern (patterns belong in allowedUnsafe)",
                "\"a*b\" is no sysctl (expected a name, or the start of one with * at its end)",
                "\"\" is no sysctl (expected a name, or the start of one with * at its end)",
            ]))
        );
        assert_eq!(
            read_over(
                Sysctls::default(),
                "{allowedUnsafe: [c/d], forbidden: [c.d]}"
            ),
            Err(of(&["the sysctl \"c/d\" is both allowed and forbidden"]))
        );
    }
}
