//! The one task that owns the hub.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::auth::Secret;
use crate::metrics::SignalCounters;
use crate::net::Clock;
use crate::signal::{
    Close, ConnectionId, Ending, Event, Hub, Input, Message, Offset, Revocation, Revoked,
    TooManyRevocations,
};
use crate::time::Now;

/// What a connection, or the gateway, tells the owner of the hub.
pub(super) enum ToHub {
    /// A connection has come, and can be reached there.
    Open(ConnectionId, mpsc::Sender<Outgoing>),
    /// Something has happened on a connection.
    Input(ConnectionId, Input),
    /// The relay has another secret.
    Secret(Secret),
    /// The operator takes something back.
    Revoke(
        Revocation,
        oneshot::Sender<Result<Revoked, TooManyRevocations>>,
    ),
    /// The server stops.
    Drain(Duration),
    /// The server has stopped.
    Stop,
}

/// What a connection should do.
pub(super) enum Outgoing {
    /// Send a message.
    Message(Option<Offset>, Arc<Message>),
    /// Find out whether the client lives.
    Ping,
    /// Close. Nothing follows.
    Close(Ending),
}

/// How many inputs are taken in before the counters are brought up to date.
const BATCH: usize = 64;
/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3_600);

pub(super) struct Owner {
    hub: Hub,
    clock: Clock,
    inbox: mpsc::Receiver<ToHub>,
    outboxes: HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    counters: Arc<SignalCounters>,
}

impl Owner {
    pub(super) fn new(
        hub: Hub,
        inbox: mpsc::Receiver<ToHub>,
        counters: Arc<SignalCounters>,
    ) -> Self {
        Self {
            hub,
            clock: Clock::start(),
            inbox,
            outboxes: HashMap::new(),
            counters,
        }
    }

    /// Runs until it is told to stop or nobody is left to tell it.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let sleep = tokio::time::sleep(LONG);
        tokio::pin!(sleep);
        loop {
            let wake = self.wake();
            if sleep.deadline() != wake {
                sleep.as_mut().reset(wake);
            }
            tokio::select! {
                taken = self.inbox.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                }
                () = &mut sleep => {}
            }
            let now = self.clock.now();
            for message in batch.drain(..) {
                if matches!(message, ToHub::Stop) {
                    return;
                }
                self.take(message, now);
            }
            self.do_what_is_due(now);
            self.gauge();
        }
    }

    fn wake(&self) -> tokio::time::Instant {
        match self.hub.poll_timeout() {
            Some(at) => self.clock.system(at).into(),
            None => tokio::time::Instant::now() + LONG,
        }
    }

    fn take(&mut self, message: ToHub, now: Now) {
        match message {
            ToHub::Open(connection, outbox) => {
                self.outboxes.insert(connection, outbox);
                self.hub.handle(connection, Input::Open, now);
            }
            ToHub::Input(connection, input) => {
                match input {
                    Input::Message { .. } => SignalCounters::count(&self.counters.messages_in),
                    Input::Closed | Input::Left => drop(self.outboxes.remove(&connection)),
                    _ => {}
                }
                self.hub.handle(connection, input, now);
            }
            ToHub::Secret(secret) => self.hub.handle_secret(secret, now),
            ToHub::Revoke(revocation, answer) => {
                let meant = self.hub.handle_revocation(revocation, now);
                // Who has asked may be gone.
                drop(answer.send(meant));
            }
            ToHub::Drain(within) => self.hub.handle_drain(within, now),
            ToHub::Stop => {}
        }
        self.give_out(now);
    }

    fn do_what_is_due(&mut self, now: Now) {
        if self.hub.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.hub.handle_timeout(now);
            self.give_out(now);
        }
    }

    /// Hands everything that the hub wants sent to the connections, waiting for none of them.
    fn give_out(&mut self, now: Now) {
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
                Event::Ping { connection } => self.hand(connection, Outgoing::Ping, now),
                Event::Close { connection, ending } => {
                    if ending.close == Close::TooSlow {
                        SignalCounters::count(&self.counters.slow_consumers);
                    }
                    self.counters.closed.count(ending.close.reason());
                    self.hand(connection, Outgoing::Close(ending), now);
                    self.outboxes.remove(&connection);
                }
            }
        }
    }

    fn hand(&mut self, connection: ConnectionId, outgoing: Outgoing, now: Now) {
        let Some(outbox) = self.outboxes.get(&connection) else {
            return;
        };
        match outbox.try_send(outgoing) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                // The connection sees that it has been let go without a word, and why.
                self.outboxes.remove(&connection);
                self.hub.handle(connection, Input::Stalled, now);
            }
            Err(TrySendError::Closed(_)) => {
                self.outboxes.remove(&connection);
                self.hub.handle(connection, Input::Closed, now);
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
    }
}
