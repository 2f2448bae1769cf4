//! What a plain YAML scalar means to Kubernetes.
//!
//! `sigs.k8s.io/yaml` resolves with the YAML 1.1 rules of go-yaml v2 (`resolve.go`), so a manifest must be read by
//! the same rules or a verdict here is not the verdict in the cluster: octal `0644`, `yes`/`no`/`on`/`off`/`y`/`n`,
//! underscores in numbers. Dates stay strings, sexagesimal numbers do not exist.

use std::borrow::Cow;

use super::node::{Value, write_float};

/// What an explicit `!!tag` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag<'t> {
    /// None given: a plain scalar is resolved, a quoted one is a string.
    None,
    /// `tag:yaml.org,2002:…`: the part after the colon.
    Core(&'t str),
    /// Any other tag: the text is taken as it is.
    Other,
}

/// The value of a scalar, or what is wrong with its tag.
pub(super) fn resolve(text: &str, plain: bool, tag: Tag<'_>) -> Result<Value, String> {
    match tag {
        Tag::None if plain => Ok(resolve_plain(text)),
        Tag::None | Tag::Other | Tag::Core("str" | "timestamp") => {
            Ok(Value::String(text.to_owned()))
        }
        Tag::Core(name) => resolve_as(text, name),
    }
}

/// The name of a key that is not a string, as Kubernetes makes a string of it; none for null and collections.
pub(super) fn key_name(value: Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => {
            let mut name = String::new();
            write_float(&mut name, value);
            Some(name)
        }
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

fn resolve_as(text: &str, name: &str) -> Result<Value, String> {
    let value = resolve_plain(text);
    match (name, value) {
        ("float", Value::Int(value)) => Ok(Value::Float(to_float(value))),
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(_))
        | ("int", value @ Value::Int(_))
        | ("float", value @ Value::Float(_)) => Ok(value),
        ("null" | "bool" | "int" | "float", _) => Err(format!("{text:?} is no !!{name}")),
        _ => Err(format!("the tag !!{name} is not supported here")),
    }
}

fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        _ => resolve_number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn resolve_number(text: &str) -> Option<Value> {
    let digits = match text.as_bytes().first()? {
        b'0'..=b'9' | b'+' | b'-' if text.contains('_') => Cow::Owned(text.replace('_', "")),
        b'0'..=b'9' | b'+' | b'-' | b'.' => Cow::Borrowed(text),
        _ => return None,
    };
    resolve_int(&digits).or_else(|| resolve_float(&digits))
}

fn resolve_int(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, radix) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&unsigned[2..], 16),
        [b'0', b'o' | b'O', ..] => (&unsigned[2..], 8),
        [b'0', b'b' | b'B', ..] => (&unsigned[2..], 2),
        [b'0', _, ..] => (&unsigned[1..], 8),
        _ => (unsigned, 10),
    };
    // `from_str_radix` would take a second sign.
    if digits.is_empty()
        || !digits
            .bytes()
            .all(|digit| char::from(digit).is_digit(radix))
    {
        return None;
    }
    let Ok(size) = i128::from_str_radix(digits, radix) else {
        return (radix == 10).then(|| text.parse().ok().map(Value::Float))?;
    };
    let value = if text.starts_with('-') { -size } else { size };
    #[allow(
        clippy::cast_precision_loss,
        reason = "beyond i64 only the size matters"
    )]
    Some(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and not beyond what a float can hold.
fn resolve_float(text: &str) -> Option<Value> {
    let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !(whole.is_empty() && fraction.is_empty());
    let has_exponent =
        exponent.is_none_or(|exponent| !exponent.is_empty() && only_digits(exponent));
    if !(has_digits && has_exponent && only_digits(whole) && only_digits(fraction)) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .map(Value::Float)
}

#[allow(clippy::cast_precision_loss, reason = "the tag !!float asks for it")]
fn to_float(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubernetes() {
        let string = |text: &str| Value::String(text.to_owned());
        for (text, expected) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("Null", Value::Null),
            ("nULL", string("nULL")),
            ("yes", Value::Bool(true)),
            ("y", Value::Bool(true)),
            ("On", Value::Bool(true)),
            ("NO", Value::Bool(false)),
            ("off", Value::Bool(false)),
            ("oFF", string("oFF")),
            ("0", Value::Int(0)),
            ("-0", Value::Int(0)),
            ("0644", Value::Int(420)),
            ("-0644", Value::Int(-420)),
            ("0o644", Value::Int(420)),
            ("0x1A", Value::Int(26)),
            ("0b101", Value::Int(5)),
            ("+7", Value::Int(7)),
            ("1_000", Value::Int(1000)),
            ("_1", string("_1")),
            ("089", Value::Float(89.0)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            (
                "9223372036854775808",
                Value::Float(9_223_372_036_854_775_808.0),
            ),
            ("1.5", Value::Float(1.5)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            ("-1.5E-3", Value::Float(-0.0015)),
            (".inf", Value::Float(f64::INFINITY)),
            ("-.INF", Value::Float(f64::NEG_INFINITY)),
            ("1e999", string("1e999")),
            ("1e", string("1e")),
            (".", string(".")),
            ("-", string("-")),
            ("+-1", string("+-1")),
            ("--1", string("--1")),
            ("0x", string("0x")),
            ("0x-1", string("0x-1")),
            ("1.2.3", string("1.2.3")),
            ("v1.37", string("v1.37")),
            ("12:30:45", string("12:30:45")),
            ("2027-06-30", string("2027-06-30")),
            ("inf", string("inf")),
            ("nan", string("nan")),
            ("infinity", string("infinity")),
            ("500m", string("500m")),
            ("1e1e1", string("1e1e1")),
            ("é", string("é")),
            ("+é", string("+é")),
            ("0é", string("0é")),
        ] {
            assert_eq!(resolve(text, true, Tag::None), Ok(expected), "{text:?}");
        }
        assert!(
            matches!(resolve(".NaN", true, Tag::None), Ok(Value::Float(value)) if value.is_nan())
        );
    }

    #[test]
    fn quotes_and_tags_override_the_look_of_a_scalar() {
        let string = |text: &str| Ok(Value::String(text.to_owned()));
        for (text, plain, tag, expected) in [
            ("0644", false, Tag::None, string("0644")),
            ("yes", true, Tag::Core("str"), string("yes")),
            ("5", false, Tag::Core("int"), Ok(Value::Int(5))),
            ("5", true, Tag::Core("float"), Ok(Value::Float(5.0))),
            ("yes", false, Tag::Core("bool"), Ok(Value::Bool(true))),
            ("", true, Tag::Core("null"), Ok(Value::Null)),
            ("5", true, Tag::Other, string("5")),
            (
                "2027-06-30",
                true,
                Tag::Core("timestamp"),
                string("2027-06-30"),
            ),
            (
                "x",
                true,
                Tag::Core("int"),
                Err("\"x\" is no !!int".to_owned()),
            ),
            (
                "1.5",
                true,
                Tag::Core("int"),
                Err("\"1.5\" is no !!int".to_owned()),
            ),
            (
                "aGk=",
                true,
                Tag::Core("binary"),
                Err("the tag !!binary is not supported here".to_owned()),
            ),
        ] {
            assert_eq!(resolve(text, plain, tag), expected, "{text:?} {tag:?}");
        }
    }

    #[test]
    fn keys_are_named_as_in_the_json_that_kubernetes_makes() {
        for (text, name) in [
            ("on", Some("true")),
            ("8080", Some("8080")),
            ("0644", Some("420")),
            ("1.50", Some("1.5")),
            ("~", None),
            ("a", Some("a")),
        ] {
            assert_eq!(key_name(resolve_plain(text)).as_deref(), name, "{text}");
        }
    }
}
