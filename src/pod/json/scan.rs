//! How to find the end of what nobody wants. [`Local`] and [`StrictLocal`] differ only in how much
//! of a skipped container they check.

use wide::u8x16;

use super::block::{self, Block, Strings};
use super::error::{Code, Error};
use super::token;

/// A way to cross a container.
pub(super) trait Scan {
    /// The offset behind the container whose opening bracket is at `start`. At most `levels`
    /// containers, itself included, may be in each other.
    fn container_end(body: &[u8], start: usize, levels: usize) -> Result<usize, Error>;
}

/// Counts brackets outside strings, a block at a time, and keeps nothing.
pub(super) struct Local;

/// Follows the grammar of JSON, value by value.
pub(super) struct StrictLocal;

/// Where [`StrictLocal`] is.
struct Grammar<'b> {
    body: &'b [u8],
    pos: usize,
    levels: usize,
    depth: usize,
    /// One bit for each open container, the innermost lowest: 1 for an object.
    objects: u128,
}

// === impl Local ===

impl Scan for Local {
    #[inline]
    fn container_end(body: &[u8], start: usize, levels: usize) -> Result<usize, Error> {
        if levels == 0 {
            return Err(Error::new(Code::Depth, start));
        }
        let (mut base, mut depth, mut strings) = (start + 1, 1, Strings::default());
        while let Some(rest) = body.get(base..)
            && !rest.is_empty()
        {
            let padded;
            let bytes = if let Some(bytes) = rest.first_chunk::<{ block::LEN }>() {
                bytes
            } else {
                padded = pad(rest);
                &padded
            };
            let block = Block::of(bytes);
            let inside = strings.inside(&block, bytes, body, base)?;
            let (open, close) = (block.open & !inside, block.close & !inside);
            let end = if depth + block::LEN <= levels {
                walk(open, close, &mut depth)
            } else {
                walk_near_limit(open, close, &mut depth, levels)
                    .map_err(|at| Error::at(body, base + at, Code::Depth))?
            };
            if let Some(len) = end {
                return Ok(base + len);
            }
            base += block::LEN;
        }
        Err(Error::new(Code::Eof, body.len()))
    }
}

#[cold]
fn pad(rest: &[u8]) -> [u8; block::LEN] {
    let mut bytes = [b' '; block::LEN];
    bytes
        .iter_mut()
        .zip(rest)
        .for_each(|(to, from)| *to = *from);
    bytes
}

/// Counts the brackets of a block; the length up to and with the one that brings depth to zero.
#[inline]
fn walk(open: u64, close: u64, depth: &mut usize) -> Option<usize> {
    // An empty container says nothing about depth.
    let pairs = open & (close >> 1);
    let close = close ^ (pairs << 1);
    let mut brackets = (open ^ pairs) | close;
    while brackets != 0 {
        let bit = brackets & brackets.wrapping_neg();
        brackets ^= bit;
        if close & bit == 0 {
            *depth += 1;
        } else {
            *depth -= 1;
            if *depth == 0 {
                return Some(bit.trailing_zeros() as usize + 1);
            }
        }
    }
    None
}

/// The same where the block could go too deep, with the place of the bracket that does.
#[cold]
fn walk_near_limit(
    open: u64,
    close: u64,
    depth: &mut usize,
    levels: usize,
) -> Result<Option<usize>, usize> {
    let mut brackets = open | close;
    while brackets != 0 {
        let at = brackets.trailing_zeros() as usize;
        brackets &= brackets - 1;
        if (close >> at) & 1 == 0 {
            *depth += 1;
            if *depth > levels {
                return Err(at);
            }
        } else {
            *depth -= 1;
            if *depth == 0 {
                return Ok(Some(at + 1));
            }
        }
    }
    Ok(None)
}

// === impl StrictLocal ===

impl Scan for StrictLocal {
    #[inline]
    fn container_end(body: &[u8], start: usize, levels: usize) -> Result<usize, Error> {
        let mut grammar = Grammar {
            body,
            pos: start,
            levels,
            depth: 0,
            objects: 0,
        };
        grammar.open()?;
        let mut fresh = true;
        loop {
            let empty = fresh && grammar.peek() == grammar.closer();
            fresh = !empty && grammar.item()?;
            if !fresh && grammar.close()? {
                return Ok(grammar.pos);
            }
        }
    }
}

// === impl Grammar ===

impl Grammar<'_> {
    /// Crosses one item, or only the opening bracket of one that is a container: then `true`.
    #[inline]
    fn item(&mut self) -> Result<bool, Error> {
        if self.objects & 1 == 1 {
            if self.peek() != b'"' {
                return Err(self.error(Code::Key));
            }
            self.pos = skip_string(self.body, self.pos + 1)?;
            if self.peek() != b':' {
                return Err(self.error(Code::Colon));
            }
            self.pos += 1;
        }
        match self.peek() {
            b'"' => self.pos = skip_string(self.body, self.pos + 1)?,
            // The short way for `{}`, which managed fields are full of.
            byte @ (b'{' | b'[')
                if self.body.get(self.pos + 1) == Some(&(byte + 2)) && self.depth < self.levels =>
            {
                self.pos += 2;
            }
            b'{' | b'[' => {
                self.open()?;
                return Ok(true);
            }
            b't' | b'f' | b'n' => self.pos = token::literal_end(self.body, self.pos)?,
            b'-' | b'0'..=b'9' => self.pos = token::number_end(self.body, self.pos)?,
            _ => return Err(self.error(Code::Syntax)),
        }
        Ok(false)
    }

    /// Crosses what may stand behind an item: closing brackets, then a comma. `true` if they closed
    /// the container that everything began with.
    #[inline]
    fn close(&mut self) -> Result<bool, Error> {
        loop {
            let byte = self.peek();
            if byte == b',' {
                self.pos += 1;
                return Ok(false);
            }
            if byte != self.closer() {
                return Err(self.error(Code::Comma));
            }
            self.pos += 1;
            self.depth -= 1;
            self.objects >>= 1;
            if self.depth == 0 {
                return Ok(true);
            }
        }
    }

    #[inline]
    fn open(&mut self) -> Result<(), Error> {
        if self.depth == self.levels {
            return Err(self.error(Code::Depth));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(self.body.get(self.pos) == Some(&b'{'));
        self.pos += 1;
        Ok(())
    }

    #[inline]
    fn closer(&self) -> u8 {
        if self.objects & 1 == 1 { b'}' } else { b']' }
    }

    #[inline]
    fn peek(&mut self) -> u8 {
        token::skip_space(self.body, &mut self.pos)
    }

    fn error(&self, code: Code) -> Error {
        Error::at(self.body, self.pos, code)
    }
}

/// The offset of the quote that closes the string whose first byte is at `start`, and whether there
/// is a backslash before it. Refuses control bytes; does not look at the escapes.
#[inline]
pub(super) fn string_end(body: &[u8], start: usize) -> Result<(usize, bool), Error> {
    let (mut pos, mut escapes) = (start, false);
    loop {
        let hit = match body.get(pos..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(bytes) => first_special(*bytes),
            None => body
                .get(pos..)
                .and_then(|rest| rest.iter().position(|&b| special(b))),
        };
        match hit.and_then(|len| body.get(pos + len).map(|byte| (pos + len, byte))) {
            Some((at, b'"')) => return Ok((at, escapes)),
            Some((at, b'\\')) => {
                escapes = true;
                pos = at + 2;
            }
            Some((at, _)) => return Err(Error::new(Code::Control, at)),
            None => pos += 16,
        }
        if pos >= body.len() {
            return Err(Error::new(Code::Eof, body.len()));
        }
    }
}

/// The offset behind the string whose first byte is at `start`, its escapes checked.
#[inline]
pub(super) fn skip_string(body: &[u8], start: usize) -> Result<usize, Error> {
    let (end, escapes) = string_end(body, start)?;
    if escapes {
        token::check_escapes(body, start, end)?;
    }
    Ok(end + 1)
}

/// How many bytes at the start of `text` a JSON string holds as they are.
pub(super) fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        match first_special(*bytes) {
            Some(len) => return at + len,
            None => at += 16,
        }
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .position(|&byte| special(byte))
        .unwrap_or(rest.len())
}

#[inline]
fn first_special(bytes: [u8; 16]) -> Option<usize> {
    let lane = u8x16::new(bytes);
    let quote = lane.simd_eq(u8x16::splat(b'"'));
    let backslash = lane.simd_eq(u8x16::splat(b'\\'));
    let control = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
    let hits = (quote | backslash | control).to_bitmask();
    (hits != 0).then(|| hits.trailing_zeros() as usize)
}

fn special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}
