//! Where an object and its findings stand in a manifest.

use crate::document::{Node, Segment, Source, Span};

use super::{Object, Place};

// === impl Place ===

impl Place {
    /// The place of a span.
    #[must_use]
    pub fn of(source: &Source, span: Span) -> Self {
        let (line, column) = source.line_col(span.start);
        let (end_line, end_column) = source.line_col(span.end.max(span.start));
        Self {
            file: source.name.clone(),
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// A file as a whole.
    #[must_use]
    pub fn whole(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            ..Self::default()
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

// === impl Object ===

impl Object {
    /// Writes down where it and each of its findings stand.
    pub fn locate(&mut self, source: &Source, node: &Node) {
        self.place = Some(Place::of(source, node.span));
        for finding in &mut self.findings {
            finding.place = Some(Place::of(source, span_of(node, &finding.path)));
        }
    }
}

/// The place of a path like `spec.containers[0].securityContext` in an object, or of its nearest parent.
#[must_use]
pub fn span_of(node: &Node, path: &str) -> Span {
    node.descend(segments(path).into_iter()).1
}

/// The steps of a path: names between dots, an index in brackets, an annotation's key likewise.
fn segments(path: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if !name.is_empty() {
            segments.push(Segment::Key(name));
        }
        rest = after.strip_prefix('.').unwrap_or(after);
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|it| it.split_once(']')) {
            let index = inside.parse().map(Segment::Index);
            segments.push(index.unwrap_or(Segment::Key(inside)));
            rest = after.strip_prefix('.').unwrap_or(after);
        } else if rest.starts_with('[') {
            break;
        }
    }
    segments
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::document::parse;

    #[test]
    fn a_path_leads_to_its_key_or_its_nearest_parent() {
        let text = "metadata:\n  annotations:\n    a.b/c-d: x\nspec:\n  containers:\n  - name: é\n    tty: true\n";
        let source = Source::new("a.yaml", text);
        let node = parse(text).unwrap().remove(0);
        for (path, expected) in [
            ("spec.containers[0].tty", (7, 5, 7, 8)),
            ("spec.containers[0].name", (6, 5, 6, 9)),
            (
                "spec.containers[0].securityContext.privileged",
                (6, 5, 7, 14),
            ),
            ("spec.containers[7]", (5, 3, 5, 13)),
            ("spec.hostPID", (4, 1, 4, 5)),
            ("metadata.annotations[a.b/c-d]", (3, 5, 3, 12)),
            ("metadata.annotations[a.b", (2, 3, 2, 14)),
            ("status", (1, 1, 7, 14)),
        ] {
            let place = Place::of(&source, span_of(&node, path));
            let found = (place.line, place.column, place.end_line, place.end_column);
            assert_eq!(found, expected, "{path}");
            assert_eq!(place.file, "a.yaml");
        }
    }
}
