//! The command line: one file a subcommand.

pub mod audit;
pub mod check;
pub mod demo;
pub mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The gate in front of a Kubernetes cluster's Pods: decides, repairs, explains.
#[derive(Debug, Parser)]
#[command(name = "podgate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what podgate does: start it, and ask it about a few examples
    Demo(demo::DemoArgs),
    /// Serve the validating and mutating webhooks
    Serve(serve::ServeArgs),
    /// Judge manifests as the webhooks would
    Check(check::CheckArgs),
    /// Judge what runs in a cluster
    Audit(audit::AuditArgs),
}

/// Runs the subcommand that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Audit(args) => audit::run(args),
    }
}
