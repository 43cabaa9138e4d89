//! What all connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admission::Refused;
use super::door::Door;
use super::gate::{Gate, TurnedBack};
use super::requests::keys::Keys;
use super::settings::Settings;
use super::switchboard::Switchboard;
use crate::net::Admission;
use crate::signal::ConnectionId;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) hub: Arc<Switchboard>,
    pub(super) ready: AtomicBool,
    /// Whether those who come too late are let in for as long as it takes to send them on.
    pub(super) sends_on: AtomicBool,
    /// One for each connection that there may be.
    pub(super) places: Arc<Semaphore>,
    /// Those of each address that requests carry: they outlive the sockets that are counted.
    pub(super) addresses: Arc<Admission>,
    /// How many may come.
    pub(super) gate: Arc<Gate>,
    /// Who may come in.
    pub(super) door: Arc<Door>,
    /// The connections that requests carry.
    pub(super) keys: Keys,
    pub(super) connections: AtomicU64,
}

impl Shared {
    /// A place for one more connection, if there is one and not too many come.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, TurnedBack> {
        let is_open = self.ready.load(Ordering::Relaxed) || self.sends_on.load(Ordering::Relaxed);
        if !is_open {
            return Err(self.gate.turn_back(Refused::Stopping));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| self.gate.turn_back(Refused::Places))?;
        self.gate.admit()?;
        Ok(place)
    }

    /// An id that no connection has had.
    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }
}
