//! One session of the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::client::{Client, Event, Resumed, Transport};

/// What all members are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Stay,
    /// Drop the connection and make another one at once.
    Reconnect,
    Leave,
}

/// What members have come to, as whoever leads them sees it.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) joined: AtomicUsize,
    pub(super) resumed: AtomicUsize,
    pub(super) restored: AtomicUsize,
    pub(super) lost: AtomicUsize,
    pub(super) refused: AtomicUsize,
}

impl Board {
    /// How many sessions have come back since the last [`Board::clear`].
    pub(super) fn returned(&self) -> usize {
        let counts = [&self.resumed, &self.restored, &self.lost];
        counts
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    pub(super) fn clear(&self) {
        for count in [&self.resumed, &self.restored, &self.lost] {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn note(&self, event: &Event) {
        let count = match event {
            Event::Joined { .. } => &self.joined,
            Event::Connected { resumed, .. } => match resumed {
                Resumed::Full | Resumed::Snapshot => &self.resumed,
                Resumed::Restored => &self.restored,
                _ => &self.lost,
            },
            Event::Refused { .. } => &self.refused,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stays in its room, whatever happens, until it is told to leave.
pub(super) async fn stay(
    mut client: Client,
    board: Arc<Board>,
    mut orders: watch::Receiver<Order>,
) {
    loop {
        tokio::select! {
            event = client.next() => match event {
                Some(event) => board.note(&event),
                None => return,
            },
            changed = orders.changed() => match changed.map(|()| *orders.borrow()) {
                Ok(Order::Stay) => {}
                Ok(Order::Reconnect) => client.move_to(Transport::WebSocket),
                Ok(Order::Leave) | Err(_) => return,
            },
        }
    }
}
