//! Whom a policy concerns.

use std::collections::BTreeMap;

use crate::control::profile::matches_glob;
use crate::document::{Fields, FromNode, Node, Problem, Problems, one_of};
use crate::pod::{PodView, Text};

use super::selector::LabelSelector;

/// The `match` of a policy: everything is optional, all that is given must hold. An empty list asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// Globs.
    pub namespaces: Vec<String>,
    /// Globs; stronger than `namespaces`.
    pub exclude_namespaces: Vec<String>,
    /// On the namespace's labels.
    pub namespace_selector: Option<LabelSelector>,
    /// On the Pod's or the template's labels.
    pub pod_selector: Option<LabelSelector>,
    /// Globs on the Pod's own service account: `name`, or `namespace/name`.
    pub service_accounts: Vec<String>,
    /// Globs on the requester's name.
    pub users: Vec<String>,
    /// Globs; one of the requester's groups.
    pub groups: Vec<String>,
    /// The Pod's `spec.os.name`; without one it counts as Linux.
    pub operating_system: Option<OperatingSystem>,
}

/// `linux` or `windows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Also a Pod that names none.
    Linux,
    /// A Pod that says so.
    Windows,
}

/// What matching looks at.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    /// The namespace's name.
    pub namespace: &'a str,
    /// Its labels; `None` if they cannot be known.
    pub namespace_labels: Option<&'a BTreeMap<String, String>>,
    /// The requester; empty if it cannot be known.
    pub user: &'a str,
    /// The requester's groups.
    pub groups: &'a [Text<'a>],
    /// The Pod or template.
    pub pod: &'a PodView<'a>,
}

// === impl Match ===

impl Match {
    /// True if the policy concerns the Pod. Namespace labels and a requester that cannot be known count as matching: a
    /// policy is never left out for want of knowledge.
    #[must_use]
    pub fn selects(&self, it: &Selected<'_>) -> bool {
        let any = |globs: &[String], text: &str| globs.iter().any(|glob| matches_glob(glob, text));
        let open_or = |globs: &[String], text: &str| globs.is_empty() || any(globs, text);
        open_or(&self.namespaces, it.namespace)
            && !any(&self.exclude_namespaces, it.namespace)
            && self.selects_service_account(it)
            && (it.user.is_empty() || self.selects_requester(it))
            && self
                .operating_system
                .is_none_or(|os| (os == OperatingSystem::Windows) == it.pod.is_windows())
            && self
                .pod_selector
                .as_ref()
                .is_none_or(|selector| selector.matches(&it.pod.metadata.labels))
            && self.namespace_selector.as_ref().is_none_or(|selector| {
                it.namespace_labels
                    .is_none_or(|labels| selector.matches(labels))
            })
    }

    fn selects_requester(&self, it: &Selected<'_>) -> bool {
        let any = |globs: &[String], text: &str| globs.iter().any(|glob| matches_glob(glob, text));
        (self.users.is_empty() || any(&self.users, it.user))
            && (self.groups.is_empty() || it.groups.iter().any(|group| any(&self.groups, group)))
    }

    fn selects_service_account(&self, it: &Selected<'_>) -> bool {
        if self.service_accounts.is_empty() {
            return true;
        }
        let name = it
            .pod
            .spec
            .service_account_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or("default");
        self.service_accounts
            .iter()
            .any(|glob| match glob.split_once('/') {
                Some((namespace, account)) => {
                    matches_glob(namespace, it.namespace) && matches_glob(account, name)
                }
                None => matches_glob(glob, name),
            })
    }
}

impl FromNode for Match {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        const SYSTEMS: &[(&str, OperatingSystem)] = &[
            ("linux", OperatingSystem::Linux),
            ("windows", OperatingSystem::Windows),
        ];
        let mut fields = Fields::of(node, problems)?;
        let mut list = |name| {
            fields
                .optional::<Vec<String>>(name, problems)
                .unwrap_or_default()
        };
        let (namespaces, exclude_namespaces) = (list("namespaces"), list("excludeNamespaces"));
        let (service_accounts, users, groups) =
            (list("serviceAccounts"), list("users"), list("groups"));
        let it = Self {
            namespaces,
            exclude_namespaces,
            namespace_selector: fields.optional("namespaceSelector", problems),
            pod_selector: fields.optional("podSelector", problems),
            service_accounts,
            users,
            groups,
            operating_system: fields
                .node("operatingSystem")
                .and_then(|node| one_of(node, "operating system", SYSTEMS, problems)),
        };
        fields.finish(problems);
        let excluded = |name: &String| {
            it.exclude_namespaces
                .iter()
                .any(|glob| glob == name || (!name.contains('*') && matches_glob(glob, name)))
        };
        let none_left = !it.namespaces.is_empty() && it.namespaces.iter().all(excluded);
        if none_left || it.exclude_namespaces.iter().any(|glob| glob == "*") {
            problems.push(Problem::new(
                node.span,
                "the policy can match nothing: every namespace is excluded",
            ));
        }
        Some(it)
    }
}
