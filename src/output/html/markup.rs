//! The only way to write HTML here: whatever comes from outside is escaped, because there is no method that does not.
//!
//! Elements are closed by construction, their names and those of their attributes are part of the program, and so is
//! the text that goes in unescaped.

use crate::output::text::misleads;

/// Characters of one text that are shown; somebody's endless annotation is not the reader's burden.
const MAX_TEXT: usize = 2000;

/// HTML as it grows.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// What may be told apart in a text from outside.
#[derive(Clone, Copy, PartialEq)]
enum Lines {
    /// A line break is a character like others that are not seen.
    One,
    /// Line breaks are part of what is said.
    Many,
}

// === impl Markup ===

impl Markup {
    /// `<name attributes>content</name>`. An attribute without a value is written as its name alone.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        content: impl FnOnce(&mut Self),
    ) {
        self.void(name, attributes);
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element whose content is text.
    pub(super) fn leaf(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        text: &str,
    ) {
        self.element(name, attributes, |it| it.text(text));
    }

    /// An element that has no content and no end: `<meta …>`.
    pub(super) fn void(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            if !value.is_empty() {
                self.0.push_str("=\"");
                self.attribute(value);
                self.0.push('"');
            }
        }
        self.0.push('>');
    }

    /// Text, on one line. What cannot be seen is shown as its escape, and set apart from the same escape in the text.
    pub(super) fn text(&mut self, text: &str) {
        self.escaped(text, Lines::One);
    }

    /// Text of several lines, for `pre`.
    pub(super) fn lines(&mut self, text: &str) {
        self.escaped(text, Lines::Many);
    }

    /// A path of fields, which may be broken before its dots.
    pub(super) fn path(&mut self, path: &str) {
        if path.len() > MAX_TEXT {
            return self.text(path);
        }
        for (index, part) in path.split('.').enumerate() {
            if index > 0 {
                self.void("wbr", &[]);
                self.constant(".");
            }
            self.text(part);
        }
    }

    /// What is part of the program: the style, the script.
    pub(super) fn constant(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    /// A line break in the source, for whoever reads that.
    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn escaped(&mut self, text: &str, lines: Lines) {
        for (count, c) in text.chars().enumerate() {
            if count == MAX_TEXT {
                self.0.push('…');
                break;
            }
            if misleads(c) && !(lines == Lines::Many && matches!(c, '\n' | '\t')) {
                self.0.push_str("<i>");
                self.0.extend(c.escape_unicode());
                self.0.push_str("</i>");
            } else {
                self.character(c);
            }
        }
    }

    fn attribute(&mut self, value: &str) {
        for c in value.chars().take(MAX_TEXT) {
            if misleads(c) {
                self.0.extend(c.escape_unicode());
            } else {
                self.character(c);
            }
        }
    }

    fn character(&mut self, c: char) {
        match c {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            c => self.0.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Markup)) -> String {
        let mut markup = Markup::default();
        write(&mut markup);
        markup.finish()
    }

    #[test]
    fn nothing_from_outside_ends_a_text_or_an_attribute() {
        for (text, expected) in [
            ("</pre><script>", "&lt;/pre&gt;&lt;script&gt;"),
            ("\"onmouseover='x'", "&quot;onmouseover=&#39;x&#39;"),
            ("&lt;", "&amp;lt;"),
        ] {
            assert_eq!(written(|it| it.text(text)), expected);
            assert_eq!(written(|it| it.lines(text)), expected);
            assert_eq!(
                written(|it| it.leaf("p", &[("title", text)], "")),
                format!("<p title=\"{expected}\"></p>")
            );
        }
    }

    #[test]
    fn what_is_not_seen_is_shown() {
        for (text, escape) in [
            ("\u{0}", "\\u{0}"),
            ("\u{1b}", "\\u{1b}"),
            ("\u{202e}", "\\u{202e}"),
            ("\u{feff}", "\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("\r", "\\u{d}"),
        ] {
            assert_eq!(written(|it| it.text(text)), format!("<i>{escape}</i>"));
            assert_eq!(written(|it| it.lines(text)), format!("<i>{escape}</i>"));
            assert_eq!(
                written(|it| it.void("p", &[("id", text)])),
                format!("<p id=\"{escape}\">")
            );
        }
        assert_eq!(written(|it| it.text("a\nb")), "a<i>\\u{a}</i>b");
        assert_eq!(written(|it| it.lines("a\n\tb")), "a\n\tb");
    }

    #[test]
    fn a_path_breaks_before_its_dots() {
        assert_eq!(
            written(|it| it.path("spec.containers[0].<")),
            "spec<wbr>.containers[0]<wbr>.&lt;"
        );
        let endless = ".".repeat(MAX_TEXT + 1);
        assert_eq!(
            written(|it| it.path(&endless)),
            format!("{}…", &endless[1..])
        );
    }

    #[test]
    fn nothing_is_endless() {
        let endless = "x".repeat(MAX_TEXT + 1);
        assert_eq!(
            written(|it| it.text(&endless)),
            format!("{}…", &endless[1..])
        );
    }
}
