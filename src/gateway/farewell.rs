//! How a server that stops parts with its clients.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Gateway;
use crate::signal::{Drain, Hub};

/// How often it is looked whether all have gone elsewhere.
const EVERY: Duration = Duration::from_millis(50);

/// How a server that stops parts with its clients.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// Where they go, and over how long that is spread.
    pub drain: Drain,
    /// How long connections may then take to close.
    pub closing: Duration,
    /// How long the server stays where all have been sent elsewhere: for those who poll and have
    /// not heard of it yet, and for what they have left to its relay.
    pub linger: Duration,
}

impl Gateway {
    /// Sends every client away, and closes all connections. Then the hub is gone.
    ///
    /// Where they come back, nobody is let in any more, and this returns once all are closed, at
    /// the latest after [`Farewell::closing`]. Where they go elsewhere, this takes as long as the
    /// drain; whoever comes meanwhile is sent on.
    pub async fn drain(&self, farewell: Farewell) {
        let is_final = farewell.drain.elsewhere.is_none();
        self.shared.sends_on.store(!is_final, Ordering::Relaxed);
        self.shared.ready.store(false, Ordering::Relaxed);
        let connections = self.connections();
        let within = farewell.drain.within;
        // Errors mean that the hub is gone already.
        let drain = farewell.drain;
        let drain = |hub: &mut Hub, now| hub.handle_drain(drain, now);
        let _ = self.shared.hub.ask(drain);
        if is_final {
            self.all_closed(farewell.closing).await;
        } else if connections > 0 {
            self.all_gone(within + farewell.closing).await;
            sleep(farewell.linger).await;
        }
        self.shared.hub.stop();
    }

    async fn all_closed(&self, within: Duration) {
        let all = self.shared.settings.max_connections;
        let all = self.shared.places.acquire_many(all);
        let _ = timeout(within, all).await;
    }

    async fn all_gone(&self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.connections() > 0 && Instant::now() < deadline {
            sleep(EVERY).await;
        }
    }

    fn connections(&self) -> usize {
        let connections = self.shared.hub.ask(|hub, _| hub.connections());
        connections.unwrap_or_default()
    }
}
