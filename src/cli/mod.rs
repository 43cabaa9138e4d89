//! The `peerage` command: one subcommand a file.

mod announce;
mod bench;
mod check;
mod logging;
mod options;
mod qr;
mod room;
mod serve;
mod token;
mod version;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// A WebRTC signaling server with embedded STUN and TURN.
#[derive(Debug, Parser)]
#[command(name = "peerage", version, about, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Bench(bench::Bench),
    Token(token::Token),
    Version(version::Version),
}

/// Runs what the command line says. Errors go to stderr; the status is 1 then, and 2 if the
/// command line itself is wrong.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::Check(check)) => check.run(),
        Some(Command::Bench(bench)) => bench.run(),
        Some(Command::Token(token)) => token.run(),
        Some(Command::Version(version)) => {
            version.run();
            Ok(())
        }
        None => {
            // Help that nobody reads is no failure.
            drop(Cli::command().print_help());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("peerage: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
