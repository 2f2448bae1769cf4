//! What a list of objects tells of each beside its Pod: who it is, and whose.

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
}

/// The metadata of [`Listed`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Identity<'a> {
    /// Its name.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub name: Text<'a>,
    /// All owners.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub owner_references: Vec<Owner<'a>>,
}

/// An owner.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct Owner<'a> {
    /// Its uid.
    #[serde(borrow, default, deserialize_with = "null_default")]
    pub uid: Text<'a>,
    /// True for the one that manages the object.
    pub controller: Option<bool>,
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
}
