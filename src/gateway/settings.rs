//! What the operator decides about the transports.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::sink::Sink;
use crate::auth::jwt::AccessTokens;
use crate::signal::{Announcement, Redemption};

/// What the operator decides about the transports.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The origins whose pages may connect beside this server's own, exactly as browsers send
    /// them; `*` for any. None.
    pub allowed_origins: Vec<String>,
    /// How many connections there may be. 100,000.
    pub max_connections: u32,
    /// How many connections of one address (/32, /64) requests may carry; 0 is no limit. 512.
    pub connections_per_address: usize,
    /// How many connections may come a second, and two seconds' worth at once; 0 is no limit. 0.
    pub connect_rate: u32,
    /// How long inputs may wait for the hub before nobody else is let in; zero is no limit. Zero.
    pub max_delay: Duration,
    /// What checks access tokens; `None` in open mode. None.
    pub tokens: Option<Arc<AccessTokens>>,
    /// Where tokens are noted that let in one session only, once they are used. Nowhere.
    pub redemptions: Option<Sink<Redemption>>,
    /// Who is told when a token names a key that is not there. Nobody.
    pub unknown_keys: Option<Arc<Notify>>,
    /// How many tokens that are not good, and rooms that are not allowed, one address (/32, /64)
    /// may try at once before it is kept out; 0 is no limit. 100.
    pub guesses_per_address: u32,
    /// Who is told what the relay has to know, before those are who will ask the relay for it; `None`
    /// where it need not know. None.
    pub announcements: Option<Sink<Announcement>>,
    /// How often something is sent on a stream of events. 20 s.
    pub ping_interval: Duration,
    /// For how long a stream of events goes on before the client asks for the next one. 240 s.
    pub stream_life: Duration,
    /// How long a client whose session requests carry may ask for nothing. 30 s.
    pub absence: Duration,
    /// How long a socket may take nothing of what is written to it. 10 s.
    pub write_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            max_connections: 100_000,
            connections_per_address: 512,
            connect_rate: 0,
            max_delay: Duration::ZERO,
            tokens: None,
            redemptions: None,
            unknown_keys: None,
            guesses_per_address: 100,
            announcements: None,
            ping_interval: Duration::from_secs(20),
            stream_life: Duration::from_secs(240),
            absence: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
        }
    }
}
