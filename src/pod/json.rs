//! The JSON decoder of the engine: what no field asks for is skipped, 64 bytes at a time.
//!
//! Almost all of a review is text that no control reads (status, managed fields, environment). The
//! body is checked to be UTF-8 once; wanted strings are then slices of it, and unwanted containers
//! are crossed by counting brackets outside strings. It is an ordinary serde [`Deserializer`], so
//! the view is plain derived structs, and `serde_json` stays one line away as the reference.
//!
//! What callers rely on:
//! * A document is one value and white space; anything behind it is an error. Nothing panics.
//! * Wanted values mean what they mean to `serde_json`; so do numbers: `-0` and integers beyond
//!   64 bits are floats, and what does not fit a float is an error. Duplicate fields are refused by
//!   serde's derive. Three things are stricter: nesting is limited in skipped values too, a
//!   struct is an object, never a list of its fields, and what is kept is limited.
//! * Memory follows what is kept, and that is limited while it is decoded: the items of lists and
//!   the entries of maps may take [`MAX_KEPT`] bytes together. Three bytes of text make a container.
//! * Skipped values: [`from_slice`] checks their UTF-8, strings, escapes, and that brackets close,
//!   but not their commas, colons, literals, numbers, or which kind of bracket closes which. The
//!   API server sends only what it encoded itself, so a user cannot write such a body.
//!   [`from_slice_strict`] checks the full grammar, and accepts nothing that `serde_json` refuses.
//! * A `&RawValue` is skipped text too, so it is checked no further until it is decoded itself.
//!
//! [`Deserializer`]: serde::Deserializer

mod access;
mod block;
mod de;
mod decoder;
mod error;
mod scan;
mod token;

#[cfg(test)]
mod tests;

use serde::de::Deserialize;
use serde_path_to_error::Segment;

pub use self::error::{Code, Error};

use self::decoder::Decoder;
use self::scan::{Local, Scan, StrictLocal};

/// The deepest nesting of containers that is accepted: the same as `serde_json`.
pub const MAX_DEPTH: usize = 127;

/// What the items of lists and the entries of maps of one document may take in memory, beside their
/// text. Room for 2,000 containers.
pub const MAX_KEPT: usize = 2 * 1024 * 1024;

/// Decodes one document. Skipped values are only crossed, see the [module](self).
///
/// # Errors
/// Says what is wrong and at which byte of `body`.
pub fn from_slice<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Error> {
    decode::<T, Local>(utf8(body)?)
}

/// As [`from_slice`], for text that is known to be UTF-8, such as a `RawValue`.
///
/// # Errors
/// Says what is wrong and at which byte of `text`.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    decode::<T, Local>(text)
}

/// As [`from_slice`], and skipped values must follow the grammar of JSON too.
///
/// # Errors
/// Says what is wrong and at which byte of `body`.
pub fn from_slice_strict<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Error> {
    decode::<T, StrictLocal>(utf8(body)?)
}

/// The path of the value at which decoding `body` fails, such as
/// `request.object.spec.containers[0].securityContext.privileged`. `None` if it does not fail, or
/// fails outside the value.
///
/// Decodes once more and remembers the way: for a body that has failed already.
#[must_use]
pub fn locate<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Option<String> {
    let text = utf8(body).ok()?;
    failing_path::<T, Local>(text).or_else(|| failing_path::<T, StrictLocal>(text))
}

/// Writes `text` as a JSON string, in its quotes: what `serde_json` writes, 16 bytes at a time.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(scan::plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = special.split_first() else {
            break;
        };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = behind;
    }
    out.push(b'"');
}

fn failing_path<'de, T: Deserialize<'de>, S: Scan>(text: &'de str) -> Option<String> {
    let mut decoder = Decoder::<S>::new(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut decoder).err()?;
    let path = error.path();
    let mut text = path.to_string();
    if matches!(path.iter().next_back(), Some(Segment::Unknown)) {
        // A key that could not be read: the object it is in.
        text.truncate(text.trim_end_matches('?').trim_end_matches('.').len());
    }
    (path.iter().len() > 0 && !text.is_empty()).then_some(text)
}

fn decode<'de, T: Deserialize<'de>, S: Scan>(text: &'de str) -> Result<T, Error> {
    let mut decoder = Decoder::<S>::new(text);
    match T::deserialize(&mut decoder) {
        Ok(value) => decoder.end().map(|()| value),
        Err(error) => Err(error.placed(decoder.position())),
    }
}

fn utf8(body: &[u8]) -> Result<&str, Error> {
    // The fast check does not say where; std does, and has the last word.
    simdutf8::basic::from_utf8(body)
        .or_else(|_| std::str::from_utf8(body))
        .map_err(|error| Error::new(Code::Utf8, error.valid_up_to()))
}
