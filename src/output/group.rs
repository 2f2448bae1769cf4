//! Findings that say the same of several containers become one item.

use crate::control::Subject;
use crate::decision::Judged;
use crate::pod::effective::Origin;
use crate::pod::{ContainerList, Kind};
use crate::policy::Policy;

use super::text::{MAX_VALUE, clean, quoted};

/// One item of a message: one control, broken in the same way at one or more places.
pub struct Group<'d, 's> {
    /// At least one.
    pub members: Vec<&'d Judged<'s>>,
}

/// Findings that are merged at the most; beyond it each is an item of its own, so that a Pod made to have very many
/// costs no more time than it is worth.
const MAX_MERGED: usize = 1000;

/// Containers that are named where room is scarce.
const MAX_NAMES: usize = 3;

/// Merges findings that differ only in the container; the order stays that of the first of each.
pub fn group<'d, 's>(findings: impl IntoIterator<Item = &'d Judged<'s>>) -> Vec<Group<'d, 's>> {
    let mut groups: Vec<Group<'d, 's>> = Vec::new();
    for (count, judged) in findings.into_iter().enumerate() {
        match groups
            .iter_mut()
            .find(|group| count < MAX_MERGED && group.takes(judged))
        {
            Some(group) => group.members.push(judged),
            None => groups.push(Group {
                members: vec![judged],
            }),
        }
    }
    groups
}

// === impl Group ===

impl<'d, 's> Group<'d, 's> {
    /// The first member, which speaks for all but its place.
    #[must_use]
    pub fn first(&self) -> &'d Judged<'s> {
        self.members[0]
    }

    fn takes(&self, other: &Judged<'_>) -> bool {
        let first = self.first();
        let (one, two) = (&first.finding, &other.finding);
        matches!(
            (&one.subject, &two.subject),
            (Subject::Container { .. }, Subject::Container { .. })
        ) && one.control == two.control
            && one.field == two.field
            && one.current == two.current
            && one.required == two.required
            && one.origin == two.origin
            && first.mode == other.mode
            && first.existed == other.existed
            && first.fix_is_proven == other.fix_is_proven
            && one.fix.as_ref().map(|it| &it.change) == two.fix.as_ref().map(|it| &it.change)
            && is_same(&first.policies, &other.policies)
            && is_same(&first.pod_policies, &other.pod_policies)
    }

    /// Who is meant: `containers "a", "b": `; nothing for the Pod as a whole.
    #[must_use]
    pub fn who(&self) -> String {
        self.who_of(usize::MAX)
    }

    /// As [`Self::who`], where room is scarce: `containers "a", "b", "c" and 37 more: `.
    #[must_use]
    pub fn who_briefly(&self) -> String {
        self.who_of(MAX_NAMES)
    }

    fn who_of(&self, most: usize) -> String {
        match &self.first().finding.subject {
            Subject::Pod => String::new(),
            Subject::Volume { name, .. } => format!("volume \"{}\": ", clean(name, MAX_VALUE)),
            Subject::Container { .. } => {
                let names: Vec<&str> = self
                    .members
                    .iter()
                    .filter_map(|it| match &it.finding.subject {
                        Subject::Container { name, .. } => Some(name.as_str()),
                        _ => None,
                    })
                    .collect();
                let noun = if names.len() == 1 {
                    "container"
                } else {
                    "containers"
                };
                let shown = quoted(names.iter().copied().take(most));
                match names.len().saturating_sub(most) {
                    0 => format!("{noun} {shown}: "),
                    more => format!("{noun} {shown} and {more} more: "),
                }
            }
        }
    }

    /// The exact path for this kind; several containers of one list as `spec.containers[0,2-5].…`.
    #[must_use]
    pub fn path(&self, kind: Kind) -> String {
        let finding = &self.first().finding;
        if self.members.len() == 1 {
            return clean(&kind.path(&finding.path()), 400);
        }
        let mut places: Vec<(ContainerList, Vec<usize>)> = Vec::new();
        for member in &self.members {
            let Subject::Container { at, .. } = &member.finding.subject else {
                continue;
            };
            match places.iter_mut().find(|(list, _)| *list == at.list) {
                Some((_, indices)) => indices.push(at.index),
                None => places.push((at.list, vec![at.index])),
            }
        }
        let paths: Vec<String> = places
            .iter()
            .map(|(list, indices)| {
                kind.path(&format!(
                    "spec.{}[{}].{}",
                    list.field(),
                    ranges(indices),
                    finding.field
                ))
            })
            .collect();
        paths.join(" and ")
    }

    /// `PATH is CURRENT (from spec.securityContext); must be REQUIRED`.
    #[must_use]
    pub fn statement(&self, kind: Kind) -> String {
        let finding = &self.first().finding;
        let origin = match finding.origin {
            None | Some(Origin::Container) => String::new(),
            Some(Origin::Pod) => format!(" (from {})", kind.path("spec.securityContext")),
            Some(Origin::Annotation) => " (from its legacy annotation)".to_owned(),
        };
        format!(
            "{} is {}{origin}; must be {}",
            self.path(kind),
            clean(&finding.current, MAX_VALUE),
            clean(&finding.required, 3 * MAX_VALUE)
        )
    }

    /// The YAML that mends it, if it has been proven.
    #[must_use]
    pub fn fix(&self, kind: Kind) -> Option<String> {
        let judged = self.first();
        let fix = judged
            .finding
            .fix
            .as_ref()
            .filter(|_| judged.fix_is_proven)?;
        let yaml = fix.yaml();
        // A Pod's path starts at `spec`; a container's starts at the container, which the item names.
        Some(match yaml.strip_prefix("spec") {
            Some(rest) => format!("{}{rest}", kind.path("spec")),
            None => yaml,
        })
    }
}

/// Ascending numbers, three or more in a row as a range: `0,1,4-7`.
pub(super) fn ranges(numbers: &[usize]) -> String {
    numbers
        .chunk_by(|one, next| one + 1 == *next)
        .map(|run| match run {
            [first, _, .., last] => format!("{first}-{last}"),
            few => few
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(","),
        })
        .collect::<Vec<_>>()
        .join(",")
}

fn is_same(one: &[&Policy], two: &[&Policy]) -> bool {
    one.iter()
        .map(|it| &it.name)
        .eq(two.iter().map(|it| &it.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_or_more_in_a_row_are_a_range() {
        for (numbers, expected) in [
            (vec![3], "3"),
            (vec![0, 1], "0,1"),
            (vec![0, 1, 2], "0-2"),
            (vec![0, 2, 3, 5, 6, 7, 8, 10], "0,2,3,5-8,10"),
        ] {
            assert_eq!(ranges(&numbers), expected);
        }
    }
}
