//! A file as people know it: a name and numbered lines.

use super::problem::Span;

/// The text a document was parsed from. The name is shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
    /// The offset of the first byte of each line, found once: a large file has many findings, each with its place.
    lines: Vec<usize>,
}

/// One line of a source, without its line break.
pub(super) struct Line<'s> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The offset of the first byte in the source.
    pub(super) start: usize,
    pub(super) text: &'s str,
}

// === impl Source ===

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self {
            name: name.into(),
            lines: std::iter::once(0).chain(breaks).collect(),
            text,
        }
    }

    /// Line and column of a byte, both from 1, the column in characters. An offset past the end is the end.
    #[must_use]
    pub fn line_col(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line(offset);
        let before = self.text.get(line.start..offset).unwrap_or_default();
        (line.number, before.chars().count() + 1)
    }

    /// The byte at that line and column, as [`Self::line_col`] counts them; a column behind the end of its line is the
    /// end. `None` if there is no such line.
    #[must_use]
    pub fn offset(&self, line: usize, column: usize) -> Option<usize> {
        let start = *self.lines.get(line.checked_sub(1)?)?;
        let line = self.line(start);
        let mut chars = line.text.char_indices();
        let at = chars.nth(column.saturating_sub(1));
        Some(line.start + at.map_or(line.text.len(), |(at, _)| at))
    }

    /// The line that holds a byte. A byte-order mark belongs to no line.
    pub(super) fn line(&self, offset: usize) -> Line<'_> {
        let offset = self.text.floor_char_boundary(offset);
        let number = self.lines.partition_point(|start| *start <= offset);
        let start = match number {
            0 | 1 if self.text.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
            _ => self
                .lines
                .get(number.saturating_sub(1))
                .copied()
                .unwrap_or_default(),
        };
        let next = self.lines.get(number);
        let end = next.map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or_default();
        Line {
            number,
            start,
            text: text.strip_suffix('\r').unwrap_or(text),
        }
    }

    /// The part of a span that lies on its first line, never empty unless the line ends there.
    pub(super) fn first_line_of(&self, span: Span) -> (Line<'_>, std::ops::Range<usize>) {
        let line = self.line(span.start);
        let start = self
            .text
            .floor_char_boundary(span.start)
            .saturating_sub(line.start)
            .min(line.text.len());
        let end = line
            .text
            .ceil_char_boundary(span.end.saturating_sub(line.start).max(start))
            .min(line.text.len());
        let part = &line.text[start..end];
        let end = if part.is_empty() {
            start + line.text[start..].chars().next().map_or(0, char::len_utf8)
        } else {
            start + part.trim_end().len().max(1)
        };
        let end = line.text.ceil_char_boundary(end);
        (line, start..end)
    }
}

/// The line of a byte, counted from 1.
pub(super) fn line_number(text: &str, offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        for (text, offset, expected) in [
            ("", 0, (1, 1)),
            ("a", 0, (1, 1)),
            ("a\nbc\n", 2, (2, 1)),
            ("a\nbc\n", 3, (2, 2)),
            ("a\nbc\n", 1, (1, 2)),
            ("a\nbc\n", 5, (3, 1)),
            ("a\nbc\n", 99, (3, 1)),
            ("a\r\nbc\r\n", 4, (2, 2)),
            ("é🦀: x", 8, (1, 5)),
            ("é🦀: x", 3, (1, 2)),
            ("\u{feff}a: b", 3, (1, 1)),
            ("\u{feff}a: b", 0, (1, 1)),
            ("\u{feff}a: b\nc", 8, (2, 1)),
        ] {
            assert_eq!(
                Source::new("x.yaml", text).line_col(offset),
                expected,
                "{text:?} at {offset}"
            );
        }
    }

    #[test]
    fn line_and_column_lead_back_to_the_byte() {
        for text in ["", "a\nbc\n", "a\r\nbc\r\n", "é🦀: x\né", "\u{feff}a: b\nc"] {
            let source = Source::new("x.yaml", text);
            let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for offset in offsets.filter(|at| !text[*at..].starts_with('\u{feff}')) {
                let (line, column) = source.line_col(offset);
                // The second half of a line break is the end of the line, as the first is.
                let is_second = text[..offset].ends_with('\r');
                let expected = offset - usize::from(is_second);
                assert_eq!(source.offset(line, column), Some(expected), "{text:?}");
            }
            assert_eq!(source.offset(0, 1), None);
            assert_eq!(source.offset(9, 1), None);
        }
        let source = Source::new("x.yaml", "a\nbc\n");
        assert_eq!(source.offset(1, 9), Some(1));
        assert_eq!(source.offset(2, 0), Some(2));
    }

    #[test]
    fn cuts_spans_to_their_first_line() {
        for (text, span, expected) in [
            ("a: b\nc: d\n", Span::new(0, 9), "a: b"),
            ("a: b\r\nc: d\r\n", Span::new(0, 10), "a: b"),
            ("a: |  \n x", Span::new(3, 9), "|"),
            ("a:\n", Span::new(1, 1), ":"),
            ("a\n", Span::new(2, 2), ""),
            ("é: 🦀x", Span::new(4, 4), "🦀"),
            ("é: 🦀x", Span::new(5, 6), "🦀"),
            ("\u{feff}a: b", Span::new(0, 3), "a"),
            ("a", Span::new(7, 9), ""),
        ] {
            let source = Source::new("x.yaml", text);
            let (line, range) = source.first_line_of(span);
            assert_eq!(&line.text[range], expected, "{text:?} {span:?}");
        }
    }
}
