//! `peerage check`: what a configuration means, without starting anything.

use std::io::Write;

use clap::Args;

use super::options::Options;
use crate::server::interfaces::Interfaces;
use crate::server::{dtls, tls};

/// Validate a configuration and print what it resolves to
///
/// The output is TOML with secrets redacted; behind each value stands where it came from.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  peerage check --config peerage.toml")]
pub(super) struct Check {
    #[command(flatten)]
    options: Options,
}

impl Check {
    pub(super) fn run(&self) -> Result<(), String> {
        let interfaces = Interfaces::of_this_machine();
        let resolved = self
            .options
            .resolve(&interfaces)
            .map_err(|error| error.to_string())?;
        let unfit =
            tls::check(&resolved.config.http.certificate).map_err(|error| error.to_string())?;
        if let Some(left_out) = unfit.and_then(|unfit| dtls::left_out(&resolved.config, unfit)) {
            eprintln!("warning: {left_out}");
        }
        let written = std::io::stdout().write_all(resolved.explain().as_bytes());
        written.map_err(|error| format!("cannot write to stdout: {error}"))
    }
}
