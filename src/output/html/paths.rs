//! Paths that differ only in which container of a list they are about, as one: `spec.containers[0,2-5].image`.

use std::collections::BTreeMap;

use crate::output::group::ranges;

/// As many paths as are needed, in the order of the first of each.
pub(super) fn joined<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut order = Vec::new();
    let mut indices: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for path in paths {
        let (around, index) = split(path);
        let of_it = indices.entry(around).or_insert_with(|| {
            order.push(around);
            Vec::new()
        });
        of_it.extend(index);
    }
    let join = |around @ (before, behind)| {
        let mut of_it = indices.remove(&around).unwrap_or_default();
        of_it.sort_unstable();
        of_it.dedup();
        format!("{before}{}{behind}", ranges(&of_it))
    };
    order.into_iter().map(join).collect()
}

/// What is before and behind the index of the container, and that; a path without one is all before.
fn split(path: &str) -> ((&str, &str), Option<usize>) {
    for list in ["containers[", "initContainers[", "ephemeralContainers["] {
        let Some(at) = path.find(list) else { continue };
        if at > 0 && !path[..at].ends_with('.') {
            continue;
        }
        let (before, rest) = path.split_at(at + list.len());
        let Some(end) = rest.find(']') else { continue };
        // A number that is not written as we would write it stays what it is.
        let index = rest[..end].parse().ok();
        if index.is_some_and(|it: usize| it.to_string() == rest[..end]) {
            return ((before, &rest[end..]), index);
        }
    }
    ((path, ""), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_one_list_are_one_path() {
        for (paths, expected) in [
            (vec![], vec![]),
            (vec!["spec.hostPID"], vec!["spec.hostPID"]),
            (vec!["spec.hostPID"; 2], vec!["spec.hostPID"]),
            (
                vec![
                    "spec.containers[3].image",
                    "spec.initContainers[0].image",
                    "spec.containers[0].image",
                    "spec.containers[2].image",
                    "spec.containers[1].ports[0].hostPort",
                    "spec.containers[1].image",
                ],
                vec![
                    "spec.containers[0-3].image",
                    "spec.initContainers[0].image",
                    "spec.containers[1].ports[0].hostPort",
                ],
            ),
            (
                vec![
                    "containers[01].a",
                    "containers[x].a",
                    "containers[",
                    "containers[]",
                    "containers[1",
                ],
                vec![
                    "containers[01].a",
                    "containers[x].a",
                    "containers[",
                    "containers[]",
                    "containers[1",
                ],
            ),
        ] {
            assert_eq!(joined(paths), expected);
        }
    }
}
