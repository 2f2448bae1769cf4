//! Plain Rust values from nodes.
//!
//! Every reader returns `None` after it has pushed a problem, never silently, and reads on behind an error.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::node::{Entry, Node, Value};
use super::problem::{Problem, Problems, quoted};
use super::scalar::{self, Tag};

/// What can be read from a node.
pub trait FromNode: Sized {
    /// `None` means that a problem was pushed.
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self>;
}

// === impl FromNode ===

impl FromNode for bool {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => refuse(
                problems,
                needs_no_quotes(Problem::mismatch("a boolean", node), node, |value| {
                    matches!(value, Value::Bool(_))
                }),
            ),
        }
    }
}

impl FromNode for String {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::String(text) => Some(text.clone()),
            _ => refuse(
                problems,
                needs_quotes(Problem::mismatch("a string", node), node),
            ),
        }
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            let problem = Problem::mismatch("a list", node);
            return refuse(
                problems,
                match &node.value {
                    Value::String(text) if text.len() < 40 => {
                        problem.hint(format!("a list of one is written [{}]", quoted(text)))
                    }
                    _ => problem,
                },
            );
        };
        // Collecting into an option would stop at the first problem.
        let read: Vec<Option<T>> = items
            .iter()
            .map(|item| T::from_node(item, problems))
            .collect();
        read.into_iter().collect()
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, problems)?;
        let read: Vec<_> = fields
            .entries()
            .iter()
            .map(|Entry { key, value }| {
                T::from_node(value, problems).map(|value| (key.name.clone(), value))
            })
            .collect();
        read.into_iter().collect()
    }
}

impl FromNode for f64 {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Float(value) => Some(value),
            #[allow(
                clippy::cast_precision_loss,
                reason = "whoever asks for a float gets one"
            )]
            Value::Int(value) => Some(value as f64),
            _ => refuse(
                problems,
                needs_no_quotes(Problem::mismatch("a number", node), node, |value| {
                    matches!(value, Value::Int(_) | Value::Float(_))
                }),
            ),
        }
    }
}

macro_rules! integer_from_node {
    ($($integer:ty: $range:literal),*) => {$(
        impl FromNode for $integer {
            fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
                match whole(&node.value).map(Self::try_from) {
                    Some(Ok(value)) => Some(value),
                    Some(Err(_)) => refuse(problems, Problem::mismatch(concat!("an integer ", $range), node)),
                    None => refuse(problems, needs_no_quotes(Problem::mismatch("an integer", node), node, |value| whole(value).is_some())),
                }
            }
        }
    )*};
}

integer_from_node! {
    u8: "from 0 to 255",
    u16: "from 0 to 65535",
    u32: "from 0 to 4294967295",
    usize: "not below 0",
    i32: "from -2147483648 to 2147483647",
    i64: "of 64 bits"
}

/// Pushes a problem, as the value of whoever finds it.
pub(super) fn refuse<T>(problems: &mut Problems, problem: Problem) -> Option<T> {
    problems.push(problem);
    None
}

/// Adds the way out for a word or number that was meant as a string.
pub(super) fn needs_quotes(problem: Problem, node: &Node) -> Problem {
    match node.value {
        Value::Bool(_) => {
            problem.hint("put it in quotes: yes, no, on, off, true and false are booleans in YAML")
        }
        Value::Int(_) | Value::Float(_) => problem.hint("put it in quotes"),
        _ => problem,
    }
}

/// Adds the way out for a string that would be right without its quotes.
fn needs_no_quotes(problem: Problem, node: &Node, is_right: fn(&Value) -> bool) -> Problem {
    match node
        .as_str()
        .map(|text| scalar::resolve(text, true, Tag::None))
    {
        Some(Ok(value)) if is_right(&value) => problem.hint("remove the quotes"),
        _ => problem,
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "checked to be whole, and far from the limits of i128"
        )]
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e30 => Some(*value as i128),
        _ => None,
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot parse its own fixture should stop there"
)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read<T: FromNode>(text: &str) -> Result<T, Vec<(String, Option<String>)>> {
        let node = parse(&format!("v: {text}")).unwrap().remove(0);
        let mut problems = Problems::new();
        let value = T::from_node(node.get("v").unwrap(), &mut problems);
        value.ok_or_else(|| {
            problems
                .into_vec()
                .into_iter()
                .map(|problem| (problem.message, problem.hint))
                .collect()
        })
    }

    fn refused<T: FromNode + std::fmt::Debug>(text: &str) -> (String, Option<String>) {
        read::<T>(text).unwrap_err().remove(0)
    }

    #[test]
    fn reads_what_is_there() {
        assert_eq!(read::<bool>("yes"), Ok(true));
        assert_eq!(read::<i64>("-0644"), Ok(-420));
        assert_eq!(read::<i64>("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read::<u16>("1e3"), Ok(1000));
        assert_eq!(read::<u32>("4294967295"), Ok(u32::MAX));
        assert_eq!(read::<f64>("2"), Ok(2.0));
        assert_eq!(read::<String>("'0644'"), Ok("0644".to_owned()));
        assert_eq!(
            read::<Vec<String>>("[a, b]"),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(read::<Vec<bool>>("[]"), Ok(Vec::new()));
        assert_eq!(
            read::<BTreeMap<String, i64>>("{b: 2, a: 1}"),
            Ok(BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]))
        );
    }

    #[test]
    fn says_what_it_expected_and_how_to_get_there() {
        let booleans =
            Some("put it in quotes: yes, no, on, off, true and false are booleans in YAML");
        for ((message, hint), expected, expected_hint) in [
            (
                refused::<bool>("yes please"),
                "expected a boolean, found the string \"yes please\"",
                None,
            ),
            (
                refused::<bool>("'true'"),
                "expected a boolean, found the string \"true\"",
                Some("remove the quotes"),
            ),
            (
                refused::<bool>("1"),
                "expected a boolean, found the number 1",
                None,
            ),
            (
                refused::<bool>("'1'"),
                "expected a boolean, found the string \"1\"",
                None,
            ),
            (
                refused::<i64>("'1000'"),
                "expected an integer, found the string \"1000\"",
                Some("remove the quotes"),
            ),
            (
                refused::<i64>("1.5"),
                "expected an integer, found the number 1.5",
                None,
            ),
            (
                refused::<i64>("9223372036854775808"),
                "expected an integer of 64 bits, found the number 9223372036854776000",
                None,
            ),
            (
                refused::<u16>("65536"),
                "expected an integer from 0 to 65535, found the number 65536",
                None,
            ),
            (
                refused::<u32>("-1"),
                "expected an integer from 0 to 4294967295, found the number -1",
                None,
            ),
            (
                refused::<f64>("x"),
                "expected a number, found the string \"x\"",
                None,
            ),
            (
                refused::<String>("1.37"),
                "expected a string, found the number 1.37",
                Some("put it in quotes"),
            ),
            (
                refused::<String>("on"),
                "expected a string, found the boolean true",
                booleans,
            ),
            (refused::<String>(""), "expected a string, found null", None),
            (
                refused::<Vec<String>>("ALL"),
                "expected a list, found the string \"ALL\"",
                Some("a list of one is written [\"ALL\"]"),
            ),
            (
                refused::<Vec<String>>("{}"),
                "expected a list, found a mapping",
                None,
            ),
            (
                refused::<BTreeMap<String, bool>>("[]"),
                "expected a mapping, found a list",
                None,
            ),
            (
                refused::<BTreeMap<String, bool>>(""),
                "expected a mapping, found null",
                Some("an empty mapping is written {}"),
            ),
        ] {
            assert_eq!(
                (message.as_str(), hint.as_deref()),
                (expected, expected_hint)
            );
        }
    }

    #[test]
    fn reads_on_behind_an_error() {
        assert_eq!(read::<Vec<i64>>("[1, x, 2, y, [z]]").unwrap_err().len(), 3);
        assert_eq!(
            read::<BTreeMap<String, Vec<bool>>>("{a: 1, b: [x, yes, y], c: [2, 3]}")
                .unwrap_err()
                .len(),
            4
        );
    }
}
