//! What serde's visitors read from: items, fields, keys, variants, and the text of a raw value.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use super::de::RAW_VALUE;
use super::decoder::Decoder;
use super::error::{Code, Error};
use super::scan::Scan;

/// What an entry of a map takes beside its key: its value, and its place in the map.
const ENTRY: usize = 64;

/// The items of a list whose opening bracket is taken. The closing one is left to the decoder.
pub(super) struct Items<'a, 'de, S> {
    decoder: &'a mut Decoder<'de, S>,
    first: bool,
}

/// The fields of an object, likewise. Those of a struct take no room of their own.
pub(super) struct Fields<'a, 'de, S, const IS_MAP: bool> {
    decoder: &'a mut Decoder<'de, S>,
    first: bool,
}

/// The key of a field: always a string, whatever the map is keyed by.
struct Key<'a, 'de, S>(&'a mut Decoder<'de, S>);

/// `"Variant"`
pub(super) struct UnitVariant<'a, 'de, S>(pub(super) &'a mut Decoder<'de, S>);

/// `{"Variant": …}`, from behind the opening bracket.
pub(super) struct Variant<'a, 'de, S>(pub(super) &'a mut Decoder<'de, S>);

/// The map with one field that `RawValue` expects.
pub(super) struct Raw<'de>(Option<&'de str>);

// === impl Items ===

impl<'a, 'de, S> Items<'a, 'de, S> {
    pub(super) fn new(decoder: &'a mut Decoder<'de, S>) -> Self {
        Self {
            decoder,
            first: true,
        }
    }
}

impl<'de, S: Scan> SeqAccess<'de> for Items<'_, 'de, S> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.decoder.peek() {
            b']' => return Ok(None),
            _ if self.first => self.first = false,
            b',' => {
                self.decoder.take();
                if self.decoder.peek() == b']' {
                    return Err(self.decoder.error(Code::Syntax));
                }
            }
            _ => return Err(self.decoder.error(Code::Comma)),
        }
        self.decoder.keep(size_of::<T::Value>())?;
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

// === impl Fields ===

impl<'a, 'de, S, const IS_MAP: bool> Fields<'a, 'de, S, IS_MAP> {
    pub(super) fn new(decoder: &'a mut Decoder<'de, S>) -> Self {
        Self {
            decoder,
            first: true,
        }
    }
}

impl<'de, S: Scan, const IS_MAP: bool> MapAccess<'de> for Fields<'_, 'de, S, IS_MAP> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let byte = match self.decoder.peek() {
            b'}' => return Ok(None),
            byte if self.first => byte,
            b',' => {
                self.decoder.take();
                self.decoder.peek()
            }
            _ => return Err(self.decoder.error(Code::Comma)),
        };
        self.first = false;
        if byte != b'"' {
            return Err(self.decoder.error(Code::Key));
        }
        if IS_MAP {
            self.decoder.keep(size_of::<K::Value>() + ENTRY)?;
        }
        self.decoder.mark_key();
        seed.deserialize(Key(&mut *self.decoder)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.decoder.colon()?;
        seed.deserialize(&mut *self.decoder)
    }
}

// === impl Key ===

impl<'de, S: Scan> Deserializer<'de> for Key<'_, 'de, S> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

// === impl UnitVariant ===

impl<'de, S: Scan> EnumAccess<'de> for UnitVariant<'_, 'de, S> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de, S: Scan> VariantAccess<'de> for UnitVariant<'_, 'de, S> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"newtype variant",
        ))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"tuple variant",
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"struct variant",
        ))
    }
}

// === impl Variant ===

impl<'de, S: Scan> EnumAccess<'de> for Variant<'_, 'de, S> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        if self.0.peek() != b'"' {
            return Err(self.0.error(Code::Key));
        }
        let variant = seed.deserialize(Key(&mut *self.0))?;
        self.0.colon()?;
        Ok((variant, self))
    }
}

impl<'de, S: Scan> VariantAccess<'de> for Variant<'_, 'de, S> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

// === impl Raw ===

impl<'de> Raw<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self(Some(text))
    }
}

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.0
            .map(|_| seed.deserialize(BorrowedStrDeserializer::new(RAW_VALUE)))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(
            self.0.take().unwrap_or("null"),
        ))
    }
}
