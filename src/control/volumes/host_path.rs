//! Which paths of the node a policy allows: whole segments, so that `/var/log` allows `/var/log/x` but not `/var/logs`.

use std::fmt;

use crate::document::{Fields, FromNode, Node, Problem, Problems};

/// `{pathPrefix: /var/log, readOnly: true}`: a directory with all below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPath {
    /// The directory: absolute and without `..`.
    pub path_prefix: String,
    /// Every mount has to be read-only.
    pub read_only: bool,
}

/// What a list of host paths says of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'p> {
    /// No entry allows it.
    Denied,
    /// Only this entry, and others like it, allow it: for reading.
    ReadOnly(&'p HostPath),
    /// An entry allows it for writing too.
    Allowed,
}

/// What the list says of the path. An entry that allows more wins.
pub(super) fn verdict<'p>(list: &'p [HostPath], path: &str) -> Verdict<'p> {
    let mut verdict = Verdict::Denied;
    for entry in list.iter().filter(|entry| entry.holds(path)) {
        if !entry.read_only {
            return Verdict::Allowed;
        }
        if verdict == Verdict::Denied {
            verdict = Verdict::ReadOnly(entry);
        }
    }
    verdict
}

/// True if a segment of the path is `..`; it could lead out of any directory. On Windows `\` separates them too.
pub(super) fn climbs(path: &str) -> bool {
    path.split(['/', '\\']).any(|it| it == "..")
}

/// The segments that say something: no empty ones, as after a trailing `/`, and no `.`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|it| !it.is_empty() && *it != ".")
}

// === impl HostPath ===

impl HostPath {
    fn holds(&self, path: &str) -> bool {
        let mut below = segments(path);
        path.starts_with('/')
            && !climbs(path)
            && segments(&self.path_prefix).all(|it| below.next() == Some(it))
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.path_prefix)?;
        if self.read_only {
            f.write_str(" (read-only)")?;
        }
        Ok(())
    }
}

impl FromNode for HostPath {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let span = fields
            .node("pathPrefix")
            .map_or(fields.span(), |it| it.span);
        let path_prefix: Option<String> = fields.required("pathPrefix", problems);
        let is_given = fields.node("readOnly").is_some_and(|it| !it.is_null());
        let read_only: Option<bool> = fields.optional("readOnly", problems);
        fields.finish(problems);
        let path_prefix = path_prefix?;
        if !path_prefix.starts_with('/') {
            let problem = Problem::new(
                span,
                format!("the host path \"{path_prefix}\" is not absolute"),
            );
            problems.push(problem.hint("it must start with /"));
            return None;
        }
        if climbs(&path_prefix) {
            problems.push(Problem::new(
                span,
                format!("the host path \"{path_prefix}\" must not contain .."),
            ));
            return None;
        }
        if is_given && read_only.is_none() {
            return None;
        }
        Some(Self {
            path_prefix,
            read_only: read_only.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path_prefix: &str, read_only: bool) -> HostPath {
        HostPath {
            path_prefix: path_prefix.to_owned(),
            read_only,
        }
    }

    #[test]
    fn matches_whole_segments() {
        for (prefix, path, expected) in [
            ("/var/log", "/var/log", true),
            ("/var/log", "/var/log/", true),
            ("/var/log/", "/var/log", true),
            ("/var/log", "/var/log/x/y", true),
            ("/var/log", "/var/logs", false),
            ("/var/log", "/var", false),
            ("/var/log", "/", false),
            ("/var/log", "/var//./log/x", true),
            ("/var/log", "var/log", false),
            ("/var/log", "", false),
            ("/var/log", "/var/log/..", false),
            ("/var/log", "/var/log/../../etc", false),
            ("/var/log", "/var/log/..\\..\\etc", false),
            ("/var/log", "/var/log/..data", true),
            ("/", "/", true),
            ("/", "/etc", true),
            ("/", "etc", false),
            ("/", "/etc/..", false),
        ] {
            let expected = if expected {
                Verdict::Allowed
            } else {
                Verdict::Denied
            };
            assert_eq!(
                verdict(&[entry(prefix, false)], path),
                expected,
                "{prefix} {path}"
            );
        }
    }

    #[test]
    fn an_entry_that_allows_writing_wins() {
        let list = [
            entry("/a", true),
            entry("/a/b", false),
            entry("/a/b/c", true),
        ];
        assert_eq!(verdict(&list, "/a/x"), Verdict::ReadOnly(&list[0]));
        assert_eq!(verdict(&list, "/a/b"), Verdict::Allowed);
        assert_eq!(verdict(&list, "/a/b/c"), Verdict::Allowed);
        assert_eq!(verdict(&list, "/b"), Verdict::Denied);
        assert_eq!(verdict(&[], "/b"), Verdict::Denied);
    }
}
