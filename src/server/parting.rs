//! How the server parts with its clients when it stops, as the operator wants it at present.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::config::Config;
use super::http::OtherServers;
use crate::gateway::Farewell;
use crate::signal::Drain;

/// How long connections of signaling may take to close.
const CLOSING: Duration = Duration::from_millis(2250);
/// How much longer than planned all of it may take.
const LATE: Duration = Duration::from_millis(250);
/// How long the server stays where its clients have gone elsewhere: longer than the pause between
/// two polls, and than calls take to change to another relay.
const LINGER: Duration = Duration::from_secs(5);

/// What can be changed while the server runs.
#[derive(Debug)]
pub(super) struct Parting {
    drain: Mutex<Drain>,
    /// What the page may connect to besides its own server.
    other_servers: OtherServers,
}

impl Parting {
    pub(super) fn of(config: &Config) -> Self {
        let parting = Self {
            drain: Mutex::default(),
            other_servers: OtherServers::default(),
        };
        parting.follow(config);
        parting
    }

    /// Takes over what is configured now.
    pub(super) fn follow(&self, config: &Config) {
        let elsewhere = config.signal.elsewhere.iter();
        let others = elsewhere.chain(&config.http.other_servers);
        self.other_servers.set(others.map(|url| url.as_str()));
        let drain = Drain {
            within: config.signal.drain,
            elsewhere: config
                .signal
                .elsewhere
                .as_ref()
                .map(|url| url.as_str().into()),
        };
        *self.drain.lock().unwrap_or_else(PoisonError::into_inner) = drain;
    }

    /// What the page may connect to besides its own server.
    pub(super) fn other_servers(&self) -> OtherServers {
        self.other_servers.clone()
    }

    /// How to part with everybody now, and how long that takes at most.
    pub(super) fn farewell(&self) -> (Farewell, Duration) {
        let drain = self.drain.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = drain.elsewhere.is_some();
        let stays = if goes_on {
            drain.within + LINGER
        } else {
            Duration::ZERO
        };
        let farewell = Farewell {
            drain: drain.clone(),
            closing: CLOSING,
            linger: LINGER,
        };
        (farewell, stays + CLOSING + LATE)
    }
}
