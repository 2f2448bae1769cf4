//! podgate: the gate in front of a Kubernetes cluster's Pods.

#[cfg(feature = "net")]
pub mod cli;
#[cfg(feature = "net")]
pub mod cluster;
pub mod control;
pub mod decision;
#[cfg(feature = "net")]
pub mod doctor;
pub mod document;
pub mod output;
pub mod pod;
pub mod policy;
#[cfg(feature = "net")]
pub mod report;
pub mod review;
#[cfg(feature = "net")]
pub mod server;
