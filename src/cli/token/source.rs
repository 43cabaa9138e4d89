//! The flags by which a token's maker finds the server's configuration.

use std::path::PathBuf;

use clap::Args;

use crate::cli::options::Options;
use crate::server::config::Resolved;
use crate::server::interfaces::Interfaces;

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Configuration file of the server [variable: PEERAGE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Source {
    /// What the server would be told.
    pub(super) fn resolve(&self) -> Result<Resolved, String> {
        let options = Options::of_file(self.config.clone());
        let resolved = options.resolve(&Interfaces::of_this_machine());
        resolved.map_err(|error| error.to_string())
    }
}
