//! The small pieces of the grammar: white space, literals, numbers, escapes.

use super::block::check_escape;
use super::error::{Code, Error};

/// A number as `serde_json` reads it.
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// Moves `pos` to the next byte that is not white space, and returns it: 0, which never starts
/// anything, at the end.
#[inline]
pub(super) fn skip_space(body: &[u8], pos: &mut usize) -> u8 {
    loop {
        match body.get(*pos) {
            // Almost always, since an API server writes no white space: one compare.
            Some(&byte) if byte > b' ' => return byte,
            Some(b' ' | b'\n' | b'\r' | b'\t') => *pos += 1,
            Some(&byte) => return byte,
            None => return 0,
        }
    }
}

/// The offset behind the `true`, `false` or `null` at `start`.
#[inline]
pub(super) fn literal_end(body: &[u8], start: usize) -> Result<usize, Error> {
    // Compares of a constant size: no call to `memcmp`.
    let rest = body.get(start..).unwrap_or_default();
    match rest.first_chunk::<4>() {
        Some(b"true" | b"null") => Ok(start + 4),
        Some(b"fals") if rest.get(4) == Some(&b'e') => Ok(start + 5),
        _ => Err(literal_error(body, start)),
    }
}

#[cold]
fn literal_error(body: &[u8], start: usize) -> Error {
    let rest = body.get(start..).unwrap_or_default();
    let cut_off = ["true", "false", "null"]
        .iter()
        .any(|word| word.as_bytes().starts_with(rest));
    if cut_off {
        Error::new(Code::Eof, body.len())
    } else {
        Error::new(Code::Literal, start)
    }
}

/// The offset behind the number at `start`, its grammar checked and its size not.
#[inline]
pub(super) fn number_end(body: &[u8], start: usize) -> Result<usize, Error> {
    let byte = |pos: usize| body.get(pos).copied().unwrap_or_default();
    let mut pos = start + usize::from(byte(start) == b'-');
    if byte(pos) == b'0' {
        pos += 1;
        if byte(pos).is_ascii_digit() {
            return Err(Error::new(Code::Number, pos));
        }
    } else {
        pos = digits_end(body, pos)?;
    }
    if byte(pos) == b'.' {
        pos = digits_end(body, pos + 1)?;
    }
    if matches!(byte(pos), b'e' | b'E') {
        pos += 1;
        pos = digits_end(body, pos + usize::from(matches!(byte(pos), b'+' | b'-')))?;
    }
    Ok(pos)
}

/// The offset behind the digits at `start`, of which there must be one.
#[inline]
fn digits_end(body: &[u8], start: usize) -> Result<usize, Error> {
    let mut pos = start;
    while body.get(pos).is_some_and(u8::is_ascii_digit) {
        pos += 1;
    }
    if pos == start {
        Err(Error::at(body, pos, Code::Number))
    } else {
        Ok(pos)
    }
}

/// Reads the number at `start` of `text`, and the offset behind it.
#[inline]
pub(super) fn number(text: &str, start: usize) -> Result<(Number, usize), Error> {
    let body = text.as_bytes();
    let negative = body.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (mut pos, mut magnitude) = (first, Some(0_u64));
    while let Some(digit) = body.get(pos).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        magnitude = magnitude.and_then(|n| n.checked_mul(10)?.checked_add(u64::from(digit)));
        pos += 1;
    }
    let well_formed = pos == first + 1 || (pos > first && body.get(first) != Some(&b'0'));
    let integer = well_formed && !matches!(body.get(pos), Some(b'.' | b'e' | b'E'));
    match magnitude {
        Some(n) if integer && !negative => Ok((Number::Unsigned(n), pos)),
        Some(n) if integer && n != 0 && 0_i64.checked_sub_unsigned(n).is_some() => {
            Ok((Number::Signed(0_i64.wrapping_sub_unsigned(n)), pos))
        }
        _ => float(text, start),
    }
}

/// What is not an integer of 64 bits, `-0` among them: a float, if it is a number at all.
#[inline(never)]
fn float(text: &str, start: usize) -> Result<(Number, usize), Error> {
    let end = number_end(text.as_bytes(), start)?;
    match text.get(start..end).unwrap_or_default().parse::<f64>() {
        Ok(float) if float.is_finite() => Ok((Number::Float(float), end)),
        Ok(_) => Err(Error::new(Code::Range, start)),
        Err(_) => Err(Error::new(Code::Number, start)),
    }
}

/// Checks the escapes between `start` and `end`, where a string nobody wants has at least one.
#[cold]
pub(super) fn check_escapes(body: &[u8], start: usize, end: usize) -> Result<(), Error> {
    let mut pos = start;
    while let Some(len) = body
        .get(pos..end)
        .and_then(|rest| memchr::memchr(b'\\', rest))
    {
        check_escape(body, pos + len + 1)?;
        pos += len + 2;
    }
    Ok(())
}

/// Writes `raw`, the inside of a string that begins at `offset` of the body, without its escapes.
#[cold]
pub(super) fn unescape(raw: &str, offset: usize, out: &mut String) -> Result<(), Error> {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let at = offset + raw.len() - escape.len();
        let mut chars = escape.chars();
        let letter = chars.next();
        rest = chars.as_str();
        out.push(match letter {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unicode(&mut rest).map_err(|code| Error::new(code, at))?,
            _ => return Err(Error::new(Code::Escape, at)),
        });
    }
    out.push_str(rest);
    Ok(())
}

/// Takes the digits behind `\u` off `rest`, and a second escape if it takes two to make a character.
fn unicode(rest: &mut &str) -> Result<char, Code> {
    let unit = hex(rest)?;
    if !(0xD800..0xDC00).contains(&unit) {
        return char::from_u32(unit).ok_or(Code::Surrogate);
    }
    *rest = rest.strip_prefix("\\u").ok_or(Code::Surrogate)?;
    let low = hex(rest)?.checked_sub(0xDC00).filter(|low| *low < 0x400);
    let low = low.ok_or(Code::Surrogate)?;
    char::from_u32(0x1_0000 + ((unit - 0xD800) << 10 | low)).ok_or(Code::Surrogate)
}

fn hex(rest: &mut &str) -> Result<u32, Code> {
    let (digits, behind) = rest.split_at_checked(4).ok_or(Code::Escape)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Code::Escape);
    }
    *rest = behind;
    u32::from_str_radix(digits, 16).map_err(|_| Code::Escape)
}
