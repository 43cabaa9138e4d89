//! Load on a signaling server, with [`crate::client`], and what it costs the server.
//!
//! Every client is a session that has joined a room for two. What is measured, in this order:
//! connecting them all, with the server's memory and CPU time for each; messages from one member
//! of a room to the other, with their delays; and, where asked for, the return of all sessions
//! after their connections were cut at once, and after a restart of the server.

mod crowd;
mod member;
mod report;
mod run;
mod settings;
mod talk;

pub use report::{ReturnReport, SignalReport, TalkReport};
pub use run::run;
pub use settings::{Progress, Settings};
