//! Peerage: a WebRTC signaling server with an embedded STUN/TURN relay.
//!
//! Each module is a layer; an import only ever points to a lower level. `tests/architecture.rs`
//! holds the table and checks it. From the bottom:
//!
//! | level | layers | kind |
//! |--:|---|---|
//! | 0 | [`time`], [`stun`] | sans-IO: the current time and deadlines; STUN and TURN on the wire |
//! | 1 | [`auth`] | sans-IO: who may do what, and with which key |
//! | 2 | [`turn`], [`signal`] | sans-IO: the TURN server and the signaling hub as state machines |
//! | 3 | [`dialect`] | sans-IO: how clients spell what the hub understands |
//! | 4 | [`metrics`], [`net`] | shell: counters; sockets |
//! | 5 | [`relay`], [`gateway`], [`client`] | shell: the relay's workers; the transports of signaling; a client of it |
//! | 6 | [`load`] | shell: load on a server |
//! | 7 | [`server`] | composition: configuration, start, drain, stop |
//! | 8 | [`cli`] | entry: one command a file |
//!
//! The sans-IO layers are told everything (bytes, the time, randomness) and touch no socket,
//! clock, lock or thread, so that all of them run in tests under virtual time and from a seed.

pub mod auth;
pub mod cli;
pub mod client;
pub mod dialect;
pub mod gateway;
pub mod load;
pub mod metrics;
pub mod net;
pub mod relay;
pub mod server;
pub mod signal;
pub mod stun;
pub mod time;
pub mod turn;
