//! The versions of the API server and of kubelets, against what podgate and its policies rely on.

use std::collections::BTreeMap;

use super::{Case, named, unread};
use crate::output::diagnosis::Observation;
use crate::policy::PolicySet;
use crate::policy::level::Version;

pub(super) const API_SERVER: &str = "api-server";
pub(super) const KUBELETS: &str = "kubelets";

/// What podgate's registration needs, and the first minor version that has it.
const FEATURES: [(usize, &str); 2] = [
    (
        30,
        "matchConditions of webhooks are stable from v1.30 on: before, updates that change nothing may all be sent to podgate",
    ),
    (33, "pods/resize is served from v1.33 on"),
];
/// What can be injected, and the first minor version whose kubelets and API server know the field.
const INJECTED: [(&str, usize); 3] = [
    ("seccompProfile", 19),
    ("appArmorProfile", 30),
    ("hostUsers", 33),
];
/// How far a kubelet may be behind its API server.
const SKEW: usize = 3;

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let version = match &case.snapshot.api_server {
        Err(why) => {
            seen.push(unread(API_SERVER, "API server", why));
            None
        }
        Ok(version) => {
            api_server(case, version, seen);
            minor(version)
        }
    };
    kubelets(case, version, seen);
}

/// The minor version in `v1.37.2`.
pub(super) fn minor(version: &str) -> Option<usize> {
    let rest = version.strip_prefix("v1.")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What the policies inject, each once.
pub(super) fn injected(case: &Case<'_>) -> Vec<&'static str> {
    let policies = case.set.into_iter().flat_map(PolicySet::policies);
    let mut names: Vec<&'static str> = policies
        .flat_map(|it| &it.injections)
        .map(|(_, it)| it.name())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn api_server(case: &Case<'_>, version: &str, seen: &mut Vec<Observation>) {
    let place = "API server";
    let Some(found) = minor(version) else {
        seen.push(Observation::unknown(
            API_SERVER,
            place,
            format!("its version is {version}, which says nothing"),
        ));
        return;
    };
    let before = seen.len();
    let known = Version::LATEST.minor();
    if found > known {
        let what = format!("it is {version}, and podgate knows Kubernetes up to v1.{known}");
        seen.push(
            Observation::note(API_SERVER, place, what)
                .why("what is new in it is not permitted: a kind of volume that podgate does not know is rejected")
                .fix("update podgate"),
        );
    }
    for (since, what) in FEATURES {
        if found < since {
            seen.push(Observation::note(
                API_SERVER,
                place,
                format!("it is {version}: {what}"),
            ));
        }
    }
    for (field, since) in INJECTED {
        if found < since && injected(case).contains(&field) {
            let what = format!(
                "it is {version}, and policies inject {field}, which is there from v1.{since} on"
            );
            seen.push(
                Observation::warning(API_SERVER, place, what)
                    .why("the API server drops the field: the Pod runs without it")
                    .fix("take the injection out, or update the cluster"),
            );
        }
    }
    if seen.len() == before {
        seen.push(Observation::ok(
            API_SERVER,
            place,
            format!("it is {version}, podgate knows up to v1.{known}"),
        ));
    }
}

fn kubelets(case: &Case<'_>, api_server: Option<usize>, seen: &mut Vec<Observation>) {
    let place = "kubelets";
    let nodes = match &case.snapshot.nodes {
        Err(why) => {
            seen.push(unread(KUBELETS, place, why));
            return;
        }
        Ok(nodes) => nodes,
    };
    let mut by_minor: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for node in nodes {
        let info = node.status.as_ref().and_then(|it| it.node_info.as_ref());
        let found = info.and_then(|it| minor(&it.kubelet_version));
        if let Some(found) = found {
            let name = node.metadata.name.clone().unwrap_or_default();
            by_minor.entry(found).or_default().push(name);
        }
    }
    let Some((&oldest, on)) = by_minor.first_key_value() else {
        seen.push(Observation::note(
            KUBELETS,
            place,
            "there are no nodes that say which version they are",
        ));
        return;
    };
    let before = seen.len();
    for (field, since) in INJECTED {
        if oldest < since && injected(case).contains(&field) {
            let what = format!(
                "v1.{oldest} on {}, and policies inject {field}, which kubelets know from v1.{since} on",
                named(on)
            );
            seen.push(
                Observation::warning(KUBELETS, place, what)
                    .why("such a kubelet runs the Pod without it")
                    .fix("update these nodes, or take the injection out"),
            );
        }
    }
    if let Some(api_server) = api_server
        && oldest + SKEW < api_server
    {
        let what = format!(
            "v1.{oldest} on {}, and the API server is v1.{api_server}",
            named(on)
        );
        seen.push(
            Observation::warning(KUBELETS, place, what)
                .why("Kubernetes supports kubelets up to three minor versions behind")
                .fix("update these nodes"),
        );
    }
    if seen.len() == before {
        seen.push(Observation::ok(
            KUBELETS,
            place,
            format!("the oldest is v1.{oldest}"),
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Case, cases, inject, kubelet};
    use super::minor;

    #[test]
    fn versions_that_lack_something_are_named() {
        cases(&[
            Case::new(
                |it| it.api_server = Ok("v1.99.0".to_owned()),
                "note api-server: API server: it is v1.99.0, and podgate knows Kubernetes up to v1.",
            ),
            Case::new(
                |it| it.api_server = Ok("v1.29.4-eks-1".to_owned()),
                "note api-server: API server: it is v1.29.4-eks-1: matchConditions",
            ),
            Case::new(
                |it| it.api_server = Ok("dev".to_owned()),
                "unknown api-server: API server: its version is dev",
            ),
            Case::new(
                |it| {
                    it.api_server = Ok("v1.29.0".to_owned());
                    inject(it, "appArmorProfile: RuntimeDefault");
                },
                "warning api-server: API server: it is v1.29.0, and policies inject appArmorProfile",
            ),
            Case::new(
                |it| {
                    kubelet(it, 0, "v1.32.0");
                    inject(it, "hostUsers: false");
                },
                "warning kubelets: kubelets: v1.32 on n1, and policies inject hostUsers",
            ),
            Case::new(
                |it| kubelet(it, 1, "v1.30.0"),
                "warning kubelets: kubelets: v1.30 on n2, and the API server is v1.37",
            ),
            Case::new(
                |it| it.nodes = Ok(Vec::new()),
                "note kubelets: kubelets: there are no nodes",
            ),
        ]);
    }

    #[test]
    fn a_minor_version_is_read_from_what_vendors_write() {
        assert_eq!(minor("v1.33.1-gke.100"), Some(33));
        assert_eq!(minor("v1.8+x"), Some(8));
        assert_eq!(minor("1.33"), None);
    }
}
