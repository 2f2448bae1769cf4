//! Everything that talks to the API server. Knows nothing of policies or of serving.

pub mod client;
pub mod namespaces;
