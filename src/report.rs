//! What runs in a cluster, judged: the scan, its roll-up to owners, and whether it is complete.
//!
//! Pods are judged as they are, templates as if injection had run, both by the same `decide` as in a review. What is
//! kept follows what is found and how many workloads there are, not how many Pods: each is judged from the text of its
//! page and let go.

mod batch;
mod judge;
mod owners;
mod patience;
mod readiness;
mod rollup;
mod scan;
mod since;
mod write;

pub use self::{
    judge::Judge,
    scan::{Progress, Scan, Selection},
    since::compare,
    write::{ReportApi, ReportApiError, Reports, Written},
};
