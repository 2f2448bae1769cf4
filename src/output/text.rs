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
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
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

/// Who is meant, to be read in front of a field: `containers "a", "b": `, beyond `most` only counted; nothing for none.
#[must_use]
pub fn who(noun: &str, names: &[&str], most: usize) -> String {
    if names.is_empty() {
        return String::new();
    }
    let plural = if names.len() == 1 { "" } else { "s" };
    let shown = quoted(names.iter().copied().take(most));
    match names.len().saturating_sub(most) {
        0 => format!("{noun}{plural} {shown}: "),
        more => format!("{noun}{plural} {shown} and {more} more: "),
    }
}

/// `policy "a"`, `policies "a", "b"`.
#[must_use]
pub fn policies<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let noun = if names.len() == 1 {
        "policy"
    } else {
        "policies"
    };
    format!("{noun} {}", quoted(names))
}

/// What an object is called: `Deployment shop/web`.
#[must_use]
pub fn title(kind: &str, namespace: &str, name: &str) -> String {
    let slash = if namespace.is_empty() { "" } else { "/" };
    let name = if name.is_empty() {
        "(no name yet)"
    } else {
        name
    };
    format!(
        "{} {}{slash}{}",
        clean(kind, 63),
        clean(namespace, 63),
        clean(name, 253)
    )
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
