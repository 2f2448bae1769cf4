//! The flags by which Pod Security labels go further than upstream's.

use clap::{Args, ValueEnum};

use crate::policy::Options;
use crate::policy::source::pod_security::Templates;

/// What is different where Pod Security labels count. None of it is the default, which is to differ in nothing.
#[derive(Args, Clone, Copy, Debug)]
#[allow(clippy::struct_field_names, reason = "flags are flat")]
pub struct PodSecurityArgs {
    /// What a workload is told whose Pods the labels would reject: nothing but its audit and warn labels, as upstream;
    /// that its Pods will be rejected; or that it is rejected itself
    #[arg(
        long,
        env = "PODGATE_POD_SECURITY_WORKLOADS",
        value_enum,
        default_value_t = OfWorkloads::Upstream
    )]
    pub pod_security_workloads: OfWorkloads,

    /// Of a Pod that gets an ephemeral container, judge only that one, so that an old one, or the Pod itself, does not
    /// keep `kubectl debug` out for ever
    #[arg(long, env = "PODGATE_POD_SECURITY_ADDED_ONLY")]
    pub pod_security_added_only: bool,

    /// Go on after upstream's line of a rejection: what, where, and how to mend it
    #[arg(long, env = "PODGATE_POD_SECURITY_EXPLAIN")]
    pub pod_security_explain: bool,
}

/// What a workload is told whose Pods would be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OfWorkloads {
    /// Nothing
    Upstream,
    /// That its Pods will be rejected
    Warn,
    /// That it is rejected
    Enforce,
}

// === impl PodSecurityArgs ===

impl PodSecurityArgs {
    /// For [`PolicySet::with_pod_security_options`](crate::policy::PolicySet::with_pod_security_options).
    #[must_use]
    pub fn options(self) -> Options {
        let Self {
            pod_security_workloads,
            pod_security_added_only,
            pod_security_explain,
        } = self;
        Options {
            workloads: match pod_security_workloads {
                OfWorkloads::Upstream => Templates::Upstream,
                OfWorkloads::Warn => Templates::Warn,
                OfWorkloads::Enforce => Templates::Enforce,
            },
            added_only: pod_security_added_only,
            explain: pod_security_explain,
        }
    }
}
