//! `peerage token turn`: relay credentials.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::lifetime::lifetime;
use super::source::Source;
use crate::auth::TimeLimited;
use crate::server::{now, relay_secret};

/// Make time-limited relay credentials
///
/// They go to stdout as JSON, as RTCPeerConnection takes them beside "urls".
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  peerage token turn --config peerage.toml --name ada --expires 10m")]
pub(super) struct Turn {
    #[command(flatten)]
    source: Source,
    /// Whom they are for
    #[arg(long, value_name = "NAME")]
    name: String,
    /// For how long they are good
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires: Duration,
}

impl Turn {
    /// The credentials.
    pub(super) fn make(&self) -> Result<String, String> {
        let config = self.source.resolve()?.config;
        let secret = relay_secret(&config).map_err(|error| error.to_string())?;
        let minted = TimeLimited::mint(&secret, &self.name, self.expires, now());
        let password = minted.password.expose();
        Ok(json!({"username": minted.username, "credential": password}).to_string())
    }
}
