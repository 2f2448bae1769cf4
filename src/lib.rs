//! podgate: the gate in front of a Kubernetes cluster's Pods.

#[cfg(feature = "net")]
pub mod cli;
pub mod document;
pub mod pod;
