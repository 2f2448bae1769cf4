//! The check that property tests and the fuzz target share: any body, against `serde_json`.
//!
//! Where both decoders accept, the values are equal. `from_slice_strict` accepts nothing that
//! `serde_json` refuses. What only podgate refuses is bad UTF-8 or too deep nesting where
//! `serde_json` does not look, or a list in the place of a struct.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{self, Code, Error};

/// A pod view in small: borrowed text, every kind of field, most of a review skipped.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Review<'a> {
    #[serde(borrow)]
    kind: Option<&'a str>,
    #[serde(borrow)]
    pub request: Option<Request<'a, Object<'a>>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub struct Request<'a, T> {
    #[serde(borrow)]
    uid: Option<&'a str>,
    operation: Option<Operation>,
    dry_run: Option<bool>,
    pub object: Option<T>,
    old_object: Option<T>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct Object<'a> {
    metadata: Option<Metadata>,
    #[serde(borrow)]
    pub spec: Option<Spec<'a>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Metadata {
    name: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    generation: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec<'a> {
    host_network: Option<bool>,
    termination_grace_period_seconds: Option<i64>,
    priority: Option<f64>,
    #[serde(borrow, default)]
    pub containers: Vec<Container<'a>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    #[serde(borrow)]
    pub name: &'a str,
    image: Option<String>,
    security_context: Option<SecurityContext>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecurityContext {
    privileged: Option<bool>,
    run_as_user: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RawReview<'a> {
    #[serde(borrow)]
    request: Option<Request<'a, &'a RawValue>>,
}

/// A value that can be wanted of a body, and when two of it are the same.
trait Wanted<'de>: Deserialize<'de> + Debug {
    fn same(&self, other: &Self) -> bool;
}

// === impl Wanted ===

impl<'de> Wanted<'de> for Review<'de> {
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl<'de> Wanted<'de> for RawReview<'de> {
    fn same(&self, other: &Self) -> bool {
        let texts = |review: &Self| {
            let request = review.request.as_ref()?;
            let text = |raw: Option<&'de RawValue>| raw.map(RawValue::get);
            Some((request.uid, text(request.object), text(request.old_object)))
        };
        texts(self) == texts(other)
    }
}

impl<'de> Wanted<'de> for &'de RawValue {
    fn same(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Wanted<'_> for IgnoredAny {
    fn same(&self, _: &Self) -> bool {
        true
    }
}

/// The only type with floats of any size: `serde_json` may be a few last bits off there.
impl Wanted<'_> for Value {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                let same = |((k, a), (l, b)): ((_, &Self), (_, _))| k == l && a.same(b);
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (Value::Number(a), Value::Number(b)) => a == b || near(a.as_f64(), b.as_f64()),
            _ => self == other,
        }
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    a.is_sign_negative() == b.is_sign_negative() && (a - b).abs() <= a.abs() * 1e-14 + 1e-300
}

/// Panics where podgate and `serde_json` disagree about `body`.
pub fn check(body: &[u8]) {
    // Nothing is skipped in a `Value`: the same bodies are accepted, and fail in `locate` too.
    compare::<Value>(body, false);
    compare::<IgnoredAny>(body, true);
    compare::<&RawValue>(body, true);
    compare::<RawReview<'_>>(body, true);
    compare::<Review<'_>>(body, true);
}

fn compare<'de, T: Wanted<'de>>(body: &'de [u8], skips: bool) {
    let reference = serde_json::from_slice::<T>(body);
    let strict = json::from_slice_strict::<T>(body);
    let local = json::from_slice::<T>(body);
    for (name, ours, may_accept_more) in [("strict", &strict, false), ("local", &local, skips)] {
        match (ours, &reference) {
            (Ok(ours), Ok(reference)) => {
                assert!(
                    ours.same(reference),
                    "{name}: {ours:?} is not {reference:?}"
                );
            }
            (Ok(ours), Err(error)) => {
                assert!(
                    may_accept_more,
                    "{name} takes as {ours:?} what fails with {error}"
                );
            }
            (Err(error), Ok(reference)) => {
                assert!(is_stricter(error), "{name} refuses {reference:?}: {error}");
            }
            (Err(_), Err(_)) => {}
        }
        if let Err(error) = ours {
            assert!(error.offset() <= body.len(), "{name}: {error} has no place");
            assert!(
                !error.to_string().is_empty(),
                "{name}: {:?} has no text",
                error.code()
            );
        }
    }
    if local.is_ok() && strict.is_ok() {
        assert_eq!(json::locate::<T>(body), None);
    }
}

fn is_stricter(error: &Error) -> bool {
    match error.code() {
        Code::Utf8 | Code::Depth => true,
        Code::Type => error
            .to_string()
            .starts_with("invalid type: list, expected struct"),
        _ => false,
    }
}
