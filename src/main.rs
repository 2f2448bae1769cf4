//! The front door.

use std::process::ExitCode;

/// The commit that was built, where the build was told. Here and not in the library: a new commit rebuilds only this file.
const COMMIT: Option<&str> = option_env!("PODGATE_COMMIT");

fn main() -> ExitCode {
    podgate::cli::main(COMMIT)
}
