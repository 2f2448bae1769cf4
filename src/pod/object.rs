//! An object that carries a Pod: the Pod itself, or the pod template inside a workload.

use serde::de::{Deserialize, DeserializeSeed, Deserializer};

use super::view::Metadata;
use super::{Kind, PodView, json};

/// A decoded object.
#[derive(Debug)]
pub struct Object<'a> {
    /// The object's own metadata; a Pod's is in its view.
    pub metadata: Option<Metadata<'a>>,
    /// The Pod or template; `None` for a workload without a template.
    pub pod: Option<PodView<'a>>,
}

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}{source}", .path.as_ref().map(|it| format!("{it}: ")).unwrap_or_default())]
pub struct ObjectError {
    /// Which field, if it can be told.
    path: Option<String>,
    #[source]
    source: json::Error,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct Templated<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    spec: Option<TemplatedSpec<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct TemplatedSpec<'a> {
    #[serde(borrow)]
    template: Option<PodView<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct PodTemplate<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    template: Option<PodView<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct CronJob<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    spec: Option<CronJobSpec<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct CronJobSpec<'a> {
    #[serde(borrow)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct JobTemplate<'a> {
    #[serde(borrow)]
    spec: Option<TemplatedSpec<'a>>,
}

/// Reads an object of that kind, or `null`, from any deserializer.
pub(crate) struct ObjectSeed(pub(crate) Kind);

// === impl Object ===

impl<'a> Object<'a> {
    /// Decodes an object of that kind.
    ///
    /// # Errors
    /// If it is not JSON, or a field that podgate reads has a wrong type.
    pub fn decode(kind: Kind, json: &'a str) -> Result<Self, ObjectError> {
        match kind {
            Kind::Pod => decode::<PodView<'a>>(json).map(Self::from),
            Kind::PodTemplate => decode::<PodTemplate<'a>>(json).map(Self::from),
            Kind::CronJob => decode::<CronJob<'a>>(json).map(Self::from),
            _ => decode::<Templated<'a>>(json).map(Self::from),
        }
    }
}

impl<'a> From<PodView<'a>> for Object<'a> {
    fn from(pod: PodView<'a>) -> Self {
        Self {
            metadata: None,
            pod: Some(pod),
        }
    }
}

impl<'a> From<PodTemplate<'a>> for Object<'a> {
    fn from(it: PodTemplate<'a>) -> Self {
        Self {
            metadata: it.metadata,
            pod: it.template,
        }
    }
}

impl<'a> From<CronJob<'a>> for Object<'a> {
    fn from(it: CronJob<'a>) -> Self {
        let job = it.spec.and_then(|it| it.job_template);
        Self {
            metadata: it.metadata,
            pod: job.and_then(|it| it.spec).and_then(|it| it.template),
        }
    }
}

impl<'a> From<Templated<'a>> for Object<'a> {
    fn from(it: Templated<'a>) -> Self {
        Self {
            metadata: it.metadata,
            pod: it.spec.and_then(|it| it.template),
        }
    }
}

fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ObjectError> {
    json::from_str(json).map_err(|source| ObjectError {
        path: json::locate::<T>(json.as_bytes()),
        source,
    })
}

// === impl ObjectSeed ===

impl<'de> DeserializeSeed<'de> for ObjectSeed {
    type Value = Option<Object<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        fn read<'de, T, D>(deserializer: D) -> Result<Option<Object<'de>>, D::Error>
        where
            T: Deserialize<'de>,
            D: Deserializer<'de>,
            Object<'de>: From<T>,
        {
            Ok(Option::<T>::deserialize(deserializer)?.map(Object::from))
        }
        match self.0 {
            Kind::Pod => read::<PodView<'de>, _>(deserializer),
            Kind::PodTemplate => read::<PodTemplate<'de>, _>(deserializer),
            Kind::CronJob => read::<CronJob<'de>, _>(deserializer),
            _ => read::<Templated<'de>, _>(deserializer),
        }
    }
}
