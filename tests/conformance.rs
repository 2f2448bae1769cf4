//! podgate beside Pod Security Admission's own code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod conformance {
    mod differential;
    mod oracle;
}
