//! The flags that `serve` and `check` share, and how they become a configuration.

use std::path::PathBuf;

use clap::Args;

use crate::server::config::{ConfigError, Resolved, Sources};
use crate::server::interfaces::Interfaces;
use crate::server::state::default_directory;

/// Where the configuration comes from, and its common keys.
#[derive(Debug, Default, Args)]
pub(super) struct Options {
    /// Configuration file [variable: PEERAGE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Addresses for HTTP (http.listen); several with commas, "" for none
    #[arg(long, value_name = "ADDRESSES")]
    listen: Option<String>,
    /// Addresses for HTTPS (http.tls_listen)
    #[arg(long, value_name = "ADDRESSES")]
    tls_listen: Option<String>,
    /// Addresses for STUN and TURN, such as udp://0.0.0.0:3478 (turn.listen)
    #[arg(long, value_name = "LISTENERS")]
    turn_listen: Option<String>,
    /// Addresses for metrics (metrics.listen)
    #[arg(long, value_name = "ADDRESSES")]
    metrics_listen: Option<String>,
    /// The URL by which people reach the server (http.public_url)
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A folder to serve instead of the built-in page (http.web_root)
    #[arg(long, value_name = "FOLDER")]
    web_root: Option<String>,
    /// Where generated secrets and the local CA are kept (state_directory)
    #[arg(long, value_name = "FOLDER")]
    state_directory: Option<String>,
    /// error, warn, info, debug or trace (log_level)
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Options {
    /// Those of a command that has no other flags for the configuration.
    pub(super) fn of_file(config: Option<PathBuf>) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// The configuration's file, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let from_variable = || std::env::var_os("PEERAGE_CONFIG").map(PathBuf::from);
        self.config.clone().or_else(from_variable)
    }

    /// Reads the file, the environment and the flags; what comes later wins.
    pub(super) fn resolve(&self, interfaces: &Interfaces) -> Result<Resolved, ConfigError> {
        let mut sources = Sources::new();
        if let Some(file) = self.file() {
            sources.add_file(&file)?;
        }
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        sources.add_variables(variables)?;
        for (flag, key, value) in self.flags() {
            if let Some(value) = value {
                sources.add_flag(flag, key, value);
            }
        }
        let state = default_directory(|name| std::env::var_os(name));
        Resolved::new(&sources, interfaces, state)
    }

    fn flags(&self) -> [(&'static str, &'static str, Option<&String>); 8] {
        [
            ("--listen", "http.listen", self.listen.as_ref()),
            ("--tls-listen", "http.tls_listen", self.tls_listen.as_ref()),
            ("--turn-listen", "turn.listen", self.turn_listen.as_ref()),
            (
                "--metrics-listen",
                "metrics.listen",
                self.metrics_listen.as_ref(),
            ),
            ("--public-url", "http.public_url", self.public_url.as_ref()),
            ("--web-root", "http.web_root", self.web_root.as_ref()),
            (
                "--state-directory",
                "state_directory",
                self.state_directory.as_ref(),
            ),
            ("--log-level", "log_level", self.log_level.as_ref()),
        ]
    }
}
