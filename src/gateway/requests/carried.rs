//! A connection that requests carry: what they share, and the task that keeps it going.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use super::super::door::Visitor;
use super::super::outbox::{Outbox, Outgoing};
use super::super::switchboard::Switchboard;
use super::line::{Line, NeverSaid, Said};
use super::promptness::{Promptness, Reading};
use crate::net::Place;
use crate::signal::{Close, Command, ConnectionId, Ending, Input, Message, Offset, Rejection};

/// A connection and the requests that carry it.
#[derive(Debug)]
pub(super) struct Carried {
    id: ConnectionId,
    hub: Arc<Switchboard>,
    state: Mutex<State>,
    changed: Notify,
    /// How long the client may ask for nothing.
    absence: Duration,
}

/// The hub learns that a client is there at most this often.
const ALIVE: Duration = Duration::from_secs(1);

/// Who has no longer than this to answer is in a hurry, and for how long that lasts.
const HURRY: Duration = Duration::from_secs(5);
const HURRY_LASTS: Duration = Duration::from_secs(10);

/// What is free for another connection once this one is forgotten.
pub(super) type Places = (OwnedSemaphorePermit, Option<Place>);

#[derive(Debug)]
struct State {
    visitor: Visitor,
    line: Line,
    /// The number of the newest reader: only that one is served.
    newest: u64,
    /// How many requests are held.
    held: usize,
    /// When the client was last there.
    seen: Instant,
    /// When the hub has last heard of it.
    told: Instant,
    /// Whether the hub waits to hear of it.
    is_awaited: bool,
    /// Whether whoever reads is to ask the client for a sign of life.
    is_asked: bool,
    /// Until when a poll should come sooner than otherwise.
    hurried_until: Instant,
    promptness: Promptness,
    places: Option<Places>,
}

/// A request that waits for what is said. While there is one, the client is there.
#[derive(Debug)]
pub(super) struct Reader {
    carried: Arc<Carried>,
    number: u64,
}

/// What a reader has waited for.
#[derive(Debug)]
pub(super) enum News {
    /// This has been said; and with it, perhaps, all.
    Said(Vec<Said>, Option<Ending>),
    /// Nothing, in all the time.
    Nothing,
    /// Nothing, and the client is to give a sign of life.
    Asked,
    /// A newer reader is there.
    Superseded,
}

impl Carried {
    /// A connection that the hub knows as `id`.
    pub(super) fn new(
        id: ConnectionId,
        visitor: Visitor,
        hub: Arc<Switchboard>,
        absence: Duration,
        places: Places,
    ) -> Self {
        Self {
            id,
            hub,
            state: Mutex::new(State {
                visitor,
                line: Line::default(),
                newest: 0,
                held: 0,
                seen: Instant::now(),
                told: Instant::now(),
                is_awaited: false,
                is_asked: false,
                hurried_until: Instant::now(),
                promptness: Promptness::default(),
                places: Some(places),
            }),
            changed: Notify::new(),
            absence,
        }
    }

    /// Takes in what the hub says until it lets the connection go, or the client stays away.
    pub(super) async fn run(&self, mut outbox: Outbox) {
        let ending = loop {
            tokio::select! {
                outgoing = outbox.next() => match outgoing {
                    Some(Outgoing::Message(offset, message)) => {
                        if !self.say(offset, message) {
                            break Close::TooSlow.into();
                        }
                    }
                    Some(Outgoing::Ping(within)) => self.ask(within),
                    Some(Outgoing::Close(ending)) => break ending,
                    // The hub has let go without a word: the queue was full.
                    None => break Close::TooSlow.into(),
                },
                () = sleep_until(self.patience()) => {
                    if self.is_away() {
                        self.state().visitor.is_ended(Close::Silent);
                        break Close::Silent.into();
                    }
                }
            }
        };
        debug!(
            connection = self.id.0,
            reason = ending.close.reason(),
            "over"
        );
        drop(outbox);
        let is_last = ending.close == Close::GoingAway;
        self.state().line.close(ending);
        if is_last {
            // Nobody else is let in, and a server that stops waits for all places.
            self.state().places = None;
        }
        self.changed.notify_waiters();
        // An error means that the hub is gone.
        let _ = self.hub.tell(self.id, Input::Closed);
    }

    /// Looks at the access token in a message, if there is one.
    pub(super) fn check(&self, command: &mut Result<Command, Rejection>) {
        self.state().visitor.check(command);
    }

    /// Hands a message of the client to the hub.
    pub(super) fn take(&self, input: Input) {
        if let Input::Message {
            command: Ok(Command::Ack(offset)),
            ..
        } = &input
        {
            self.state().line.acknowledge(*offset);
        }
        let now = Instant::now();
        {
            let mut state = self.state();
            (state.seen, state.told) = (now, now);
            state.is_awaited = false;
        }
        // An error means that the hub is gone; the client learns it from what it reads.
        let _ = self.hub.tell(self.id, input);
    }

    /// The client has got everything up to this number; what it was told of its session is
    /// acknowledged with that.
    pub(super) fn confirm(&self, number: u64) -> Result<(), NeverSaid> {
        let told = self.state().line.confirm(number)?;
        match told {
            Some(offset) => {
                let command = Ok(Command::Ack(offset));
                self.take(Input::Message { length: 0, command });
            }
            None => self.alive(),
        }
        Ok(())
    }

    /// The client is there. However often it asks, the hub hears of it now and then only.
    pub(super) fn alive(&self) {
        let now = Instant::now();
        let is_news = {
            let mut state = self.state();
            state.seen = now;
            state.is_awaited || state.told + ALIVE <= now
        };
        if is_news {
            self.take(Input::Alive);
        }
    }

    /// The client has answered what it is asked on a stream.
    pub(super) fn answered(&self) {
        self.state().promptness.answers(Instant::now());
        self.alive();
    }

    /// A poll is answered; the client is to come back after so long.
    pub(super) fn lets_go_for(&self, pause: Duration) {
        let back = Instant::now() + pause;
        self.state().promptness.is_back_at(back);
    }

    /// Whether somebody waits for what the client says.
    pub(super) fn is_hurried(&self) -> bool {
        Instant::now() < self.state().hurried_until
    }

    /// Asks the client for a sign of life. For one that has not shown that it gives them so soon
    /// this answers itself: as far as anybody can tell it is there, until it stays away.
    fn ask(&self, within: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        state.is_asked = true;
        if within <= HURRY {
            state.hurried_until = now + HURRY_LASTS;
        }
        state.is_awaited = state.promptness.is_held_to(within);
        let is_held_to_it = state.is_awaited;
        drop(state);
        self.changed.notify_waiters();
        if !is_held_to_it {
            // An error means that the hub is gone; then the outbox ends as well.
            let _ = self.hub.tell(self.id, Input::Alive);
        }
    }

    /// Why nothing more is said, if so.
    pub(super) fn closed(&self) -> Option<Ending> {
        self.state().line.closed()
    }

    fn say(&self, offset: Option<Offset>, message: Arc<Message>) -> bool {
        let mut state = self.state();
        state.visitor.is_told(&message);
        let said = state.line.say(offset, message);
        drop(state);
        self.changed.notify_waiters();
        said.is_ok()
    }

    /// Until when the client may stay away.
    fn patience(&self) -> Instant {
        let state = self.state();
        let since = if state.held > 0 {
            Instant::now()
        } else {
            state.seen
        };
        since + self.absence
    }

    fn is_away(&self) -> bool {
        self.patience() <= Instant::now()
    }

    /// Nothing panics while it is held, so it is right whoever panicked elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// From now on what is said goes to this reader and no other.
    pub(super) fn new(carried: &Arc<Carried>, reading: Reading) -> Self {
        let mut state = carried.state();
        state.newest += 1;
        state.held += 1;
        // That it reads is an answer to a poll, and a stream begins with a question.
        state.is_asked = false;
        state.promptness.reads(reading, Instant::now());
        let number = state.newest;
        drop(state);
        carried.changed.notify_waiters();
        Self {
            carried: Arc::clone(carried),
            number,
        }
    }

    /// Waits for what is said after `number`, but not longer than until `deadline`.
    pub(super) async fn after(&self, number: u64, deadline: Instant) -> News {
        loop {
            let changed = self.carried.changed.notified();
            tokio::pin!(changed);
            // What changes from here on is not missed.
            changed.as_mut().enable();
            if let Some(news) = self.look(number) {
                return news;
            }
            if timeout_at(deadline, changed).await.is_err() {
                return News::Nothing;
            }
        }
    }

    fn look(&self, number: u64) -> Option<News> {
        let mut state = self.carried.state();
        if state.newest != self.number {
            return Some(News::Superseded);
        }
        let closed = state.line.closed();
        if closed.is_none() && !state.line.has_after(number) {
            let is_asked = std::mem::take(&mut state.is_asked);
            return is_asked.then(|| {
                state.promptness.is_asked(Instant::now());
                News::Asked
            });
        }
        Some(News::Said(
            state.line.after(number).cloned().collect(),
            closed,
        ))
    }

    /// The connection that is read.
    pub(super) fn carried(&self) -> &Carried {
        &self.carried
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.carried.state();
        state.held -= 1;
        state.seen = Instant::now();
    }
}
