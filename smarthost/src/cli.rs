//! The command line of `smarthost`.

use std::process::ExitCode;

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    todo!()
}
