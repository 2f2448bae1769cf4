//! podgate: the gate in front of a Kubernetes cluster's Pods.

#[cfg(feature = "net")]
pub mod cli;
pub mod control;
pub mod decision;
pub mod document;
pub mod pod;
pub mod policy;
