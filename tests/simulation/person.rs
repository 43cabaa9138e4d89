//! One of the clients: one that is strict with the server, or the library.

use peerage::client::Step;
use peerage::signal::{Command, Ending, Message, Offset, SessionId};
use peerage::time::Instant;

use crate::client::Client;
use crate::ledger::News;
use crate::library::Library;
use crate::rooms::{View, Views};

pub(crate) enum Person {
    Strict(Box<Client>),
    Library(Box<Library>),
}

/// What becomes of the connection that a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Drop,
    Open,
}

impl Person {
    pub(crate) fn strict() -> Self {
        Self::Strict(Box::default())
    }

    pub(crate) fn library(seed: u64) -> Self {
        Self::Library(Box::new(Library::new(seed)))
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Strict(client) => client.session(),
            Self::Library(library) => library.session(),
        }
    }

    pub(crate) fn is_welcome(&self) -> bool {
        match self {
            Self::Strict(client) => client.is_welcome,
            Self::Library(library) => library.is_welcome,
        }
    }

    /// Whether it takes in what it is told and does not say so.
    pub(crate) fn is_forgetful(&self, now: Instant) -> bool {
        match self {
            Self::Strict(client) => client.forgetful_until > now,
            Self::Library(_) => false,
        }
    }

    pub(crate) fn views(&self, room: &str) -> Option<&Views> {
        match self {
            Self::Strict(client) => client.rooms.views.get(room),
            Self::Library(library) => library.views.get(room),
        }
    }

    pub(crate) fn view(&self, room: &str, of: SessionId) -> Option<&View> {
        self.views(room)?.get(&of)
    }

    /// The connection that it has asked for is open.
    pub(crate) fn open(&mut self, now: Instant) -> Vec<Command> {
        match self {
            Self::Strict(client) => vec![client.open(now)],
            Self::Library(library) => {
                library.open();
                library.commands()
            }
        }
    }

    pub(crate) fn take(
        &mut self,
        offset: Option<Offset>,
        message: &Message,
        now: Instant,
    ) -> Vec<Command> {
        match self {
            Self::Strict(client) => client.take(offset, message, now),
            Self::Library(library) => {
                library.take(offset, message, now);
                library.commands()
            }
        }
    }

    /// The connection has ended, by the server or by the network.
    pub(crate) fn end(&mut self, ending: Option<Ending>, now: Instant) {
        match self {
            Self::Strict(client) => client.is_welcome = false,
            Self::Library(library) => library.end(ending, now),
        }
    }

    pub(crate) fn due(&self, is_connected: bool) -> Option<Instant> {
        match self {
            Self::Strict(client) => is_connected.then(|| client.due()),
            Self::Library(library) => library.due(),
        }
    }

    pub(crate) fn tick(&mut self, is_connected: bool, now: Instant) -> Vec<Command> {
        match self {
            Self::Strict(client) if is_connected => client.tick(now),
            Self::Strict(_) => Vec::new(),
            Self::Library(library) => {
                library.tick(now);
                library.commands()
            }
        }
    }

    /// What it wants of its connections. A strict client wants another one at once.
    pub(crate) fn wishes(&mut self, is_connected: bool, now: Instant) -> Vec<Wish> {
        match self {
            Self::Strict(client) if is_connected && client.gives_up(now) => {
                client.is_welcome = false;
                vec![Wish::Drop, Wish::Open]
            }
            Self::Strict(_) if is_connected => Vec::new(),
            Self::Strict(_) => vec![Wish::Open],
            Self::Library(library) => {
                let steps = library.steps().into_iter();
                let wish = |step| match step {
                    Step::Open => Wish::Open,
                    Step::Drop => Wish::Drop,
                };
                steps.map(wish).collect()
            }
        }
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        match self {
            Self::Strict(client) => client.take_news(),
            Self::Library(library) => library.take_news(),
        }
    }
}
