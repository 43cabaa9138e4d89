//! The `peerage` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    peerage::cli::run()
}
