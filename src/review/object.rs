//! The object of a review: a Pod, or the pod template inside a workload.

use serde::Deserialize;

use crate::pod::view::Metadata;
use crate::pod::{Kind, PodView, json};

/// A decoded object.
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

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Templated<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    spec: Option<TemplatedSpec<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct TemplatedSpec<'a> {
    #[serde(borrow)]
    template: Option<PodView<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct PodTemplate<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    template: Option<PodView<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct CronJob<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    spec: Option<CronJobSpec<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct CronJobSpec<'a> {
    #[serde(borrow)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct JobTemplate<'a> {
    #[serde(borrow)]
    spec: Option<TemplatedSpec<'a>>,
}

// === impl Object ===

impl<'a> Object<'a> {
    /// Decodes an object of that kind.
    ///
    /// # Errors
    /// If it is not JSON, or a field that podgate reads has a wrong type.
    pub fn decode(kind: Kind, json: &'a str) -> Result<Self, ObjectError> {
        Ok(match kind {
            Kind::Pod => Self {
                metadata: None,
                pod: Some(decode::<PodView<'a>>(json)?),
            },
            Kind::PodTemplate => {
                let it = decode::<PodTemplate<'a>>(json)?;
                Self {
                    metadata: it.metadata,
                    pod: it.template,
                }
            }
            Kind::CronJob => {
                let it = decode::<CronJob<'a>>(json)?;
                let template = it
                    .spec
                    .and_then(|it| it.job_template)
                    .and_then(|it| it.spec)
                    .and_then(|it| it.template);
                Self {
                    metadata: it.metadata,
                    pod: template,
                }
            }
            _ => {
                let it = decode::<Templated<'a>>(json)?;
                Self {
                    metadata: it.metadata,
                    pod: it.spec.and_then(|it| it.template),
                }
            }
        })
    }
}

fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ObjectError> {
    json::from_str(json).map_err(|source| ObjectError {
        path: json::locate::<T>(json.as_bytes()),
        source,
    })
}
