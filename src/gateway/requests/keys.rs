//! By what connections are known that requests carry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::Instant;

use super::carried::Carried;

/// How long a ticket is good.
const TICKET: Duration = Duration::from_secs(30);

/// A secret of 128 bits. Who shows it, is taken for the client of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self(key))
    }

    /// As it is written.
    pub(super) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// The connections by their keys, and tickets for one request each.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    connections: HashMap<Key, Arc<Carried>>,
    /// At most one a connection.
    tickets: HashMap<Key, (Key, Instant)>,
    ticket_of: HashMap<Key, Key>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} connections", self.connections.len())
    }
}

impl Keys {
    /// A key for a connection.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub(super) fn insert(&self, carried: Arc<Carried>) -> Result<Key, getrandom::Error> {
        let key = Key::random()?;
        self.known().connections.insert(key, carried);
        Ok(key)
    }

    /// The connection of this key, as it is written.
    pub(super) fn find(&self, text: &str) -> Option<(Key, Arc<Carried>)> {
        let key = Key::parse(text)?;
        let carried = self.known().connections.get(&key).map(Arc::clone)?;
        Some((key, carried))
    }

    /// A ticket for one request in place of the key, for those who can send no headers. The one
    /// before it is void.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub(super) fn ticket(&self, key: Key) -> Result<Key, getrandom::Error> {
        let ticket = Key::random()?;
        let mut known = self.known();
        if known.connections.contains_key(&key) {
            known.tickets.insert(ticket, (key, Instant::now() + TICKET));
            if let Some(before) = known.ticket_of.insert(key, ticket) {
                known.tickets.remove(&before);
            }
        }
        Ok(ticket)
    }

    /// The connection that this ticket stands for. It is void from now on.
    pub(super) fn redeem(&self, text: &str) -> Option<Arc<Carried>> {
        let ticket = Key::parse(text)?;
        let mut known = self.known();
        let (key, until) = known.tickets.remove(&ticket)?;
        known.ticket_of.remove(&key);
        let carried = known.connections.get(&key)?;
        (until > Instant::now()).then(|| Arc::clone(carried))
    }

    /// Nobody shall find this connection any more.
    pub(super) fn remove(&self, key: Key) {
        let mut known = self.known();
        known.connections.remove(&key);
        if let Some(ticket) = known.ticket_of.remove(&key) {
            known.tickets.remove(&ticket);
        }
    }

    /// Nothing panics while it is held, so it is right whoever panicked elsewhere.
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
