//! The front door.

use std::process::ExitCode;

fn main() -> ExitCode {
    podgate::cli::main()
}
