//! Text of a review: borrowed from the request bytes wherever no escape stands in the way.
//!
//! `#[serde(borrow)] Option<Cow<str>>` and `Vec<Cow<str>>` look as if they borrowed and silently
//! copy: serde's own `Cow` always deserializes into the owned form. [`Text`] has a visitor that
//! keeps what the deserializer lends.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Bytes of a string that is kept. Findings repeat the strings of a Pod for each container that inherits them, and no
/// path, image, name or profile that a node could use is longer.
pub const MAX_TEXT: usize = 4096;

/// A string of the request. Cheap to clone while it borrows, which is always unless the string was
/// written with an escape.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(Cow<'a, str>);

struct TextVisitor;

/// A string of any length.
struct LongText<'a>(Text<'a>);

struct LongTextVisitor;

struct AnnotationsVisitor;

// === impl Text ===

impl<'a> Text<'a> {
    /// The string itself, for places where deref does not reach (`match`, `Option::map`).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The string as a `Cow` that still borrows from the request.
    #[must_use]
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by `Text` be asked with a `&str`.
impl std::borrow::Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

// === impl TextVisitor ===

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        within(text.len())?;
        Ok(Text::from(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        within(text.len())?;
        Ok(Text::from(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        within(text.len())?;
        Ok(Text::from(text))
    }
}

// === impl LongText ===

impl<'de> Deserialize<'de> for LongText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(LongTextVisitor).map(Self)
    }
}

// === impl LongTextVisitor ===

impl<'de> Visitor<'de> for LongTextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TextVisitor.expecting(f)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::from(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::from(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text::from(text))
    }
}

// === impl AnnotationsVisitor ===

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = BTreeMap<Text<'de>, Text<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut annotations = BTreeMap::new();
        while let Some((key, LongText(value))) = map.next_entry()? {
            annotations.insert(key, value);
        }
        Ok(annotations)
    }
}

/// Annotations: their values may be longer than [`MAX_TEXT`], and no finding repeats them.
///
/// # Errors
/// If it is neither `null` nor a map of strings.
pub fn annotations<'de, D>(deserializer: D) -> Result<BTreeMap<Text<'de>, Text<'de>>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(AnnotationsVisitor)
}

#[inline]
fn within<E: Error>(length: usize) -> Result<(), E> {
    if length > MAX_TEXT {
        return Err(E::custom(format_args!(
            "a string of {length} bytes; podgate reads none of more than {MAX_TEXT}, whatever the policies say"
        )));
    }
    Ok(())
}

/// For `#[serde(default, deserialize_with = "null_default")]`: an explicit `null` means the same as
/// an absent field, as it does to the API server.
///
/// # Errors
/// Whatever decoding a `T` that is not `null` fails with.
pub fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::pod::json;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample<'a> {
        #[serde(borrow)]
        one: Option<Text<'a>>,
        #[serde(borrow)]
        many: Vec<Text<'a>>,
        #[serde(borrow)]
        map: BTreeMap<Text<'a>, Text<'a>>,
        #[serde(borrow, deserialize_with = "null_default")]
        nullable: Vec<Text<'a>>,
        #[serde(deserialize_with = "null_default")]
        flag: bool,
    }

    fn borrows(text: &Text<'_>) -> bool {
        matches!(text.0, Cow::Borrowed(_))
    }

    #[test]
    fn borrows_in_options_lists_and_maps_and_copies_only_escaped_strings() {
        let body = br#"{"one":"a","many":["b","c\n"],"map":{"k":"v","\u006b2":"v"}}"#;
        let sample: Sample<'_> = json::from_slice(body).unwrap();
        assert!(sample.one.as_ref().is_some_and(borrows));
        assert_eq!(
            sample.many.iter().map(borrows).collect::<Vec<_>>(),
            [true, false]
        );
        assert_eq!(
            sample.map.keys().map(borrows).collect::<Vec<_>>(),
            [true, false]
        );
        assert!(sample.map.values().all(borrows));
        assert_eq!(sample.many[1], "c\n");
        assert_eq!(sample.map.get("k2").map(Text::as_str), Some("v"));
    }

    #[test]
    fn null_is_the_default_and_a_wrong_type_is_still_an_error() {
        let sample: Sample<'_> = json::from_slice(br#"{"nullable":null,"flag":null}"#).unwrap();
        assert_eq!(sample, Sample::default());
        let sample: Sample<'_> = json::from_slice(br#"{"nullable":["x"],"flag":true}"#).unwrap();
        assert_eq!(
            (sample.nullable, sample.flag),
            (vec![Text::from("x")], true)
        );
        assert!(json::from_slice::<Sample<'_>>(br#"{"flag":"yes"}"#).is_err());
        assert!(json::from_slice::<Sample<'_>>(br#"{"nullable":[null]}"#).is_err());
    }

    #[test]
    fn prints_and_compares_like_the_string_it_is() {
        let (borrowed, owned) = (Text::from("a\"b"), Text::from("a\"b".to_owned()));
        assert_eq!(borrowed, owned);
        assert_eq!(borrowed.to_string(), "a\"b");
        assert_eq!(format!("{owned:?}"), r#""a\"b""#);
        assert_eq!(borrowed.cmp(&Text::from("b")), std::cmp::Ordering::Less);
        assert_eq!(borrowed.len(), 3);
        assert!(matches!(borrowed.into_cow(), Cow::Borrowed("a\"b")));
    }
}
