//! The command line: one file a subcommand.

pub mod api_server_config;
pub mod audit;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod serve;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::policy::level::Version;
use crate::policy::{PolicySet, shipped};
use crate::server::directory;

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
    Serve(Box<serve::ServeArgs>),
    /// Judge manifests as the webhooks would
    Check(check::CheckArgs),
    /// Judge what runs in a cluster
    Audit(audit::AuditArgs),
    /// Write what the API server needs to be the only one that podgate lets in
    ApiServerConfig(api_server_config::ApiServerConfigArgs),
    /// Look at an installed gate from outside, and name what is wrong with it
    Doctor(doctor::DoctorArgs),
}

/// Runs the subcommand that the arguments name. `commit` is what `--version` says was built.
#[must_use]
pub fn main(commit: Option<&str>) -> ExitCode {
    // Leaked once a process: clap keeps no text that it does not own, unless it lives for ever.
    let command = Cli::command().version(&*version(commit).leak());
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(*args),
        Command::Check(args) => check::run(args),
        Command::Audit(args) => audit::run(args),
        Command::ApiServerConfig(args) => api_server_config::run(args),
        Command::Doctor(args) => doctor::run(args),
    }
}

/// Which podgate it is: the release, the commit, and the Kubernetes whose Pod Security Standards it knows.
fn version(commit: Option<&str>) -> String {
    let commit = commit.filter(|it| !it.is_empty()).unwrap_or("unknown");
    let kubernetes = Version::LATEST.to_string();
    format!(
        "{} (commit {commit}, Kubernetes {})",
        env!("CARGO_PKG_VERSION"),
        kubernetes.trim_start_matches('v')
    )
}

/// The policies of the directory, or the shipped ones; what is wrong with them is told with excerpts.
fn load_policies(directory: Option<&Path>, color: bool) -> Result<PolicySet, String> {
    let loaded = match directory {
        None => shipped(),
        Some(directory) => {
            let files = directory::read(directory).map_err(|error| format!("error: {error}"))?;
            PolicySet::load(&directory.display().to_string(), &files)
        }
    };
    loaded.map_err(|error| error.render(color))
}

/// True if colours are welcome there: a log or a pipe is no place for them.
fn has_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_names_the_commit_and_says_so_where_the_build_was_not_told() {
        let release = env!("CARGO_PKG_VERSION");
        let known = format!("{release} (commit abc1234, Kubernetes 1.37)");
        let unknown = format!("{release} (commit unknown, Kubernetes 1.37)");
        assert_eq!(version(Some("abc1234")), known);
        assert_eq!(version(None), unknown);
        // An image built without the argument.
        assert_eq!(version(Some("")), unknown);
    }
}
