//! What a list of objects tells of each beside its Pod: who it is, and whose.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::json;
use super::text::{Text, null_default};

/// One object of a list, without what controls read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct Listed<'a> {
    /// Who it is, and whose.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub metadata: Identity<'a>,
    /// What has become of it.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub status: Status<'a>,
}

/// The metadata of [`Listed`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Identity<'a> {
    /// Its name.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
    /// Its namespace; empty for what is in none.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub namespace: Text<'a>,
    /// Its uid.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub uid: Text<'a>,
    /// Its labels.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub labels: BTreeMap<Text<'a>, Text<'a>>,
    /// All owners.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub owner_references: Vec<Owner<'a>>,
}

/// An owner.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Owner<'a> {
    /// `apps/v1`
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub api_version: Text<'a>,
    /// `ReplicaSet`
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub kind: Text<'a>,
    /// Its name.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
    /// Its uid.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub uid: Text<'a>,
    /// True for the one that manages the object.
    pub controller: Option<bool>,
}

/// The status of [`Listed`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(expecting = "an object")]
pub struct Status<'a> {
    /// Of a Pod: `Running`, `Succeeded`.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub phase: Text<'a>,
}

// === impl Listed ===

impl<'a> Listed<'a> {
    /// Decodes one item of a list.
    ///
    /// # Errors
    /// If it is not JSON, or one of these fields has a wrong type.
    pub fn decode(json: &'a str) -> Result<Self, json::Error> {
        json::from_str(json)
    }

    /// The owner that manages it.
    #[must_use]
    pub fn controller(&self) -> Option<&Owner<'a>> {
        self.metadata
            .owner_references
            .iter()
            .find(|it| it.controller == Some(true))
    }

    /// True of a Pod whose containers have all ended for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(&*self.status.phase, "Succeeded" | "Failed")
    }
}
