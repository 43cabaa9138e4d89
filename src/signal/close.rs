//! Why the server ends a connection.

/// Why the server ends a connection; each has a close code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client said `bye`.
    Bye,
    /// The server stops.
    GoingAway,
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
    /// The server has as many sessions as it may have.
    Full,
}

impl Close {
    /// The WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Bye => 1000,
            Self::GoingAway => 1001,
            Self::BrokenProtocol => 4400,
            Self::NoHello => 4401,
            Self::Unauthorized => 4403,
            Self::TooSlow | Self::Silent => 4408,
            Self::Replaced => 4409,
            Self::Revoked => 4410,
            Self::Flooding => 4429,
            Self::Full => 4503,
        }
    }

    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::GoingAway => "the server stops",
            Self::BrokenProtocol => "the protocol was broken",
            Self::NoHello => "no hello in time",
            Self::Unauthorized => "a good access token is needed",
            Self::Revoked => "revoked",
            Self::TooSlow => "the client reads too slowly",
            Self::Silent => "nothing was heard for too long",
            Self::Replaced => "a newer connection carries this session",
            Self::Flooding => "far too many messages",
            Self::Full => "the server is full",
        }
    }
}
