//! The options of a comparison.

use super::Error;

pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) is_quick: bool,
    /// What the name of a load must contain.
    pub(crate) only: String,
    /// Whether to write the table into its page.
    pub(crate) is_recorded: bool,
}

impl Options {
    /// Reads the command line of a comparison that takes so many rounds by default.
    pub(crate) fn read(rounds: usize) -> Result<Self, Error> {
        let mut this = Self {
            rounds,
            is_quick: false,
            only: String::new(),
            is_recorded: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Given before `--rounds`, this counts for the length only.
                "--quick" => (this.rounds, this.is_quick) = (1, true),
                "--record" => this.is_recorded = true,
                "--rounds" => this.rounds = arguments.next().ok_or("--rounds N")?.parse()?,
                "--only" => this.only = arguments.next().ok_or("--only TEXT")?,
                // Cargo's own.
                "--bench" => {}
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(this)
    }
}
