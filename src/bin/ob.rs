//! The operator's CLI.
use std::process::ExitCode;

fn main() -> ExitCode {
    ob::cli::main()
}
