//! `peerage token`

mod access;
mod lifetime;
mod sign;
mod source;
mod turn;

use std::io::Write;

use clap::{Args, Subcommand};

/// Make access tokens and relay credentials, for tests and for servers without a library
///
/// The token alone goes to stdout. It is signed with the first secret of auth.secret, or with a
/// private key.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  peerage token --config peerage.toml --subject ada --room blue-heron --role host
  peerage token --subject ada --room 'team-*' --expires 8h --key private.pem --key-id north
  peerage token --config peerage.toml --subject guest --room blue-heron --once
  peerage token turn --config peerage.toml --name ada"
)]
pub(super) struct Token {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    access: access::Access,
}

#[derive(Debug, Subcommand)]
enum Other {
    Turn(turn::Turn),
}

impl Token {
    pub(super) fn run(&self) -> Result<(), String> {
        let made = match &self.other {
            Some(Other::Turn(turn)) => turn.make()?,
            None => self.access.make()?,
        };
        let written = writeln!(std::io::stdout(), "{made}");
        written.map_err(|error| format!("cannot write to stdout: {error}"))
    }
}
