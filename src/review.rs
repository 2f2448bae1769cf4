//! `AdmissionReview` bytes in, `AdmissionReview` bytes out. What cannot be read becomes an answer that says whose
//! fault that is and never looks like a finding.

mod envelope;
mod namespace;
pub mod object;
pub mod request;
pub mod response;

pub use request::{Refusal, Review};
pub use response::{Answer, Outcome};
