//! The command line. A placeholder until `podgate serve` is here.

/// Runs the subcommand that the arguments name.
#[must_use]
pub fn main() -> std::process::ExitCode {
    eprintln!("podgate: there is no subcommand yet");
    std::process::ExitCode::from(2)
}
