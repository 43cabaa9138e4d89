//! What load to make.

use std::time::Duration;

use super::super::process::Process;
use crate::client;

/// What load to make.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is, and how to trust it.
    pub client: client::Settings,
    /// How many sessions, two to a room.
    pub sessions: usize,
    /// How many connections are being made at a time.
    pub at_once: usize,
    /// In how many rooms somebody talks.
    pub pairs: usize,
    /// Bytes of a message's body.
    pub bytes: usize,
    /// Messages a second, of all pairs together; without it as fast as the server lets clients.
    pub rate: Option<f64>,
    /// For how long they talk.
    pub duration: Duration,
    /// Whether to cut all connections at once and see the sessions come back.
    pub storm: bool,
    /// A shell command that restarts the server and returns once it serves again.
    pub restart_command: Option<String>,
    /// The server's process, to read its memory and CPU time.
    pub process: Option<Process>,
}

/// How far a load has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// So many have joined their room.
    Connecting {
        /// So many have.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Messages flow.
    Talking,
    /// So many sessions are back.
    Returning {
        /// So many are.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// The server is being restarted.
    Restarting,
}
