//! Command line in, exit code out; the only exit in the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    districtd::cli::run(std::env::args_os())
}
