//! `peerage version`

use clap::Args;

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  peerage version")]
pub(super) struct Version {}

impl Version {
    #[expect(clippy::unused_self, reason = "all commands are run alike")]
    pub(super) fn run(&self) {
        println!("peerage {}", env!("CARGO_PKG_VERSION"));
    }
}
