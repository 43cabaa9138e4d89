//! `peerage bench`: load on a running server.

mod signal;
mod turn;

use clap::{Args, Subcommand};

/// Put load on a running server and measure
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Turn(turn::Turn),
    Signal(signal::Signal),
}

impl Bench {
    pub(super) fn run(&self) -> Result<(), String> {
        match &self.what {
            What::Turn(turn) => turn.run(),
            What::Signal(signal) => signal.run(),
        }
    }
}
