//! Pod → container inheritance, in one place: what a container really gets, and where that came from.
//! The order is Kubernetes': the container's own field, then the Pod's, then the legacy annotation.

use std::ops::Bound;

use super::text::Text;
use super::view::{Container, PodView, Profile, SeLinuxOptions};

/// `container.apparmor.security.beta.kubernetes.io/<container>`: copied to the field when a Pod is created (≤ 1.37).
pub const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
/// `seccomp.security.alpha.kubernetes.io/pod`: without effect since 1.27.
pub const SECCOMP_POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// `container.seccomp.security.alpha.kubernetes.io/<container>`: without effect since 1.27.
pub const SECCOMP_CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Where an effective value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The container's own field.
    Container,
    /// `spec.securityContext`.
    Pod,
    /// A legacy annotation.
    Annotation,
}

/// A value a container really gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective<T> {
    /// The value.
    pub value: T,
    /// Where it was set.
    pub origin: Origin,
}

/// The container's own value if it has one, else the Pod's.
fn inherited<T>(own: Option<T>, pod: Option<T>) -> Option<Effective<T>> {
    let of = |origin| move |value| Effective { value, origin };
    own.map(of(Origin::Container))
        .or_else(|| pod.map(of(Origin::Pod)))
}

impl<'a> PodView<'a> {
    /// Effective `runAsNonRoot`.
    #[must_use]
    pub fn run_as_non_root(&self, container: &Container<'_>) -> Option<Effective<bool>> {
        inherited(
            container
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_non_root),
            self.spec
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_non_root),
        )
    }

    /// Effective `runAsUser`.
    #[must_use]
    pub fn run_as_user(&self, container: &Container<'_>) -> Option<Effective<i64>> {
        inherited(
            container
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_user),
            self.spec
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_user),
        )
    }

    /// Effective `runAsGroup`.
    #[must_use]
    pub fn run_as_group(&self, container: &Container<'_>) -> Option<Effective<i64>> {
        inherited(
            container
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_group),
            self.spec
                .security_context
                .as_ref()
                .and_then(|it| it.run_as_group),
        )
    }

    /// Effective `seLinuxOptions`: the whole object is inherited, not its fields.
    #[must_use]
    pub fn se_linux<'v>(
        &'v self,
        container: &'v Container<'a>,
    ) -> Option<Effective<&'v SeLinuxOptions<'a>>> {
        inherited(
            container
                .security_context
                .as_ref()
                .and_then(|it| it.se_linux_options.as_ref()),
            self.spec
                .security_context
                .as_ref()
                .and_then(|it| it.se_linux_options.as_ref()),
        )
    }

    /// Effective seccomp profile from the fields alone, as every API server since 1.27 and its kubelets see it.
    #[must_use]
    pub fn seccomp(&self, container: &Container<'a>) -> Option<Effective<Profile<'a>>> {
        inherited(
            container
                .security_context
                .as_ref()
                .and_then(|it| it.seccomp_profile.as_ref()),
            self.spec
                .security_context
                .as_ref()
                .and_then(|it| it.seccomp_profile.as_ref()),
        )
        .map(|it| Effective {
            value: it.value.clone(),
            origin: it.origin,
        })
    }

    /// The seccomp profile that the legacy annotations name for a container.
    #[must_use]
    pub fn seccomp_annotation(&self, container: &Container<'a>) -> Option<Profile<'a>> {
        self.annotation_of(SECCOMP_CONTAINER_ANNOTATION, container)
            .or_else(|| self.annotation(SECCOMP_POD_ANNOTATION))
            .map(Profile::from_annotation)
    }

    /// The annotation whose key is `prefix` and the container's name.
    fn annotation_of(&self, prefix: &str, container: &Container<'_>) -> Option<&Text<'a>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.metadata
            .annotations
            .range::<str, _>(from)
            .map_while(|(key, value)| Some((key.strip_prefix(prefix)?, value)))
            .find_map(|(name, value)| (*name == *container.name).then_some(value))
    }

    /// Effective AppArmor profile: the container's field, else its annotation (the API server copies it to the
    /// container's field even where the Pod has one), else the Pod's field.
    #[must_use]
    pub fn app_armor(&self, container: &Container<'a>) -> Option<Effective<Profile<'a>>> {
        let own = container
            .security_context
            .as_ref()
            .and_then(|it| it.app_armor_profile.as_ref());
        if let Some(value) = own {
            return Some(Effective {
                value: value.clone(),
                origin: Origin::Container,
            });
        }
        if let Some(value) = self.app_armor_annotation(container) {
            return Some(Effective {
                value,
                origin: Origin::Annotation,
            });
        }
        let pod = self
            .spec
            .security_context
            .as_ref()
            .and_then(|it| it.app_armor_profile.as_ref());
        pod.map(|value| Effective {
            value: value.clone(),
            origin: Origin::Pod,
        })
    }

    /// The AppArmor profile that the legacy annotation names for a container; an empty value names none.
    #[must_use]
    pub fn app_armor_annotation(&self, container: &Container<'a>) -> Option<Profile<'a>> {
        self.annotation_of(APP_ARMOR_ANNOTATION, container)
            .filter(|value| !value.is_empty())
            .map(Profile::from_annotation)
    }
}

// === impl Profile ===

impl<'a> Profile<'a> {
    /// `type: RuntimeDefault` and the like.
    #[must_use]
    pub fn of_type(kind: &'static str) -> Self {
        Self {
            kind: Text::from(kind),
            localhost_profile: None,
        }
    }

    /// What an annotation's value means. One that the API does not know has no type, and so is never an allowed one:
    /// not even `RuntimeDefault`, which is how the field spells it.
    #[must_use]
    pub fn from_annotation(value: &Text<'a>) -> Self {
        match &**value {
            "runtime/default" | "docker/default" => Self::of_type("RuntimeDefault"),
            "unconfined" => Self::of_type("Unconfined"),
            other => match other.strip_prefix("localhost/") {
                Some(path) => Self {
                    kind: Text::from("Localhost"),
                    localhost_profile: Some(Text::from(path.to_owned())),
                },
                None => Self::default(),
            },
        }
    }

    /// As policies write it: `RuntimeDefault`, `Unconfined`, `Localhost/profiles/a.json`.
    #[must_use]
    pub fn notation(&self) -> String {
        match &self.localhost_profile {
            Some(path) => format!("{}/{}", &*self.kind, &**path),
            None => self.kind.to_string(),
        }
    }
}
