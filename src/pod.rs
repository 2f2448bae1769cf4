//! From request bytes to the borrowed pod view.

pub mod json;
pub mod text;
