//! Go's `%q`.

/// First and last of the characters that came with Unicode 15.1 to 17.0, and what is no character between them:
/// printable here, but not to Go 1.26 with its Unicode 15.0, of which Kubernetes 1.37 is made.
const NEWER: [(char, char); 53] = [
    ('\u{88f}', '\u{897}'),
    ('\u{c5c}', '\u{c5c}'),
    ('\u{cdc}', '\u{cdc}'),
    ('\u{1acf}', '\u{1aeb}'),
    ('\u{1b4e}', '\u{1b4f}'),
    ('\u{1b7f}', '\u{1b7f}'),
    ('\u{1c89}', '\u{1c8a}'),
    ('\u{20c1}', '\u{20c1}'),
    ('\u{2427}', '\u{2429}'),
    ('\u{2b96}', '\u{2b96}'),
    ('\u{2ffc}', '\u{2fff}'),
    ('\u{31e4}', '\u{31ef}'),
    ('\u{a7cb}', '\u{a7cf}'),
    ('\u{a7d2}', '\u{a7d2}'),
    ('\u{a7d4}', '\u{a7d4}'),
    ('\u{a7da}', '\u{a7f1}'),
    ('\u{fbc3}', '\u{fbd2}'),
    ('\u{fd90}', '\u{fd91}'),
    ('\u{fdc8}', '\u{fdce}'),
    ('\u{105c0}', '\u{105f3}'),
    ('\u{10940}', '\u{10959}'),
    ('\u{10d40}', '\u{10d8f}'),
    ('\u{10ec2}', '\u{10efc}'),
    ('\u{11380}', '\u{113e2}'),
    ('\u{116d0}', '\u{116e3}'),
    ('\u{11b60}', '\u{11bf9}'),
    ('\u{11db0}', '\u{11de9}'),
    ('\u{11f5a}', '\u{11f5a}'),
    ('\u{13460}', '\u{143fa}'),
    ('\u{16100}', '\u{16139}'),
    ('\u{16d40}', '\u{16d79}'),
    ('\u{16ea0}', '\u{16ed3}'),
    ('\u{16ff2}', '\u{16ff6}'),
    ('\u{187f8}', '\u{187ff}'),
    ('\u{18cff}', '\u{18cff}'),
    ('\u{18d09}', '\u{18df2}'),
    ('\u{1cc00}', '\u{1cef0}'),
    ('\u{1e5d0}', '\u{1e6ff}'),
    ('\u{1f6d8}', '\u{1f6d8}'),
    ('\u{1f777}', '\u{1f77a}'),
    ('\u{1f8b2}', '\u{1f8d8}'),
    ('\u{1fa54}', '\u{1fa57}'),
    ('\u{1fa89}', '\u{1fa8f}'),
    ('\u{1fabe}', '\u{1fabe}'),
    ('\u{1fac6}', '\u{1facd}'),
    ('\u{1fadc}', '\u{1fadf}'),
    ('\u{1fae9}', '\u{1faef}'),
    ('\u{1fbcb}', '\u{1fbef}'),
    ('\u{1fbfa}', '\u{1fbfa}'),
    ('\u{2b73a}', '\u{2b73f}'),
    ('\u{2cea2}', '\u{2cead}'),
    ('\u{2ebf0}', '\u{2ee5d}'),
    ('\u{323b0}', '\u{33479}'),
];

/// As Go's `%q` writes a string.
pub(super) fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            ' '..='~' => out.push(character),
            // Behind another character, so that a mark that combines with it counts as printable.
            _ if !is_newer(character) && format!("a{character}").escape_debug().count() == 2 => {
                out.push(character);
            }
            '\u{80}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(character))),
        }
    }
    out.push('"');
    out
}

fn is_newer(character: char) -> bool {
    let at = NEWER.partition_point(|(_, last)| *last < character);
    NEWER.get(at).is_some_and(|(first, _)| *first <= character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (text, expected) in [
            ("unconfined", r#""unconfined""#),
            ("a\"b\\c'd", r#""a\"b\\c'd""#),
            (
                "\u{7}\u{8}\u{c}\n\r\t\u{b}\0\u{1b}\u{7f}",
                r#""\a\b\f\n\r\t\v\x00\x1b\x7f""#,
            ),
            ("é e\u{301} 日本 🦀", "\"é e\u{301} 日本 🦀\""),
            (
                "\u{88e}\u{88f}\u{897}\u{898}\u{2ebef}\u{2ebf0}\u{33479}",
                "\"\u{88e}\\u088f\\u0897\u{898}\\U0002ebef\\U0002ebf0\\U00033479\"",
            ),
            (
                "\u{80}\u{200b}\u{e000}\u{e0001}",
                r#""\u0080\u200b\ue000\U000e0001""#,
            ),
        ] {
            assert_eq!(go_quoted(text), expected);
        }
    }
}
