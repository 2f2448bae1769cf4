//! The nine kinds that carry Pods, and where in each of them the Pod sits.

/// A built-in kind that podgate judges: a Pod, or a workload that carries a pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Pod itself.
    Pod,
    /// `v1 ReplicationController`.
    ReplicationController,
    /// `v1 PodTemplate`.
    PodTemplate,
    /// `apps/v1 ReplicaSet`.
    ReplicaSet,
    /// `apps/v1 Deployment`.
    Deployment,
    /// `apps/v1 StatefulSet`.
    StatefulSet,
    /// `apps/v1 DaemonSet`.
    DaemonSet,
    /// `batch/v1 Job`.
    Job,
    /// `batch/v1 CronJob`.
    CronJob,
}

/// What a kind is called in each place a user may meet it.
struct Names {
    kind: Kind,
    group: &'static str,
    name: &'static str,
    resource: &'static str,
    /// From the object to its pod template; empty for a Pod.
    template: &'static [&'static str],
}

const TEMPLATE: &[&str] = &["spec", "template"];

const KINDS: [Names; 9] = [
    Names {
        kind: Kind::Pod,
        group: "",
        name: "Pod",
        resource: "pods",
        template: &[],
    },
    Names {
        kind: Kind::ReplicationController,
        group: "",
        name: "ReplicationController",
        resource: "replicationcontrollers",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::PodTemplate,
        group: "",
        name: "PodTemplate",
        resource: "podtemplates",
        template: &["template"],
    },
    Names {
        kind: Kind::ReplicaSet,
        group: "apps",
        name: "ReplicaSet",
        resource: "replicasets",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::Deployment,
        group: "apps",
        name: "Deployment",
        resource: "deployments",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::StatefulSet,
        group: "apps",
        name: "StatefulSet",
        resource: "statefulsets",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::DaemonSet,
        group: "apps",
        name: "DaemonSet",
        resource: "daemonsets",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::Job,
        group: "batch",
        name: "Job",
        resource: "jobs",
        template: TEMPLATE,
    },
    Names {
        kind: Kind::CronJob,
        group: "batch",
        name: "CronJob",
        resource: "cronjobs",
        template: &["spec", "jobTemplate", "spec", "template"],
    },
];

// === impl Kind ===

impl Kind {
    /// By API group and plural resource name, as an `AdmissionReview` names it.
    #[must_use]
    pub fn from_resource(group: &str, resource: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|names| names.resource == resource && names.group == group)
            .map(|names| names.kind)
    }

    /// By `apiVersion` and `kind`, as a manifest names it. Only the served versions are known.
    #[must_use]
    pub fn from_type(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        KINDS
            .iter()
            .find(|names| names.name == kind && names.group == group && version == "v1")
            .map(|names| names.kind)
    }

    fn names(self) -> &'static Names {
        // The table is in the order of the enum; a test holds them together.
        &KINDS[self as usize]
    }

    /// As in `kind:`, for example `Deployment`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().name
    }

    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        self.names().group
    }

    /// The plural that the API's paths and an `AdmissionReview` use, for example `deployments`.
    #[must_use]
    pub fn resource(self) -> &'static str {
        self.names().resource
    }

    /// The plural with its group, as the API server's errors say it: `deployments.apps`, `pods`.
    #[must_use]
    pub fn group_resource(self) -> String {
        match self.group() {
            "" => self.resource().to_owned(),
            group => format!("{}.{group}", self.resource()),
        }
    }

    /// True for everything but a Pod.
    #[must_use]
    pub fn is_workload(self) -> bool {
        self != Self::Pod
    }

    /// The field names from the object to its pod template: empty for a Pod.
    #[must_use]
    pub fn template(self) -> &'static [&'static str] {
        self.names().template
    }

    /// A path inside the Pod as a path inside the object, for example
    /// `spec.containers[0]` in a Deployment is `spec.template.spec.containers[0]`.
    #[must_use]
    pub fn path(self, path: &str) -> String {
        let mut out = self.template().join(".");
        if !out.is_empty() && !path.is_empty() {
            out.push('.');
        }
        out.push_str(path);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, names) in KINDS.iter().enumerate() {
            assert_eq!(names.kind as usize, index, "{}", names.name);
            assert_eq!(
                Kind::from_resource(names.group, names.resource),
                Some(names.kind)
            );
        }
    }

    #[test]
    fn paths_are_those_of_the_submitted_kind() {
        assert_eq!(Kind::Pod.path("spec.hostPID"), "spec.hostPID");
        assert_eq!(
            Kind::Deployment.path("spec.hostPID"),
            "spec.template.spec.hostPID"
        );
        assert_eq!(
            Kind::PodTemplate.path("spec.hostPID"),
            "template.spec.hostPID"
        );
        assert_eq!(
            Kind::CronJob.path("spec.hostPID"),
            "spec.jobTemplate.spec.template.spec.hostPID"
        );
    }

    #[test]
    fn a_kind_is_known_by_its_served_version_only() {
        assert_eq!(Kind::from_type("v1", "Pod"), Some(Kind::Pod));
        assert_eq!(
            Kind::from_type("apps/v1", "Deployment"),
            Some(Kind::Deployment)
        );
        assert_eq!(Kind::from_type("extensions/v1beta1", "Deployment"), None);
        assert_eq!(Kind::from_type("v1", "Deployment"), None);
    }
}
