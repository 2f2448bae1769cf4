//! podgate: the gate in front of a Kubernetes cluster's Pods.

pub mod document;
pub mod pod;
