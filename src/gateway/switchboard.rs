//! The hub, and where each connection of it can be reached.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::outbox::{NotTaken, Outgoing, Slot};
use super::sink::Sink;
use crate::metrics::SignalCounters;
use crate::net::Clock;
use crate::signal::{Announcement, Close, ConnectionId, Event, Hub, Input, Message, Redemption};
use crate::time::{Instant, Now};

/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3_600);

/// The hub is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The hub of all connections. Whoever has something for it hands it in at once: what the hub
/// does takes microseconds, and to wake another task for it would take longer.
pub(super) struct Switchboard {
    board: Mutex<Board>,
    /// Something is due sooner than the clock's keeper knows.
    sooner: Arc<Notify>,
    clock: Clock,
}

struct Board {
    hub: Hub,
    slots: HashMap<ConnectionId, Slot>,
    announcements: Option<Sink<Announcement>>,
    counters: Arc<SignalCounters>,
    redemptions: Option<Sink<Redemption>>,
    /// Until when the keeper of the clock sleeps.
    asleep_until: Option<Instant>,
    is_over: bool,
}

impl Switchboard {
    /// Spawns, on the current runtime, the task that has the hub do what is due.
    pub(super) fn start(
        hub: Hub,
        counters: Arc<SignalCounters>,
        (redemptions, announcements): (Option<Sink<Redemption>>, Option<Sink<Announcement>>),
    ) -> Arc<Self> {
        let sooner = Arc::new(Notify::new());
        let board = Board {
            hub,
            slots: HashMap::new(),
            announcements,
            counters,
            redemptions,
            asleep_until: None,
            is_over: false,
        };
        let switchboard = Arc::new(Self {
            board: Mutex::new(board),
            sooner: Arc::clone(&sooner),
            clock: Clock::start(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&switchboard), sooner));
        switchboard
    }

    /// A connection has come, and can be reached there.
    pub(super) fn open(&self, connection: ConnectionId, slot: Slot) -> Result<(), Gone> {
        self.change(|board, now| {
            board.slots.insert(connection, slot);
            board.hub.handle(connection, Input::Open, now);
        })
    }

    /// Something has happened on a connection.
    pub(super) fn tell(&self, connection: ConnectionId, input: Input) -> Result<(), Gone> {
        self.change(|board, now| {
            match input {
                Input::Message { .. } => SignalCounters::count(&board.counters.messages_in),
                Input::Closed | Input::Left => drop(board.slots.remove(&connection)),
                _ => {}
            }
            board.hub.handle(connection, input, now);
        })
    }

    /// Has the hub do something that no connection has asked for.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(&mut Hub, Now) -> R) -> Result<R, Gone> {
        self.change(|board, now| ask(&mut board.hub, now))
    }

    /// From now on the hub is gone, and all that it knew.
    pub(super) fn stop(&self) {
        let mut board = self.board();
        board.is_over = true;
        board.slots = HashMap::new();
        drop(board);
        self.sooner.notify_one();
    }

    /// Whether the hub is gone.
    pub(super) fn is_over(&self) -> bool {
        self.board().is_over
    }

    fn change<R>(&self, change: impl FnOnce(&mut Board, Now) -> R) -> Result<R, Gone> {
        let mut board = self.board();
        if board.is_over {
            return Err(Gone);
        }
        let now = self.clock.now();
        let changed = change(&mut board, now);
        board.give_out(now);
        board.gauge();
        let is_sooner = board.is_due_sooner();
        drop(board);
        if is_sooner {
            self.sooner.notify_one();
        }
        Ok(changed)
    }

    /// Does what is due. Gives when to do so again; `None` once the hub is gone.
    fn do_what_is_due(&self) -> Option<tokio::time::Instant> {
        let mut board = self.board();
        if board.is_over {
            return None;
        }
        let now = self.clock.now();
        board.do_what_is_due(now);
        board.asleep_until = board.hub.poll_timeout();
        Some(match board.asleep_until {
            Some(at) => self.clock.system(at).into(),
            None => tokio::time::Instant::now() + LONG,
        })
    }

    /// The hub holds its promises whatever comes in: were it to panic, only what it was told then
    /// would be lost.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard").finish_non_exhaustive()
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        // Its task sees that nobody is left.
        self.sooner.notify_one();
    }
}

/// Has the hub do what is due, for as long as somebody else knows it.
async fn keep_time(switchboard: Weak<Switchboard>, sooner: Arc<Notify>) {
    let sleep = tokio::time::sleep(LONG);
    tokio::pin!(sleep);
    while let Some(wake) = switchboard
        .upgrade()
        .and_then(|known| known.do_what_is_due())
    {
        sleep.as_mut().reset(wake);
        tokio::select! {
            () = &mut sleep => {}
            () = sooner.notified() => {}
        }
    }
}

impl Board {
    fn do_what_is_due(&mut self, now: Now) {
        if self.hub.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.hub.handle_timeout(now);
            self.give_out(now);
            self.gauge();
        }
    }

    /// Whether something is due before the keeper of the clock wakes up, and it has not been
    /// told so.
    fn is_due_sooner(&mut self) -> bool {
        let Some(due) = self.hub.poll_timeout() else {
            return false;
        };
        let is_sooner = self.asleep_until.is_none_or(|until| due < until);
        if is_sooner {
            self.asleep_until = Some(due);
        }
        is_sooner
    }

    /// Hands everything that the hub wants sent to the connections, waiting for none of them.
    fn give_out(&mut self, now: Now) {
        self.announce();
        while let Some(event) = self.hub.poll_event() {
            match event {
                Event::Send {
                    connection,
                    offset,
                    message,
                } => {
                    self.count(&message);
                    self.hand(connection, Outgoing::Message(offset, message), now);
                }
                Event::Ping { connection, within } => {
                    self.hand(connection, Outgoing::Ping(within), now);
                }
                Event::Redeemed(redemption) => {
                    if let Some(sink) = &self.redemptions {
                        sink.take(redemption);
                    }
                }
                Event::Close { connection, ending } => {
                    if ending.close == Close::TooSlow {
                        SignalCounters::count(&self.counters.slow_consumers);
                    }
                    self.counters.closed.count(ending.close.reason());
                    self.hand(connection, Outgoing::Close(ending), now);
                    self.slots.remove(&connection);
                }
            }
        }
    }

    /// Tells the relay what it has to know before anybody hears of it.
    fn announce(&mut self) {
        let Some(announcements) = &self.announcements else {
            return;
        };
        while let Some(announcement) = self.hub.poll_announcement() {
            announcements.take(announcement);
        }
    }

    fn hand(&mut self, connection: ConnectionId, outgoing: Outgoing, now: Now) {
        let Some(slot) = self.slots.get(&connection) else {
            return;
        };
        match slot.put(outgoing) {
            Ok(()) => {}
            Err(NotTaken::Full) => {
                // The connection sees that it has been let go without a word, and why.
                self.slots.remove(&connection);
                self.hub.handle(connection, Input::Stalled, now);
                self.announce();
            }
            Err(NotTaken::Closed) => {
                self.slots.remove(&connection);
                self.hub.handle(connection, Input::Closed, now);
                self.announce();
            }
        }
    }

    fn count(&self, message: &Message) {
        match message {
            Message::Error(rejection) => self.counters.rejected.count(rejection.reject.code()),
            _ => SignalCounters::count(&self.counters.messages_out),
        }
    }

    fn gauge(&self) {
        SignalCounters::set(&self.counters.connections, self.hub.connections());
        SignalCounters::set(&self.counters.sessions, self.hub.sessions());
        SignalCounters::set(&self.counters.rooms, self.hub.rooms());
        SignalCounters::set(&self.counters.empty_rooms, self.hub.empty_rooms());
        SignalCounters::set(&self.counters.knocks, self.hub.knocks());
    }
}
