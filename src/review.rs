//! `AdmissionReview` bytes in, `AdmissionReview` bytes out. What cannot be read becomes an answer that says whose
//! fault that is and never looks like a finding.

mod count;
mod envelope;
mod existing;
mod namespace;
mod rejected;
pub mod request;
pub mod response;

pub use count::{Count, Counted};
pub use existing::Existing;
pub use rejected::Rejected;
pub use request::{Labels, Refusal, Review};
pub use response::{Answer, Outcome};
