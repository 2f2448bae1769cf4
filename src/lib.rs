//! podgate: the gate in front of a Kubernetes cluster's Pods.

#[cfg(feature = "net")]
pub mod cli;
#[cfg(feature = "net")]
pub mod cluster;
#[cfg(feature = "net")]
pub mod server;
