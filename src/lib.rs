//! podgate: the gate in front of a Kubernetes cluster's Pods.

#[cfg(feature = "net")]
pub mod cli;
pub mod control;
pub mod decision;
pub mod document;
pub mod output;
pub mod pod;
pub mod policy;
pub mod review;
