//! The engine through its front door: `AdmissionReview` bytes in, `AdmissionReview` bytes out. No sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "engine/bad_input.rs"]
mod bad_input;
#[path = "engine/memory.rs"]
mod memory;
#[path = "engine/patch.rs"]
mod patch;
#[path = "engine/pod_security.rs"]
mod pod_security;
#[path = "engine/pod_security_openings.rs"]
mod pod_security_openings;
#[path = "engine/policy_files.rs"]
mod policy_files;
#[path = "engine/reference.rs"]
mod reference;
#[path = "engine/reviews.rs"]
mod reviews;
#[path = "engine/support.rs"]
mod support;
