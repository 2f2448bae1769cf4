//! podgate in front of a real API server; `cluster/harness.rs` says how.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cluster {
    #[allow(
        dead_code,
        unused_imports,
        reason = "shared with the example, and offered to tests to come"
    )]
    mod harness;

    mod audit;
    mod cert_manager;
    mod certificates;
    mod clients;
    mod doctor;
    mod events;
    mod example_run;
    mod gate;
    mod helm;
    mod install;
    mod manifests;
    mod objects;
    mod pod_security;
    mod smoke;
    mod validation;
    mod webhooks;
}
