//! The formats that policies come in, one file each; all compile to the same [`PolicySet`](super::PolicySet).

pub mod pod_policy;
pub mod pod_security;
