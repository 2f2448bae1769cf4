//! Findings: one control broken at one place, said so that a person can act on it.

use crate::pod::effective::Origin;
use crate::pod::{Container, ContainerList, ContainerRef, Edit};

/// What the findings about one Pod may take in memory: a few thousand of them.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// There is more wrong with a Pod than podgate keeps: nothing can be said of it as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is more wrong with it than the {} MiB of findings that podgate keeps of one object; that is a limit of \
     podgate, not of a policy",
    MAX_BYTES / (1024 * 1024)
)]
pub struct TooMany;

/// One control broken at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The control's name.
    pub control: &'static str,
    /// The container, volume or Pod it is about.
    pub subject: Subject,
    /// The field below the subject, for example `securityContext.privileged`;
    /// for the Pod the whole path inside it, for example `spec.hostPID`.
    pub field: String,
    /// The value as it is, as a person would write it; `unset` if there is none.
    pub current: String,
    /// Where the value came from, if not from the field itself.
    pub origin: Option<Origin>,
    /// What is required, to be read after "must be": `false or unset`.
    pub required: String,
    /// What is wrong at that place, as the Pod has it, for readers that put it into words of their own: names that are
    /// added, a type, a port. Empty where the field says it all.
    pub values: Vec<String>,
    /// The change that mends it, if one can be told. It has not been tried yet: whoever shows it, tries it.
    pub fix: Option<Edit<'static>>,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The Pod as a whole.
    Pod,
    /// One container.
    Container {
        /// Where it sits.
        at: ContainerRef,
        /// Its name.
        name: String,
    },
    /// One volume.
    Volume {
        /// Position in `spec.volumes`.
        index: usize,
        /// Its name.
        name: String,
    },
}

/// See [`Finding::identity`].
pub type Identity<'f> = (
    &'static str,
    Option<ContainerList>,
    &'f str,
    &'f str,
    &'f str,
    &'f str,
);

/// The findings of the controls that have been checked so far.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    /// What those that were added take, drained ones too.
    bytes: usize,
}

// === impl Subject ===

impl Subject {
    /// The container as a subject.
    #[must_use]
    pub fn container(at: ContainerRef, container: &Container<'_>) -> Self {
        Self::Container {
            at,
            name: container.name.to_string(),
        }
    }

    /// The path of the subject inside the Pod; empty for the Pod.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Pod => String::new(),
            Self::Container { at, .. } => at.to_string(),
            Self::Volume { index, .. } => format!("spec.volumes[{index}]"),
        }
    }
}

// === impl Finding ===

impl Finding {
    /// A finding about the Pod or one of its parts.
    #[must_use]
    pub fn new(
        control: &'static str,
        subject: Subject,
        field: impl Into<String>,
        current: impl Into<String>,
        required: impl Into<String>,
    ) -> Self {
        Self {
            control,
            subject,
            field: field.into(),
            current: current.into(),
            origin: None,
            required: required.into(),
            values: Vec::new(),
            fix: None,
        }
    }

    /// What is wrong, as the Pod has it.
    #[must_use]
    pub fn values(mut self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values = values.into_iter().map(Into::into).collect();
        self
    }

    /// The change that mends it.
    #[must_use]
    pub fn fix(mut self, edit: Edit<'static>) -> Self {
        self.fix = Some(edit);
        self
    }

    /// Where the value came from, if not from the field itself.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The exact path inside the Pod.
    #[must_use]
    pub fn path(&self) -> String {
        let base = self.subject.path();
        match (base.is_empty(), self.field.is_empty()) {
            (true, _) => self.field.clone(),
            (_, true) => base,
            _ => format!("{base}.{}", self.field),
        }
    }

    /// What it takes in memory, but for its fix, which repeats its values.
    fn bytes(&self) -> usize {
        let name = match &self.subject {
            Subject::Pod => 0,
            Subject::Container { name, .. } | Subject::Volume { name, .. } => name.len(),
        };
        let values: usize = self
            .values
            .iter()
            .map(|it| size_of_val(it) + it.len())
            .sum();
        size_of::<Self>()
            + name
            + self.field.len()
            + self.current.len()
            + self.required.len()
            + values
    }

    /// What makes two findings the same: they say the same of the same thing. Positions do not count: a container or
    /// volume is known by its name, so that adding one in front of it changes nothing.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        let (part, name) = match &self.subject {
            Subject::Pod => (None, ""),
            Subject::Container { at, name } => (Some(at.list), name.as_str()),
            Subject::Volume { name, .. } => (None, name.as_str()),
        };
        (
            self.control,
            part,
            name,
            &self.field,
            &self.current,
            &self.required,
        )
    }
}

// === impl Findings ===

impl Findings {
    /// Adds one, unless they take too much: then all there is to know is [`Findings::checked`].
    pub fn push(&mut self, finding: Finding) {
        self.bytes += finding.bytes();
        if self.bytes <= MAX_BYTES {
            self.list.push(finding);
        }
    }

    /// That none is missing.
    ///
    /// # Errors
    /// If one was not added.
    pub fn checked(&self) -> Result<(), TooMany> {
        if self.bytes <= MAX_BYTES {
            Ok(())
        } else {
            Err(TooMany)
        }
    }

    /// All of them, in the order in which they were added.
    #[must_use]
    pub fn into_vec(self) -> Vec<Finding> {
        self.list
    }

    /// Takes them all out, in that order.
    pub fn drain(&mut self) -> impl Iterator<Item = Finding> {
        self.list.drain(..)
    }

    /// True if nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
