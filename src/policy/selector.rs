//! Label selectors, as Kubernetes has them.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::document::{Fields, FromNode, Node, Problem, Problems, one_of};

/// `matchLabels` and `matchExpressions`; all of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

// === impl LabelSelector ===

impl LabelSelector {
    /// True if the labels satisfy every requirement; an empty selector selects everything.
    #[must_use]
    pub fn matches<K, V>(&self, labels: &BTreeMap<K, V>) -> bool
    where
        K: Borrow<str> + Ord,
        V: std::ops::Deref<Target = str>,
    {
        self.requirements.iter().all(|it| {
            let value: Option<&str> = labels.get(it.key.as_str()).map(|value| &**value);
            let listed = || value.is_some_and(|value| it.values.iter().any(|one| one == value));
            match it.operator {
                Operator::In => listed(),
                Operator::NotIn => !listed(),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

// === impl FromNode ===

impl FromNode for LabelSelector {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, problems)?;
        let labels: BTreeMap<String, String> =
            fields.optional("matchLabels", problems).unwrap_or_default();
        let expressions: Vec<Requirement> = fields
            .optional("matchExpressions", problems)
            .unwrap_or_default();
        fields.finish(problems);
        let mut requirements: Vec<_> = labels
            .into_iter()
            .map(|(key, value)| Requirement {
                key,
                operator: Operator::In,
                values: vec![value],
            })
            .collect();
        requirements.extend(expressions);
        for (index, one) in requirements.iter().enumerate() {
            for two in &requirements[index + 1..] {
                if one.key == two.key && one.excludes(two) {
                    problems.push(Problem::new(
                        node.span,
                        format!("the selector can match nothing: its requirements on \"{}\" contradict each other", one.key),
                    ));
                }
            }
        }
        Some(Self { requirements })
    }
}

impl Requirement {
    /// True if no labels can satisfy both.
    fn excludes(&self, other: &Self) -> bool {
        use Operator::{DoesNotExist, Exists, In, NotIn};
        match (self.operator, other.operator) {
            (In, In) => !self.values.iter().any(|value| other.values.contains(value)),
            (In, NotIn) => self.values.iter().all(|value| other.values.contains(value)),
            (NotIn, In) => other.excludes(self),
            (In | Exists, DoesNotExist) | (DoesNotExist, In | Exists) => true,
            _ => false,
        }
    }
}

impl FromNode for Requirement {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        const OPERATORS: &[(&str, Operator)] = &[
            ("In", Operator::In),
            ("NotIn", Operator::NotIn),
            ("Exists", Operator::Exists),
            ("DoesNotExist", Operator::DoesNotExist),
        ];
        let mut fields = Fields::of(node, problems)?;
        let key = fields.required::<String>("key", problems);
        let operator = fields
            .node("operator")
            .and_then(|it| one_of(it, "operator", OPERATORS, problems));
        let values: Vec<String> = fields.optional("values", problems).unwrap_or_default();
        let span = fields.span();
        fields.finish(problems);
        let Some(operator) = operator else {
            if node.get("operator").is_none() {
                problems.push(
                    Problem::new(span, "missing field \"operator\"")
                        .hint("In, NotIn, Exists or DoesNotExist"),
                );
            }
            return None;
        };
        let wants_values = matches!(operator, Operator::In | Operator::NotIn);
        if wants_values == values.is_empty() {
            let what = if wants_values {
                "needs at least one value"
            } else {
                "takes no values"
            };
            problems.push(Problem::new(
                span,
                format!("the operator {operator:?} {what}"),
            ));
            return None;
        }
        Some(Self {
            key: key?,
            operator,
            values,
        })
    }
}
