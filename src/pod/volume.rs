//! Volumes: every source that is set on one, known or not.
//! A source podgate has never heard of is kept by name, so that a control can refuse it instead of overlooking it.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::text::{Text, null_default};

/// One entry of `spec.volumes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Volume<'a> {
    /// What mounts refer to.
    pub name: Text<'a>,
    /// The source; `None` if none is set (the API server fills in `emptyDir` before admission).
    pub source: Option<Source<'a>>,
    /// Sources beyond the first, which API validation refuses but podgate judges all the same.
    pub more: Vec<Source<'a>>,
}

/// Where a volume's content comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source<'a> {
    /// A path of the node.
    HostPath(Text<'a>),
    /// An inline CSI volume, with its driver.
    Csi(Text<'a>),
    /// A FlexVolume, with its driver.
    FlexVolume(Text<'a>),
    /// Any other source that Kubernetes 1.37 knows, by its field name.
    Known(&'static str),
    /// A source podgate does not know, by its field name.
    Unknown(Text<'a>),
}

/// Every volume source of Kubernetes 1.37, by field name.
pub const TYPES: [&str; 31] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
    UNKNOWN,
];

/// Fields of one volume; the API defines a name and as many sources as [`TYPES`] has.
const MAX_FIELDS: usize = 64;

/// How a source that podgate does not know is called; never a name that a policy can allow.
pub const UNKNOWN: &str = "unknown";

#[derive(Deserialize, Default)]
#[serde(expecting = "an object")]
struct Driver<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    driver: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(expecting = "an object")]
struct Path<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    path: Text<'a>,
}

struct VolumeVisitor;

// === impl Volume ===

impl<'a> Volume<'a> {
    /// Every source that is set, in the order of the text.
    pub fn sources(&self) -> impl Iterator<Item = &Source<'a>> {
        self.source.iter().chain(&self.more)
    }

    fn push(&mut self, source: Source<'a>) {
        if self.source.is_none() {
            self.source = Some(source);
        } else {
            self.more.push(source);
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Volume<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VolumeVisitor)
    }
}

// === impl Source ===

impl Source<'_> {
    /// The field name of the source, or `unknown`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HostPath(_) => "hostPath",
            Self::Csi(_) => "csi",
            Self::FlexVolume(_) => "flexVolume",
            Self::Known(name) => name,
            Self::Unknown(_) => UNKNOWN,
        }
    }

    /// The field name as the Pod has it.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            known => known.kind(),
        }
    }
}

// === impl VolumeVisitor ===

impl<'de> Visitor<'de> for VolumeVisitor {
    type Value = Volume<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a volume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Volume<'de>, A::Error> {
        let mut volume = Volume::default();
        let mut named = false;
        let mut fields = 0;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            fields += 1;
            if fields > MAX_FIELDS {
                return Err(serde::de::Error::custom(format_args!(
                    "a volume of more than {MAX_FIELDS} fields; podgate reads no more, whatever the policies say"
                )));
            }
            if volume.sources().any(|source| source.field() == &*key) || (named && &*key == "name")
            {
                return Err(serde::de::Error::custom(format_args!(
                    "duplicate field `{}`",
                    &*key
                )));
            }
            match &*key {
                "name" => {
                    named = true;
                    volume.name = map.next_value::<Option<Text<'de>>>()?.unwrap_or_default();
                }
                "hostPath" => {
                    if let Some(it) = map.next_value::<Option<Path<'de>>>()? {
                        volume.push(Source::HostPath(it.path));
                    }
                }
                "csi" => {
                    if let Some(it) = map.next_value::<Option<Driver<'de>>>()? {
                        volume.push(Source::Csi(it.driver));
                    }
                }
                "flexVolume" => {
                    if let Some(it) = map.next_value::<Option<Driver<'de>>>()? {
                        volume.push(Source::FlexVolume(it.driver));
                    }
                }
                other => {
                    if map.next_value::<Option<serde::de::IgnoredAny>>()?.is_some() {
                        volume.push(
                            match TYPES
                                .iter()
                                .find(|&&known| known == other && known != UNKNOWN)
                            {
                                Some(known) => Source::Known(known),
                                None => Source::Unknown(key),
                            },
                        );
                    }
                }
            }
        }
        Ok(volume)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn volume(json: &str) -> Volume<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_source_that_is_set_is_seen() {
        let it = volume(r#"{"name":"a","emptyDir":{},"hostPath":{"path":"/"}}"#);
        assert_eq!(
            it.sources().map(Source::kind).collect::<Vec<_>>(),
            ["emptyDir", "hostPath"]
        );
    }

    #[test]
    fn a_null_source_is_not_set() {
        assert_eq!(volume(r#"{"name":"a","hostPath":null}"#).source, None);
    }

    #[test]
    fn an_unknown_source_is_kept_by_name() {
        let it = volume(r#"{"name":"a","quantumFoam":{"x":[1]}}"#);
        assert_eq!(it.source, Some(Source::Unknown(Text::from("quantumFoam"))));
        assert_eq!(
            volume(r#"{"name":"a","unknown":{}}"#)
                .source
                .as_ref()
                .map(Source::kind),
            Some(UNKNOWN)
        );
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        for json in [
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","secret":{},"secret":{}}"#,
        ] {
            assert!(serde_json::from_str::<Volume<'_>>(json).is_err(), "{json}");
        }
    }
}
