//! Ranges of numbers, as `PodSecurityPolicy` had them: inclusive at both ends.

use std::fmt;

use crate::document::{Fields, FromNode, Node, Problem, Problems};

/// `{min: 1000, max: 65535}`, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The lowest allowed.
    pub min: i64,
    /// The highest allowed.
    pub max: i64,
}

/// Several ranges; a number has to be in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(pub Vec<Range>);

/// Whether a value has to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rule {
    /// It has to be set, and to one of the ranges.
    Must,
    /// It may be left unset; if set, to one of the ranges.
    #[default]
    May,
}

// === impl Ranges ===

impl Ranges {
    /// True if one of the ranges holds the number.
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        self.0
            .iter()
            .any(|range| (range.min..=range.max).contains(&number))
    }

    /// What `PodSecurityPolicy` would have put in: the least number of the first range.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        self.0.first().map(|range| range.min)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if range.min == range.max {
                write!(f, "{}", range.min)?;
            } else {
                write!(f, "{}-{}", range.min, range.max)?;
            }
        }
        Ok(())
    }
}

// === impl FromNode ===

impl FromNode for Range {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let (min, max) = (
            fields.required("min", problems),
            fields.required("max", problems),
        );
        let span = fields.span();
        fields.finish(problems);
        let (min, max): (i64, i64) = (min?, max?);
        if min < 0 || min > max {
            problems.push(Problem::new(
                span,
                format!("the range {min}-{max} must have 0 <= min <= max"),
            ));
            return None;
        }
        Some(Self { min, max })
    }
}

impl FromNode for Ranges {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let list = Vec::<Range>::from_node(node, problems)?;
        if list.is_empty() {
            problems.push(
                Problem::new(node.span, "an empty list of ranges can hold no number")
                    .hint("leave the control out to allow any"),
            );
            return None;
        }
        Some(Self(list))
    }
}

impl FromNode for Rule {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        crate::document::one_of(
            node,
            "rule",
            &[("must", Self::Must), ("may", Self::May)],
            problems,
        )
    }
}
