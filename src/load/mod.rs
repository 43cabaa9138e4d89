//! Load on a TURN server, and what it costs the server; [`signal`] has that on a signaling server.
//!
//! The generator speaks to any server over UDP: it makes allocations, sends packets through them
//! at a pace, checks what arrives, and reads from `/proc` how much CPU time and memory the server
//! process has taken meanwhile. Clients and peers are in one process, on one thread or a few, each
//! with its own sockets: what they cost does not count.
//!
//! A *relayed packet* is one crossing of the server: from client to peer, from peer to client, or,
//! where the peer is another client of the server, from client to client.
//!
//! [`run`] does it all. The threads spin instead of sleeping, so that the server never pays for
//! waking them; each takes a core for as long as it runs.

mod allocation;
mod error;
mod histogram;
mod process;
mod report;
mod run;
mod settings;
mod setup;
pub mod signal;
mod sources;
mod stages;
mod stamp;
mod traffic;

pub use error::LoadError;
pub use histogram::Histogram;
pub use process::Process;
pub use report::{Report, SetupReport, TrafficReport};
pub use run::run;
pub use settings::{Carriage, Families, Login, Mode, Pace, Protocol, Settings};
pub use stages::Progress;
