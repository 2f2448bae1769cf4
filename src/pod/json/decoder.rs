//! Reading a body from front to back, generic over how it skips: a position, and what may be there.

use std::marker::PhantomData;

use serde::de::Visitor;

use super::access::{Fields, Items};
use super::error::{Code, Error};
use super::scan::{self, Scan};
use super::token::{self, Number};
use super::{MAX_DEPTH, MAX_KEPT};

/// A position in the text, and what is needed to go on from there.
pub(super) struct Decoder<'de, S> {
    text: &'de str,
    body: &'de [u8],
    pos: usize,
    /// How many containers may still be opened inside each other.
    levels: usize,
    /// Bytes that items and entries may still take.
    room: usize,
    /// Where the last key began: the place of a duplicate field.
    last_key: usize,
    /// The last string that had escapes, without them.
    unescaped: String,
    scan: PhantomData<S>,
}

// === impl Decoder ===

impl<'de, S: Scan> Decoder<'de, S> {
    pub(super) fn new(text: &'de str) -> Self {
        Self {
            text,
            body: text.as_bytes(),
            pos: 0,
            levels: MAX_DEPTH,
            room: MAX_KEPT,
            last_key: 0,
            unescaped: String::new(),
            scan: PhantomData,
        }
    }

    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// Nothing but white space may be left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.peek();
        if self.pos < self.body.len() {
            Err(self.error(Code::Trailing))
        } else {
            Ok(())
        }
    }

    /// The next byte that is not white space, not taken; 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        token::skip_space(self.body, &mut self.pos)
    }

    /// Takes the byte that `peek` showed.
    #[inline]
    pub(super) fn take(&mut self) {
        self.pos += 1;
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Error> {
        if self.peek() != b':' {
            return Err(self.error(Code::Colon));
        }
        self.take();
        Ok(())
    }

    /// Notes that the key begins here.
    #[inline]
    pub(super) fn mark_key(&mut self) {
        self.last_key = self.pos;
    }

    /// What stands here is not what had to.
    #[cold]
    #[inline(never)]
    pub(super) fn error(&self, code: Code) -> Error {
        Error::at(self.body, self.pos, code)
    }

    /// Gives `visitor` the string whose opening quote is here.
    #[inline]
    pub(super) fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let start = self.pos;
        let (end, escapes) = scan::string_end(self.body, start + 1)?;
        let raw = self.text.get(start + 1..end).unwrap_or_default();
        self.pos = end + 1;
        if escapes {
            self.unescaped.clear();
            token::unescape(raw, start + 1, &mut self.unescaped)?;
            visitor.visit_str(&self.unescaped)
        } else {
            visitor.visit_borrowed_str(raw)
        }
        .map_err(|error: Error| error.placed(start))
    }

    #[inline]
    pub(super) fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let start = self.pos;
        let (number, end) = token::number(self.text, start)?;
        self.pos = end;
        match number {
            Number::Unsigned(n) => visitor.visit_u64(n),
            Number::Signed(n) => visitor.visit_i64(n),
            Number::Float(n) => visitor.visit_f64(n),
        }
        .map_err(|error: Error| error.placed(start))
    }

    /// Takes the literal that begins here.
    #[inline]
    pub(super) fn literal(&mut self) -> Result<(), Error> {
        self.pos = token::literal_end(self.body, self.pos)?;
        Ok(())
    }

    #[inline]
    pub(super) fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let start = self.pos;
        self.enter()?;
        let value = visitor
            .visit_seq(Items::new(self))
            .map_err(|error| error.placed(start))?;
        self.leave(b']')?;
        Ok(value)
    }

    #[inline]
    pub(super) fn object<const IS_MAP: bool, V: Visitor<'de>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let start = self.pos;
        self.enter()?;
        let value = match visitor.visit_map(Fields::<_, IS_MAP>::new(self)) {
            Ok(value) => value,
            Err(error) if error.code() == Code::DuplicateField => {
                return Err(error.placed(self.last_key));
            }
            Err(error) => return Err(error.placed(start)),
        };
        self.leave(b'}')?;
        Ok(value)
    }

    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Error> {
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(self.error(Code::Depth));
        };
        self.levels = levels;
        self.take();
        Ok(())
    }

    /// One more item or entry that takes so much is kept.
    #[inline]
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Error> {
        let Some(room) = self.room.checked_sub(bytes) else {
            return Err(self.error(Code::Kept));
        };
        self.room = room;
        Ok(())
    }

    #[inline]
    pub(super) fn leave(&mut self, closer: u8) -> Result<(), Error> {
        if self.peek() != closer {
            return Err(self.error(Code::Comma));
        }
        self.levels += 1;
        self.take();
        Ok(())
    }

    /// Crosses the value that begins here or behind white space.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.pos = match self.peek() {
            b'"' => scan::skip_string(self.body, self.pos + 1)?,
            b'{' | b'[' => S::container_end(self.body, self.pos, self.levels)?,
            b't' | b'f' | b'n' => token::literal_end(self.body, self.pos)?,
            b'-' | b'0'..=b'9' => token::number_end(self.body, self.pos)?,
            _ => return Err(self.error(Code::Syntax)),
        };
        Ok(())
    }

    /// The text of the value that begins here or behind white space, only crossed.
    #[inline]
    pub(super) fn raw(&mut self) -> Result<&'de str, Error> {
        self.peek();
        let start = self.pos;
        self.skip()?;
        Ok(self.text.get(start..self.pos).unwrap_or_default())
    }
}
