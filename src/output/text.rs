//! Text from outside, made fit for one line of a message: no control characters, no endless values.

/// How much of a value is shown.
pub const MAX_VALUE: usize = 80;

/// The text with control characters escaped, and cut after `most` characters.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most + 1));
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        if misleads(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// True for what is not seen, or makes the text around it be seen as something else: control characters, direction
/// marks, and characters without a width.
#[must_use]
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `1 finding`, `2 findings`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// `"a"`, `"a", "b"`.
#[must_use]
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names
        .into_iter()
        .map(|name| format!("\"{}\"", clean(name, MAX_VALUE)))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_breaks_a_line() {
        assert_eq!(clean("a\nb\u{202e}c", 80), "a\\u{a}b\\u{202e}c");
        assert_eq!(clean(&"x".repeat(81), 80), format!("{}…", "x".repeat(80)));
    }
}
