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

/// Which numbers a user or group may be, and whether there has to be one: what four controls have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The allowed numbers; `None` is any.
    pub ranges: Option<Ranges>,
    /// Whether there has to be one.
    pub rule: Rule,
}

/// The highest user or group id that the API server takes.
const MAX_ID: i64 = i32::MAX as i64;

/// Reads a user or group id, as the API server would take it.
pub fn id(node: &Node, problems: &mut Problems) -> Option<i64> {
    let id = i64::from_node(node, problems)?;
    if !(0..=MAX_ID).contains(&id) {
        problems.push(Problem::new(
            node.span,
            format!("{id} is no user or group id: those are 0 to {MAX_ID}"),
        ));
        return None;
    }
    Some(id)
}

// === impl Limits ===

impl Limits {
    /// One of the ranges, always.
    #[must_use]
    pub fn must(ranges: Ranges) -> Self {
        Self {
            ranges: Some(ranges),
            rule: Rule::Must,
        }
    }

    /// One of the ranges, if anything.
    #[must_use]
    pub fn may(ranges: Ranges) -> Self {
        Self {
            ranges: Some(ranges),
            rule: Rule::May,
        }
    }

    /// Reads `ranges` and `rule` over `base`.
    #[must_use]
    pub fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            ranges: fields.optional("ranges", problems).or(base.ranges),
            rule: fields.optional("rule", problems).unwrap_or(base.rule),
        }
    }

    /// The same for a control that is nothing without ranges.
    #[must_use]
    pub fn read_ranges(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let known = problems.len();
        let it = Self::read(base, fields, problems);
        if it.ranges.is_none() && problems.len() == known {
            problems.push(
                Problem::new(fields.span(), "without ranges nothing is checked")
                    .hint("say ranges: [{min: 1000, max: 65535}]"),
            );
        }
        it
    }

    /// True if the number is allowed.
    #[must_use]
    pub fn allow(&self, number: i64) -> bool {
        self.ranges.as_ref().is_none_or(|it| it.contains(number))
    }

    /// The least allowed number of the first range.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        self.ranges.as_ref().and_then(Ranges::first)
    }

    /// What is required, to be read after "must be".
    #[must_use]
    pub fn required(&self) -> String {
        match (&self.ranges, self.rule) {
            (Some(ranges), Rule::Must) => ranges.required(),
            (Some(ranges), Rule::May) => format!("{} or unset", ranges.required()),
            (None, Rule::Must) => "set".to_owned(),
            (None, Rule::May) => "anything".to_owned(),
        }
    }
}

// === impl Ranges ===

impl Ranges {
    /// To be read after "must be": `in 1-9, 20-29`, or a single number alone.
    #[must_use]
    pub fn required(&self) -> String {
        match self.0.as_slice() {
            [one] if one.min == one.max => one.min.to_string(),
            _ => format!("in {self}"),
        }
    }

    /// The least number but 0: a user who is not root.
    #[must_use]
    pub fn first_but_root(&self) -> Option<i64> {
        self.0
            .iter()
            .find(|range| range.max > 0)
            .map(|range| range.min.max(1))
    }

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
