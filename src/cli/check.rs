//! `podgate check`.
use std::process::ExitCode;

/// Judge manifests.
#[derive(clap::Args, Debug)]
pub struct CheckArgs {}

/// Runs it.
#[must_use]
pub fn run(_: CheckArgs) -> ExitCode {
    ExitCode::from(2)
}
