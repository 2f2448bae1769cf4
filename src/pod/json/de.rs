//! The [`Decoder`] as serde sees it: which JSON value may stand for which type.

use std::convert::Infallible;
use std::fmt;

use serde::de::{Deserializer, Error as _, Expected, Unexpected, Visitor};

use super::access::{Raw, UnitVariant, Variant};
use super::decoder::Decoder;
use super::error::{Code, Error};
use super::scan::Scan;

/// The name under which `serde_json::value::RawValue` asks for the text of a value.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A visitor that refuses whatever it is given.
struct Refuse<'a>(&'a dyn Expected);

// === impl Refuse ===

impl Visitor<'_> for Refuse<'_> {
    type Value = Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Decoder ===

impl<S: Scan> Decoder<'_, S> {
    /// The value that begins here is not of the expected type, if it is a value.
    #[cold]
    #[inline(never)]
    fn wrong_type(&mut self, expected: &dyn Expected) -> Error {
        let start = self.position();
        match self.peek() {
            b'{' => Error::invalid_type(Unexpected::Map, expected).placed(start),
            b'[' => Error::invalid_type(Unexpected::Seq, expected).placed(start),
            _ => match self.deserialize_any(Refuse(expected)) {
                Ok(never) => match never {},
                Err(error) => error,
            },
        }
    }
}

/// Methods for types that serde tells apart and JSON does not.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.peek() {
                b'-' | b'0'..=b'9' => self.number(visitor),
                _ => Err(self.wrong_type(&visitor)),
            }
        }
    )*};
}

macro_rules! strings {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.peek() {
                b'"' => self.string(visitor),
                _ => Err(self.wrong_type(&visitor)),
            }
        }
    )*};
}

impl<'de, S: Scan> Deserializer<'de> for &mut Decoder<'de, S> {
    type Error = Error;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    strings! {
        deserialize_str deserialize_string deserialize_char deserialize_identifier
        deserialize_bytes deserialize_byte_buf
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let byte = self.peek();
        let start = self.position();
        match byte {
            b'"' => self.string(visitor),
            b'{' => self.object::<true, _>(visitor),
            b'[' => self.list(visitor),
            b'-' | b'0'..=b'9' => self.number(visitor),
            b't' | b'f' => {
                self.literal()?;
                visitor
                    .visit_bool(byte == b't')
                    .map_err(|error: Error| error.placed(start))
            }
            b'n' => {
                self.literal()?;
                visitor
                    .visit_unit()
                    .map_err(|error: Error| error.placed(start))
            }
            _ => Err(self.error(Code::Syntax)),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b't' | b'f' => self.deserialize_any(visitor),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'n' => self.deserialize_any(visitor),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek() == b'n' {
            self.literal()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name != RAW_VALUE {
            return visitor.visit_newtype_struct(self);
        }
        visitor.visit_map(Raw::new(self.raw()?))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'[' => self.list(visitor),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.object::<true, _>(visitor),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.object::<false, _>(visitor),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let byte = self.peek();
        let start = self.position();
        match byte {
            b'"' => visitor
                .visit_enum(UnitVariant(self))
                .map_err(|error| error.placed(start)),
            b'{' => {
                self.enter()?;
                let value = visitor
                    .visit_enum(Variant(self))
                    .map_err(|error| error.placed(start))?;
                self.leave(b'}')?;
                Ok(value)
            }
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }
}
