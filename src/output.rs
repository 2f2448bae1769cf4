//! Findings and decisions as people and machines read them; one wording everywhere.

pub mod csv;
pub mod diagnosis;
pub mod group;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod pod_security;
pub mod rejection;
pub mod results;
pub mod sarif;
pub mod table;
pub mod text;
pub mod warning;

use crate::pod::Kind;

/// What the object is called in messages.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its kind, on which paths depend.
    pub kind: Kind,
    /// Its namespace; empty if unknown.
    pub namespace: &'a str,
    /// Its name; for one that has none yet, what its name will begin with.
    pub name: &'a str,
    /// The kind and name of its controller.
    pub owner: Option<(&'a str, &'a str)>,
}

impl std::fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text::title(self.kind.name(), self.namespace, self.name))
    }
}
