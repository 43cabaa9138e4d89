//! A connection as the network knows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use peerage::signal::{Command, Ending, Message, Offset};
use peerage::time::Instant;

use crate::kept::Kept;

/// Within which time the hub finds a connection that is dead, and one on which somebody is waited
/// for, and for how long that counts.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
const FOUND_SOON: Duration = Duration::from_secs(5);
const SOON_FOR: Duration = Duration::from_secs(10);
const ONCE_MORE: Duration = Duration::from_secs(3);
/// By how much timers ring late in this world.
const LATE: Duration = Duration::from_millis(20);

type Sent = (Option<Offset>, Arc<Message>);

#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) client: usize,
    pub(crate) up: VecDeque<Command>,
    pub(crate) down: VecDeque<Sent>,
    /// Half open: whatever is sent is swallowed, from now on, and nobody is told.
    pub(crate) swallows_up: bool,
    pub(crate) swallows_down: bool,
    /// The client takes nothing in before this time.
    pub(crate) stalled_until: Instant,
    /// The client has left it.
    pub(crate) is_left: bool,
    /// The server has closed it, or has gone down (`None`).
    pub(crate) closed: Option<Option<Ending>>,
    /// It is that of somebody who tries to be this client.
    pub(crate) is_thief: bool,
    /// What the server has sent on it and has not seen acknowledged.
    pub(crate) kept: Kept,
    /// When the server has heard from it last, and when somebody began to wait for it.
    pub(crate) heard: Instant,
    pub(crate) awaited: Option<Instant>,
}

impl Wire {
    pub(crate) fn new(client: usize, now: Instant) -> Self {
        Self {
            client,
            heard: now,
            ..Self::default()
        }
    }

    /// Whether anything comes through, in both directions and now.
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        let swallows = self.swallows_up || self.swallows_down;
        !(swallows || self.is_left) && self.closed.is_none() && self.stalled_until <= now
    }

    /// A ping comes through, and its answer, however busy the client is.
    pub(crate) fn answers(&self) -> bool {
        !(self.swallows_up || self.swallows_down || self.is_left)
    }

    /// A dead connection is found within its time, and one whose client heeds nothing.
    pub(crate) fn check_found(&self, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        self.kept.check_heeded(now, LATE);
        // Where somebody begins to wait meanwhile, it is asked once more.
        let once_more = self.awaited.map_or(Duration::ZERO, |_| ONCE_MORE);
        let found = self.heard + FOUND_WITHIN + once_more + LATE;
        assert!(now <= found, "a dead connection is kept");
        if let Some(awaited) = self.awaited.filter(|at| now < *at + SOON_FOR) {
            let since = self.heard.max(awaited);
            assert!(
                now <= since + FOUND_SOON + LATE,
                "somebody waits for the dead"
            );
        }
    }
}
