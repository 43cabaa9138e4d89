//! Why the server ends a connection, and what its client had better do.

use std::sync::Arc;
use std::time::Duration;

/// Why the server ends a connection; each has a close code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client said `bye`.
    Bye,
    /// The server stops.
    GoingAway,
    /// What came is not the WebSocket protocol.
    NotWebSocket,
    /// A binary message came.
    Binary,
    /// Text that is not UTF-8 came.
    NotUtf8,
    /// A message longer than [`super::MESSAGE_BYTES`] came.
    TooLong,
    /// The client broke the protocol; an error before this says how.
    BrokenProtocol,
    /// No `hello` in time.
    NoHello,
    /// The access token is missing, bad or expired: another one is needed.
    Unauthorized,
    /// What the client had has been taken back, for good.
    Revoked,
    /// The client does not take in what it is sent.
    TooSlow,
    /// Nothing at all has come from the client for too long.
    Silent,
    /// A newer connection carries the session.
    Replaced,
    /// Far too many messages.
    Flooding,
    /// The server, or the subject, has as many sessions as it may have.
    Full,
    /// Too many sessions begin at present.
    Busy,
}

/// What a client had better do whose connection has been closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Come back, and resume.
    Retry,
    /// Go to another server, and resume there.
    Elsewhere,
    /// Get another access token, come back with it, and resume.
    Authorize,
    /// Not come back: it would only end in the same way.
    Never,
}

/// The end of a connection as its client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Why.
    pub close: Close,
    /// For how long the client should stay away at least. `None`: as it likes, spread at random.
    pub after: Option<Duration>,
    /// The base URL of the server to which the client should go, such as
    /// `https://green.example.org`.
    pub elsewhere: Option<Arc<str>>,
}

impl From<Close> for Ending {
    fn from(close: Close) -> Self {
        Self {
            close,
            after: None,
            elsewhere: None,
        }
    }
}

impl Ending {
    /// What the client had better do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self.elsewhere {
            Some(_) => Advice::Elsewhere,
            None => self.close.advice(),
        }
    }
}

impl Advice {
    /// What a word on the wire means; `None` for one that is not known here.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let all = [Self::Retry, Self::Elsewhere, Self::Authorize, Self::Never];
        all.into_iter().find(|advice| advice.name() == name)
    }

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Elsewhere => "elsewhere",
            Self::Authorize => "authorize",
            Self::Never => "never",
        }
    }
}

impl Close {
    /// The WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.row().0
    }

    /// The reason in a word that does not change.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    /// What the client had better do where it is told of no other server.
    #[must_use]
    pub const fn advice(self) -> Advice {
        self.row().2
    }

    /// For how long the client is kept away, from and to: it is told a time of its own between
    /// the two, so that those who are sent away together do not come back together.
    pub(super) const fn pause(self) -> Option<(Duration, Duration)> {
        match self {
            Self::Flooding => Some((Duration::from_secs(10), Duration::from_secs(15))),
            Self::Full => Some((Duration::from_secs(5), Duration::from_secs(10))),
            _ => None,
        }
    }

    const fn row(self) -> (u16, &'static str, Advice) {
        match self {
            Self::Bye => (1000, "bye", Advice::Never),
            Self::GoingAway => (1001, "going_away", Advice::Retry),
            Self::NotWebSocket => (1002, "not_websocket", Advice::Never),
            Self::Binary => (1003, "binary", Advice::Never),
            Self::NotUtf8 => (1007, "not_utf8", Advice::Never),
            Self::TooLong => (1009, "too_long", Advice::Never),
            Self::BrokenProtocol => (4400, "broken_protocol", Advice::Never),
            Self::NoHello => (4401, "no_hello", Advice::Retry),
            Self::Unauthorized => (4403, "unauthorized", Advice::Authorize),
            Self::TooSlow => (4408, "too_slow", Advice::Retry),
            Self::Silent => (4408, "silent", Advice::Retry),
            Self::Replaced => (4409, "replaced", Advice::Never),
            Self::Revoked => (4410, "revoked", Advice::Never),
            Self::Flooding => (4429, "flooding", Advice::Retry),
            Self::Full => (4503, "full", Advice::Retry),
            Self::Busy => (4503, "busy", Advice::Retry),
        }
    }
}
