//! Who may come in: access tokens are checked here, on the task of the connection that shows
//! them, and whoever guesses is kept out for a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::debug;

use super::guesses::Guesses;
use crate::auth::jwt::{AccessTokens, TokenFault};
use crate::metrics::SignalCounters;
use crate::net::Clock;
use crate::signal::{Access, Close, Command, Grant, Message, Reject, Rejection, Request};

/// A connection may show another token so often: to check one costs more than most messages do.
const TOKEN_EVERY: Duration = Duration::from_secs(1);

/// What is asked of whoever comes in.
#[derive(Debug)]
pub(super) struct Door {
    /// `None` in open mode.
    tokens: ArcSwapOption<AccessTokens>,
    guesses: Guesses,
    clock: Clock,
    counters: Arc<SignalCounters>,
    unknown_keys: Option<Arc<Notify>>,
}

/// One who is at the door, for as long as its connection lives.
#[derive(Debug)]
pub(super) struct Visitor {
    door: Arc<Door>,
    address: Option<IpAddr>,
    /// From when on another token is looked at.
    next: Option<Instant>,
}

impl Door {
    pub(super) fn new(
        tokens: Option<Arc<AccessTokens>>,
        guesses_per_address: u32,
        counters: Arc<SignalCounters>,
        unknown_keys: Option<Arc<Notify>>,
    ) -> Self {
        Self {
            tokens: ArcSwapOption::new(tokens),
            guesses: Guesses::new(guesses_per_address),
            clock: Clock::start(),
            counters,
            unknown_keys,
        }
    }

    /// Checks tokens with other keys, or by other rules, from now on.
    pub(super) fn replace(&self, tokens: Arc<AccessTokens>) {
        self.tokens.store(Some(tokens));
    }

    /// For how long nobody at this address is let in, if so.
    pub(super) fn barred_for(&self, address: Option<IpAddr>) -> Option<Duration> {
        let barred = self.guesses.barred_for(address?, Instant::now())?;
        SignalCounters::count(&self.counters.barred);
        Some(barred)
    }

    fn verify(&self, access: &Access) -> Option<Result<Grant, TokenFault>> {
        let Access::Shown(token) = access else {
            return None;
        };
        let tokens = self.tokens.load();
        let claims = tokens.as_ref()?.verify(token, self.clock.now());
        Some(claims.and_then(Grant::new))
    }
}

impl Visitor {
    pub(super) fn new(door: &Arc<Door>, address: Option<IpAddr>) -> Self {
        Self {
            door: Arc::clone(door),
            address,
            next: None,
        }
    }

    /// Puts what a token grants in its place.
    pub(super) fn check(&mut self, command: &mut Result<Command, Rejection>) {
        let access = match command {
            Ok(Command::Hello(hello)) => &mut hello.access,
            Ok(Command::Request {
                request: Request::Authorize(access),
                ..
            }) => access,
            _ => return,
        };
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let Some(verified) = self.door.verify(access) else {
            return;
        };
        self.next = Some(now + TOKEN_EVERY);
        *access = match verified {
            Ok(grant) => Access::Granted(Arc::new(grant)),
            Err(fault) => self.refuse(fault),
        };
    }

    fn refuse(&self, fault: TokenFault) -> Access {
        debug!("a token is refused: {fault}");
        SignalCounters::count(&self.door.counters.tokens_refused);
        if fault == TokenFault::UnknownKey
            && let Some(unknown_keys) = &self.door.unknown_keys
        {
            unknown_keys.notify_one();
        }
        if !matches!(fault, TokenFault::Expired | TokenFault::NoKeys) {
            self.has_guessed();
        }
        Access::Refused(fault)
    }

    /// Takes note of what is said to the client.
    pub(super) fn is_told(&self, message: &Message) {
        if let Message::Error(rejection) = message
            && rejection.reject == Reject::NotAllowed
        {
            SignalCounters::count(&self.door.counters.joins_refused);
            self.has_guessed();
        }
    }

    /// Takes note that the connection is ended for what the hub does not see.
    pub(super) fn is_ended(&self, close: Close) {
        self.door.counters.closed.count(close.reason());
    }

    fn has_guessed(&self) {
        if let Some(address) = self.address {
            self.door.guesses.add(address, Instant::now());
        }
    }
}
