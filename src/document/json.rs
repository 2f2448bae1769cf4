//! JSON text → nodes: everything that JSON allows, also where YAML does not (tabs before a key, `\/`, surrogates).

use super::node::{Entry, Key, Node, Value};
use super::problem::{Problem, Span};
use super::rules::{MAX_DEPTH, refuse_duplicates, too_deep};

/// Why a text is no JSON.
pub(super) struct NotJson {
    pub(super) problem: Problem,
    /// It uses words that only YAML has, so JSON's complaint would mislead.
    pub(super) is_meant_as_yaml: bool,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

pub(super) fn starts_like_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with(['{', '['])
}

/// The values of a stream: one after the other, also with `---` between them.
pub(super) fn read(text: &str) -> Result<Vec<Node>, NotJson> {
    let mut reader = Reader {
        text,
        at: text.len() - text.trim_start_matches('\u{feff}').len(),
        depth: 0,
    };
    let mut documents = Vec::new();
    loop {
        reader.skip_space();
        if reader.rest().starts_with("---") {
            reader.at += 3;
        } else if reader.rest().is_empty() {
            return Ok(documents);
        } else {
            documents.push(reader.value()?);
        }
    }
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a byte of punctuation if it comes next, after white space.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self) -> Result<Node, NotJson> {
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node {
            span: Span::new(start, self.at),
            value,
        })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, NotJson>) -> Result<Value, NotJson> {
        if self.depth == MAX_DEPTH {
            let problem = too_deep(Span::new(self.at, self.at + 1));
            return Err(NotJson {
                problem,
                is_meant_as_yaml: false,
            });
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, NotJson> {
        let mut entries: Vec<Entry> = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Mapping(entries));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key = Key {
                name: self.string()?,
                span: Span::new(start, self.at),
            };
            if !self.take(b':') {
                return Err(self.unexpected("\":\" after the key"));
            }
            entries.push(Entry {
                key,
                value: self.value()?,
            });
            if self.take(b'}') {
                return match refuse_duplicates(self.text, &entries) {
                    Ok(()) => Ok(Value::Mapping(entries)),
                    Err(problem) => Err(NotJson {
                        problem,
                        is_meant_as_yaml: false,
                    }),
                };
            }
            if !self.take(b',') {
                return Err(self.unexpected("\",\" or \"}\""));
            }
        }
    }

    fn array(&mut self) -> Result<Value, NotJson> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Sequence(items));
        }
        loop {
            items.push(self.value()?);
            if self.take(b']') {
                return Ok(Value::Sequence(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected("\",\" or \"]\""));
            }
        }
    }

    /// A string, from its opening quote to its closing one.
    fn string(&mut self) -> Result<String, NotJson> {
        let start = self.at;
        self.at += 1;
        let mut content = String::new();
        loop {
            let length = self
                .rest()
                .bytes()
                .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .count();
            content.push_str(&self.rest()[..length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(content);
                }
                Some(b'\\') => content.push(self.escape()?),
                Some(_) => {
                    return Err(invalid(
                        Span::new(self.at, self.at + 1),
                        "a control character in a string must be escaped",
                    ));
                }
                None => return Err(invalid(Span::new(start, self.at), "this string has no end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => match self.hex() {
                Some(unit) => self.unicode(unit),
                None => {
                    return Err(invalid(
                        Span::new(start, start + 2),
                        "\\u needs four hexadecimal digits",
                    ));
                }
            },
            _ => {
                return Err(invalid(
                    Span::new(start, start + 1),
                    "unknown escape in a string",
                ));
            }
        })
    }

    /// The character of a UTF-16 unit and, for half of a pair, the escape after it. Half a pair alone becomes U+FFFD,
    /// as in Go.
    fn unicode(&mut self, unit: u32) -> char {
        let after = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.rest().starts_with("\\u") {
            self.at += 2;
            match self.hex() {
                Some(low @ 0xdc00..0xe000) => {
                    let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                }
                _ => self.at = after,
            }
        }
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let unit = digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())??;
        self.at += 4;
        Some(unit)
    }

    fn number(&mut self) -> Result<Value, NotJson> {
        let length = self
            .rest()
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let text = &self.rest()[..length];
        let span = Span::new(self.at, self.at + length);
        self.at += length;
        if !is_number(text) {
            return Err(invalid(span, "this is not a number"));
        }
        match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(value), _) => Ok(Value::Int(value)),
            (_, Ok(value)) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(invalid(span, "this number is too large")),
        }
    }

    fn word(&mut self) -> Result<Value, NotJson> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            let is_whole = |after: &str| {
                !after.starts_with(|next: char| next.is_alphanumeric() || next == '_')
            };
            if self.rest().strip_prefix(word).is_some_and(is_whole) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn unexpected(&self, expected: &str) -> NotJson {
        match self.rest().chars().next() {
            None => {
                let span = Span::new(self.at, self.at);
                invalid(span, &format!("the text ends where {expected} is expected"))
            }
            Some(found) => NotJson {
                is_meant_as_yaml: !matches!(
                    found,
                    '{' | '}' | '[' | ']' | '"' | ',' | ':' | '-' | '0'..='9'
                ),
                ..invalid(
                    Span::new(self.at, self.at + found.len_utf8()),
                    &format!("expected {expected}, found {found:?}"),
                )
            },
        }
    }
}

fn invalid(span: Span, message: &str) -> NotJson {
    NotJson {
        problem: Problem::new(span, format!("invalid JSON: {message}")),
        is_meant_as_yaml: false,
    }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests;
