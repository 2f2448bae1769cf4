//! The `AdmissionReview` as it is decoded: in one pass with its object, where that can be.
//!
//! An API server writes `resource`, `subResource` and `operation` before `object`, so the kind is known by the time
//! the object comes and it is read straight into the view. Where the order is another one, or where anything is wrong,
//! the object stays text and is decoded by itself: then an error in it is told as the object's, with its path there.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decision::{Operation, request::is_ignored};
use crate::pod::object::{Object, ObjectSeed};
use crate::pod::text::null_default;
use crate::pod::{Kind, Text, json};

/// `admission.k8s.io/v1 AdmissionReview`, as far as podgate reads it.
#[derive(Debug)]
pub(super) struct AdmissionReview<'a> {
    pub(super) api_version: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) request: Option<AdmissionRequest<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct AdmissionRequest<'a> {
    pub(super) uid: Text<'a>,
    pub(super) resource: Resource<'a>,
    pub(super) sub_resource: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) operation: Text<'a>,
    pub(super) user_info: UserInfo<'a>,
    pub(super) object: Option<Carried<'a>>,
    pub(super) old_object: Option<&'a RawValue>,
}

/// An object of the request.
#[derive(Debug)]
pub(super) enum Carried<'a> {
    /// Not decoded yet.
    Text(&'a RawValue),
    /// Decoded as the kind that the resource names.
    Read(Box<Object<'a>>),
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Resource<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    group: Text<'a>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub(super) resource: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct UserInfo<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub(super) username: Text<'a>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub(super) groups: Vec<Text<'a>>,
}

/// The outer object, around a request that is read in one of two ways.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an AdmissionReview")]
struct Envelope<'a, R> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    request: Option<R>,
}

/// A request whose object is decoded with it, if its kind is known by then.
struct Whole<'a>(AdmissionRequest<'a>);

/// A request whose object stays text.
struct Apart<'a>(AdmissionRequest<'a>);

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Uid,
    Resource,
    SubResource,
    Name,
    Namespace,
    Operation,
    UserInfo,
    Object,
    OldObject,
    #[serde(other)]
    Other,
}

struct RequestVisitor {
    with_object: bool,
}

// === impl AdmissionReview ===

impl<'a> AdmissionReview<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, json::Error> {
        if let Ok(Envelope {
            api_version,
            kind,
            request,
        }) = json::from_slice::<Envelope<'a, Whole<'a>>>(body)
        {
            return Ok(Self {
                api_version,
                kind,
                request: request.map(|it| it.0),
            });
        }
        let Envelope {
            api_version,
            kind,
            request,
        } = json::from_slice::<Envelope<'a, Apart<'a>>>(body)?;
        Ok(Self {
            api_version,
            kind,
            request: request.map(|it| it.0),
        })
    }

    /// Where reading failed.
    pub(super) fn locate(body: &'a [u8]) -> Option<String> {
        json::locate::<Envelope<'a, Apart<'a>>>(body)
    }
}

// === impl AdmissionRequest ===

impl AdmissionRequest<'_> {
    /// The kind, if podgate judges it.
    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::from_resource(&self.resource.group, &self.resource.resource)
    }

    pub(super) fn operation(&self) -> Operation {
        match &*self.operation {
            "CREATE" => Operation::Create,
            "UPDATE" => Operation::Update,
            _ => Operation::Other,
        }
    }

    /// True for a namespace itself, not for its subresources.
    pub(super) fn is_namespace(&self) -> bool {
        let Resource { group, resource } = &self.resource;
        group.is_empty() && &**resource == "namespaces" && self.sub_resource.is_empty()
    }

    /// The kind, if the answer depends on the object at all.
    pub(super) fn judged(&self) -> Option<Kind> {
        self.kind().filter(|&kind| {
            !is_ignored(kind, &self.sub_resource) && self.operation() != Operation::Other
        })
    }
}

// === impl Field ===

impl Field {
    const NAMES: [&'static str; Self::Other as usize] = [
        "uid",
        "resource",
        "subResource",
        "name",
        "namespace",
        "operation",
        "userInfo",
        "object",
        "oldObject",
    ];
}

impl<'de: 'a, 'a> Deserialize<'de> for Whole<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(RequestVisitor { with_object: true })
            .map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Apart<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(RequestVisitor { with_object: false })
            .map(Self)
    }
}

// === impl RequestVisitor ===

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = AdmissionRequest<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut it = AdmissionRequest::default();
        let mut seen = [false; Field::Other as usize];
        while let Some(field) = map.next_key::<Field>()? {
            if let Some((seen, name)) = seen
                .get_mut(field as usize)
                .zip(Field::NAMES.get(field as usize))
                && std::mem::replace(seen, true)
            {
                return Err(A::Error::duplicate_field(name));
            }
            match field {
                Field::Uid => it.uid = text(&mut map)?,
                Field::Resource => it.resource = map.next_value::<Option<_>>()?.unwrap_or_default(),
                Field::SubResource => it.sub_resource = text(&mut map)?,
                Field::Name => it.name = text(&mut map)?,
                Field::Namespace => it.namespace = text(&mut map)?,
                Field::Operation => it.operation = text(&mut map)?,
                Field::UserInfo => {
                    it.user_info = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                Field::Object => {
                    it.object = match it.judged().filter(|_| self.with_object) {
                        Some(kind) => map
                            .next_value_seed(ObjectSeed(kind))?
                            .map(|it| Carried::Read(Box::new(it))),
                        None => map.next_value::<Option<&RawValue>>()?.map(Carried::Text),
                    };
                }
                Field::OldObject => it.old_object = map.next_value()?,
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(it)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Text<'de>, A::Error> {
    Ok(map.next_value::<Option<Text<'de>>>()?.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(request: &str) -> Result<String, json::Error> {
        let body = format!(r#"{{"apiVersion":"v","kind":"k","request":{request}}}"#);
        AdmissionReview::read(body.as_bytes()).map(|it| format!("{:?}", it.request.unwrap().object))
    }

    #[test]
    fn an_object_is_decoded_with_the_review_if_its_kind_is_known_by_then() {
        let known = r#"{"resource":{"group":"","resource":"pods"},"operation":"CREATE","object":{"spec":{"hostPID":true}}}"#;
        assert!(read(known).unwrap().starts_with("Some(Read("));
        let late = r#"{"object":{"spec":{"hostPID":true}},"resource":{"group":"","resource":"pods"},"operation":"CREATE"}"#;
        let other = r#"{"resource":{"group":"","resource":"nodes"},"operation":"CREATE","object":{"spec":{}}}"#;
        for apart in [late, other] {
            assert!(read(apart).unwrap().starts_with("Some(Text("), "{apart}");
        }
        let null =
            r#"{"resource":{"group":"","resource":"pods"},"operation":"CREATE","object":null}"#;
        assert_eq!(read(null).unwrap(), "None");
    }

    #[test]
    fn an_object_that_cannot_be_decoded_stays_text_and_the_review_is_read_all_the_same() {
        let wrong = r#"{"resource":{"group":"","resource":"pods"},"operation":"CREATE","object":{"spec":{"hostPID":7}}}"#;
        assert!(read(wrong).unwrap().starts_with("Some(Text("));
    }

    #[test]
    fn a_field_that_comes_twice_is_an_error() {
        for name in Field::NAMES {
            let error = read(&format!(r#"{{"{name}":null,"{name}":null}}"#)).unwrap_err();
            assert_eq!(error.to_string(), format!("duplicate field `{name}`"));
        }
        assert!(read(r#"{"new":1,"new":2}"#).is_ok(), "nobody reads it");
    }
}
