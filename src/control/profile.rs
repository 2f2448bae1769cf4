//! Which seccomp or AppArmor profiles a policy allows: `RuntimeDefault`, `Unconfined`, `Localhost/profiles/*`.

use std::fmt;

use crate::document::{FromNode, Node, Problem, Problems};
use crate::pod::Text;
use crate::pod::view::Profile;

/// One entry of an `allowed` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// A type alone: `RuntimeDefault` or `Unconfined`.
    Type(&'static str),
    /// `Localhost/` and a path in which `*` stands for anything.
    Localhost(String),
}

const EXPECTED: &str =
    "RuntimeDefault, Unconfined or Localhost/<path>, where * in the path stands for anything";

// === impl Pattern ===

impl Pattern {
    /// True if the pattern allows the profile.
    #[must_use]
    pub fn allows(&self, profile: &Profile<'_>) -> bool {
        match self {
            Self::Type(kind) => &*profile.kind == *kind,
            Self::Localhost(path) => {
                &*profile.kind == "Localhost"
                    && matches_glob(
                        path,
                        profile.localhost_profile.as_deref().unwrap_or_default(),
                    )
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => f.write_str(kind),
            Self::Localhost(path) => write!(f, "Localhost/{path}"),
        }
    }
}

/// The patterns as a person reads them: `RuntimeDefault or Localhost/*`.
#[must_use]
pub fn list(patterns: &[Pattern]) -> String {
    patterns
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" or ")
}

/// The same as legacy annotations write them: `runtime/default or localhost/*`.
#[must_use]
pub fn annotation_list(patterns: &[Pattern]) -> String {
    let write = |it: &Pattern| match it {
        Pattern::Type("RuntimeDefault") => "runtime/default".to_owned(),
        Pattern::Type(kind) => kind.to_ascii_lowercase(),
        Pattern::Localhost(path) => format!("localhost/{path}"),
    };
    patterns.iter().map(write).collect::<Vec<_>>().join(" or ")
}

/// What both Pod Security Standards allow: `RuntimeDefault` and `Localhost/*`.
#[must_use]
pub fn standard() -> Vec<Pattern> {
    vec![
        Pattern::Type("RuntimeDefault"),
        Pattern::Localhost("*".to_owned()),
    ]
}

/// True if one of the patterns allows the profile.
#[must_use]
pub fn any_allows(patterns: &[Pattern], profile: &Profile<'_>) -> bool {
    patterns.iter().any(|it| it.allows(profile))
}

/// `RuntimeDefault`, if the patterns allow it: what a fix writes.
#[must_use]
pub fn fix(patterns: &[Pattern]) -> Option<Profile<'static>> {
    Some(Profile::of_type("RuntimeDefault")).filter(|it| any_allows(patterns, it))
}

/// Matches a text against a pattern in which `*` stands for any run of characters.
#[must_use]
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    // Patterns are short: to look byte by byte is quicker than to search.
    let Some(star) = pattern.bytes().position(|byte| byte == b'*') else {
        return pattern == text;
    };
    let (head, rest) = (&pattern[..star], &pattern[star + 1..]);
    match text.strip_prefix(head) {
        None => false,
        Some(_) if rest.is_empty() => true,
        Some(text) => matches_behind_star(rest, text),
    }
}

/// The same for what stands behind a `*`.
fn matches_behind_star(rest: &str, mut text: &str) -> bool {
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    true
}

impl FromNode for Pattern {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        match (text.as_str(), text.strip_prefix("Localhost/")) {
            ("RuntimeDefault", _) => Some(Self::Type("RuntimeDefault")),
            ("Unconfined", _) => Some(Self::Type("Unconfined")),
            (_, Some(path))
                if !path.is_empty()
                    && !path.starts_with('/')
                    && !path.split('/').any(|it| it == "..") =>
            {
                Some(Self::Localhost(path.to_owned()))
            }
            _ => {
                let problem = Problem::new(node.span, format!("\"{text}\" is no profile"));
                problems.push(problem.hint(format!("expected {EXPECTED}")));
                None
            }
        }
    }
}

/// One profile, as `inject` names it: no patterns.
pub(crate) fn read_one(node: &Node, problems: &mut Problems) -> Option<Profile<'static>> {
    match Pattern::from_node(node, problems)? {
        Pattern::Type(kind) => Some(Profile::of_type(kind)),
        Pattern::Localhost(path) if path.contains('*') => {
            problems.push(Problem::new(
                node.span,
                "a profile to inject must be one, not a pattern",
            ));
            None
        }
        Pattern::Localhost(path) => Some(Profile {
            kind: Text::from("Localhost"),
            localhost_profile: Some(Text::from(path)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "x/y", true),
            ("team-*", "team-", true),
            ("team-*", "tea", false),
            ("*-prod", "a-prod", true),
            ("*-prod", "a-prod-b", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*aa*aa", "aaa", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
