//! Text in columns, and cut or wrapped to a width, as a terminal counts it: a wide character takes two cells.

use unicode_width::UnicodeWidthChar as _;

/// How many columns there are.
pub(super) const COUNT: usize = 6;
/// What they are called.
pub(super) const HEADER: [&str; COUNT] = ["RESULT", "CONTROL", "WHERE", "IS", "MUST BE", "POLICY"];

/// In front of the first column.
const INDENT: usize = 4;
/// Between two columns.
const GAP: usize = 2;
/// Which column is shortened, and to what at the least, in this order until all fits; one that is down to 0 is left out.
/// The result stays.
const SHORTENED: [(usize, usize); 16] = [
    (5, 16),
    (4, 20),
    (2, 48),
    (3, 16),
    (5, 0),
    (4, 12),
    (2, 24),
    (3, 8),
    (1, 8),
    (4, 0),
    (2, 12),
    (0, 8),
    (3, 0),
    (2, 0),
    (1, 0),
    (0, 4),
];

/// How wide each column is; 0 if it is left out.
pub(super) struct Columns([usize; COUNT]);

// === impl Columns ===

impl Columns {
    /// Columns for these lines that fit the width of a terminal.
    pub(super) fn of(lines: impl Iterator<Item = [String; COUNT]>, most: usize) -> Self {
        let mut widths = HEADER.map(width);
        for line in lines {
            for (known, cell) in widths.iter_mut().zip(&line) {
                *known = width(cell).max(*known);
            }
        }
        let mut it = Self(widths);
        for (column, least) in SHORTENED {
            let over = it.total().saturating_sub(most);
            let own = it.0[column];
            it.0[column] = match (over, least) {
                (0, _) => own,
                (_, 0) => 0,
                _ => own.saturating_sub(over).max(least.min(own)),
            };
        }
        // What a column that was left out has left over goes back to the others.
        for (column, natural) in widths.into_iter().enumerate() {
            let spare = most.saturating_sub(it.total());
            let own = it.0[column];
            if own > 0 {
                it.0[column] = natural.min(own.saturating_add(spare));
            }
        }
        it
    }

    fn total(&self) -> usize {
        let shown = self.0.iter().filter(|it| **it > 0);
        shown.fold(INDENT, |sum, it| sum.saturating_add(it + GAP)) - GAP
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> String {
        let (first, rest) = self.line(&HEADER.map(str::to_owned));
        first + &rest
    }

    /// A line, its first column for itself.
    pub(super) fn line(&self, cells: &[String; COUNT]) -> (String, String) {
        let mut out = [String::new(), String::new()];
        let last = self.0.iter().rposition(|it| *it > 0);
        for (column, (cell, own)) in cells.iter().zip(self.0).enumerate() {
            if own == 0 {
                continue;
            }
            let cell = fit(cell, own);
            let fill = if Some(column) == last {
                0
            } else {
                own - width(&cell) + GAP
            };
            let indent = if column == 0 { INDENT } else { 0 };
            let to = &mut out[usize::from(column > 0)];
            to.push_str(&" ".repeat(indent));
            to.push_str(&cell);
            to.push_str(&" ".repeat(fill));
        }
        let [first, rest] = out;
        (first, rest.trim_end().to_owned())
    }
}

/// How many cells of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text, cut to a width with `…` at its end.
pub(super) fn fit(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > most {
            break;
        }
        out.push(c);
    }
    if most > 0 {
        out.push('…');
    }
    out
}

/// The text in lines of a width, between words where it can be; the second and later ones two further in.
pub(super) fn wrap(text: &str, indent: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent);
    let mut used = indent;
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let own = width(word);
        if !is_empty && used + 1 + own > most {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent + 2)));
            used = indent + 2;
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
            used += 1;
        }
        is_empty = false;
        for c in word.chars() {
            let own = c.width().unwrap_or(0);
            if used + own > most && used > indent + 2 {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent + 2)));
                used = indent + 2;
            }
            line.push(c);
            used += own;
        }
    }
    if !is_empty {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, most, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("a🦀b", 3, "a…"),
            ("a🦀bc", 4, "a🦀…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, most), expected, "{text} {most}");
        }
    }

    #[test]
    fn a_text_is_wrapped_between_words_where_it_can_be() {
        for (text, most, expected) in [
            ("a bc def", 80, vec!["  a bc def"]),
            ("a bc def", 6, vec!["  a bc", "    de", "    f"]),
            ("a bc def", 7, vec!["  a bc", "    def"]),
            ("🦀🦀🦀", 6, vec!["  🦀🦀", "    🦀"]),
            ("", 6, vec![]),
        ] {
            assert_eq!(wrap(text, 2, most), expected, "{text:?} {most}");
        }
    }

    #[test]
    fn the_least_important_column_is_shortened_first() {
        let line = || {
            let cells = [
                "rejected",
                "privileged",
                "containers",
                "true",
                "false, false",
                "baseline",
            ];
            [cells.map(str::to_owned)].into_iter()
        };
        for (most, expected) in [
            (80, [8, 10, 10, 4, 12, 8]),
            (66, [8, 10, 10, 4, 12, 8]),
            (65, [8, 10, 10, 4, 12, 0]),
            (54, [8, 8, 10, 4, 12, 0]),
            (50, [8, 10, 10, 4, 0, 0]),
            (36, [8, 10, 10, 0, 0, 0]),
            (25, [8, 10, 0, 0, 0, 0]),
            (10, [6, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(Columns::of(line(), most).0, expected, "{most}");
        }
    }
}
