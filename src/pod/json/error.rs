//! What can be wrong with a body, and where.
//!
//! Only the byte offset is kept; line and column are counted when somebody asks.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::{MAX_DEPTH, MAX_KEPT};

/// A string of the body is quoted in a message up to this length: a message is one line.
const MAX_QUOTED: usize = 64;

/// The place is not known yet: serde's own constructors know no offset, the decoder adds it.
const UNPLACED: usize = usize::MAX;

/// Why a body was refused. One word is kept on the success path, the rest is boxed.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    offset: usize,
    /// Empty for codes that say it all.
    detail: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The body ends inside a value.
    Eof,
    /// The body is not UTF-8.
    Utf8,
    /// No value starts here.
    Syntax,
    /// A word that is none of `true`, `false`, `null`.
    Literal,
    /// Digits, point or exponent out of place.
    Number,
    /// A number beyond the largest float.
    Range,
    /// A raw byte below 0x20 in a string.
    Control,
    /// An unknown escape, or hex digits missing.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// More than [`MAX_DEPTH`] containers in each other.
    Depth,
    /// More items and entries than [`MAX_KEPT`] has room for.
    Kept,
    /// A key that is not a string.
    Key,
    /// No `:` behind a key.
    Colon,
    /// Neither a `,` nor the closing bracket behind a value.
    Comma,
    /// Something behind the document.
    Trailing,
    /// A value of the wrong JSON type.
    Type,
    /// A value of the right type that is not allowed.
    Value,
    /// A list that is too short or too long.
    Length,
    /// A string that names no variant.
    UnknownVariant,
    /// A field that must not be there.
    UnknownField,
    /// A field that must be there.
    MissingField,
    /// A field that is there twice.
    DuplicateField,
    /// Refused by the type that was decoded, in its own words.
    Custom,
}

/// Text cut to what fits a message.
struct Short<'a>(&'a str);

/// serde calls `null` "unit value".
struct Found<'a>(Unexpected<'a>);

// === impl Error ===

impl Error {
    #[cold]
    #[inline(never)]
    pub(super) fn new(code: Code, offset: usize) -> Self {
        Self(Box::new(Inner {
            code,
            offset,
            detail: String::new(),
        }))
    }

    /// For the reader that met something else at `offset`: the end of the body goes first.
    #[cold]
    #[inline(never)]
    pub(super) fn at(body: &[u8], offset: usize, code: Code) -> Self {
        if offset < body.len() {
            Self::new(code, offset)
        } else {
            Self::new(Code::Eof, body.len())
        }
    }

    #[cold]
    #[inline(never)]
    fn unplaced(code: Code, detail: String) -> Self {
        Self(Box::new(Inner {
            code,
            offset: UNPLACED,
            detail,
        }))
    }

    /// Says where, unless somebody deeper has said so already.
    #[cold]
    pub(super) fn placed(mut self, offset: usize) -> Self {
        if self.0.offset == UNPLACED {
            self.0.offset = offset;
        }
        self
    }

    /// What kind of error it is; never match on the text.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Where, in bytes from the start of what was decoded.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Where in `body`, as line and column, both from 1, the column in bytes.
    #[must_use]
    pub fn line_col(&self, body: &[u8]) -> (usize, usize) {
        let before = body.get(..self.0.offset).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        (
            1 + memchr::memchr_iter(b'\n', before).count(),
            1 + before.len() - line_start,
        )
    }
}

/// Without the place: that is [`Error::offset`] or [`Error::line_col`].
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.detail.is_empty() {
            self.0.code.fmt(f)
        } else {
            f.write_str(&self.0.detail)
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::unplaced(Code::Custom, message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = Found(found);
        Self::unplaced(
            Code::Type,
            format!("invalid type: {found}, expected {expected}"),
        )
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = Found(found);
        Self::unplaced(
            Code::Value,
            format!("invalid value: {found}, expected {expected}"),
        )
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        Self::unplaced(
            Code::Length,
            format!("invalid length {len}, expected {expected}"),
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unplaced(Code::UnknownVariant, unknown("variant", variant, expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unplaced(Code::UnknownField, unknown("field", field, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::unplaced(Code::MissingField, format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::unplaced(Code::DuplicateField, format!("duplicate field `{field}`"))
    }
}

fn unknown(what: &str, name: &str, expected: &[&str]) -> String {
    let name = Short(name);
    if expected.is_empty() {
        return format!("unknown {what} `{name}`, there are none");
    }
    let known: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "unknown {what} `{name}`, expected one of {}",
        known.join(", ")
    )
}

// === impl Code ===

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Eof => "unexpected end of input",
            Code::Utf8 => "invalid UTF-8",
            Code::Syntax => "expected a value",
            Code::Literal => "expected true, false or null",
            Code::Number => "invalid number",
            Code::Range => "number out of range",
            Code::Control => "control character in string",
            Code::Escape => "invalid escape in string",
            Code::Surrogate => "lone surrogate in string",
            Code::Depth => return write!(f, "nesting deeper than {MAX_DEPTH}"),
            Code::Kept => {
                return write!(
                    f,
                    "the lists of this object hold more than the {} MiB that podgate keeps of one; that is a limit of \
                     podgate, not of a policy",
                    MAX_KEPT / (1024 * 1024)
                );
            }
            Code::Key => "expected a string as key",
            Code::Colon => "expected `:` after the key",
            Code::Comma => "expected `,` or the closing bracket",
            Code::Trailing => "unexpected text after the document",
            Code::Type => "invalid type",
            Code::Value => "invalid value",
            Code::Length => "invalid length",
            Code::UnknownVariant => "unknown variant",
            Code::UnknownField => "unknown field",
            Code::MissingField => "missing field",
            Code::DuplicateField => "duplicate field",
            Code::Custom => "invalid",
        })
    }
}

// === impl Short ===

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.floor_char_boundary(MAX_QUOTED);
        f.write_str(&self.0[..cut])?;
        f.write_str(if cut < self.0.len() { "…" } else { "" })
    }
}

// === impl Found ===

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Str(text) => write!(f, "string {:?}", Short(text).to_string()),
            Unexpected::Map => f.write_str("object"),
            Unexpected::Seq => f.write_str("list"),
            other => other.fmt(f),
        }
    }
}
