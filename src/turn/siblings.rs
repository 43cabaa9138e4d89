//! What servers of one process share.

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection_id::ConnectionId;
use super::five_tuple::FiveTuple;
use super::meter::SharedMeter;
use super::party::Party;
use super::reachable::Reachable;
use super::reservation::{Reservation, ReservationToken};
use super::tcp_action::NoConnection;
use crate::time::Instant;

/// What a server must ask of all servers of the process, its own worker's and the others'.
pub trait Siblings {
    /// Counts one more allocation of `username`.
    ///
    /// # Errors
    /// If there are as many as there may be; nothing changes then.
    fn claim(&self, username: &str) -> Result<(), QuotaReached>;
    /// Takes back one [`Siblings::claim`].
    fn release(&self, username: &str);
    /// What all allocations of `username` together may relay, who has one; `None` for no limit.
    fn meter_of(&self, username: &str) -> Option<Arc<dyn SharedMeter>>;
    /// To whom an allocation of `username` belongs that is made from `client`; `None` if it may
    /// talk to everybody.
    fn party_of(&self, username: &str, client: FiveTuple) -> Option<Arc<dyn Party>> {
        let _ = (username, client);
        None
    }
    /// Whether `username` may have permissions for `count` peers more that it has none for; they
    /// are counted then.
    fn admit_peers(&self, username: &str, count: u32, now: Instant) -> bool;
    /// From now on, packets of `client` belong to this server.
    fn own(&self, client: FiveTuple);
    /// The same, no more.
    fn disown(&self, client: FiveTuple);
    /// From now on, this stands behind the relayed address `relayed`, as bound; with `None`,
    /// nothing does.
    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>);
    /// Keeps a reservation for whoever shows `token`; `false`, and no change, if there are as many
    /// as there may be.
    fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool;
    /// Takes out what is kept for `token`.
    fn redeem(&self, token: ReservationToken) -> Option<Reservation>;
    /// What `look` makes of that which stands behind `relayed`; `None` if nothing does.
    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R>;

    // What follows is only asked where there are TCP allocations (RFC 6062).

    /// From now on, connections are taken at the relayed address `relayed`, as bound, or are not.
    fn set_listening(&self, relayed: SocketAddr, is_listening: bool) {
        let _ = (relayed, is_listening);
    }
    /// To whom the relayed address `relayed`, at which connections are taken, belongs; `None` if it
    /// does not matter.
    fn set_party(&self, relayed: SocketAddr, party: Option<Arc<dyn Party>>) {
        let _ = (relayed, party);
    }
    /// What was said last by [`Siblings::set_party`].
    fn party_at(&self, relayed: SocketAddr) -> Option<Arc<dyn Party>> {
        let _ = relayed;
        None
    }
    /// Whether connections are taken at the relayed address `relayed`.
    fn is_listening(&self, relayed: SocketAddr) -> bool {
        let _ = relayed;
        false
    }
    /// Counts one more connection of `username` to a peer, which belongs to this server.
    ///
    /// # Errors
    /// If there can be none of this name, or none at all; nothing changes then.
    fn claim_connection(&self, name: ConnectionId, username: &str) -> Result<(), NoConnection> {
        let _ = (name, username);
        Err(NoConnection::Full)
    }
    /// Takes back one [`Siblings::claim_connection`].
    fn release_connection(&self, name: ConnectionId, username: &str) {
        let _ = (name, username);
    }
}

impl<S: Siblings> Siblings for Arc<S> {
    fn claim(&self, username: &str) -> Result<(), QuotaReached> {
        (**self).claim(username)
    }

    fn release(&self, username: &str) {
        (**self).release(username);
    }

    fn meter_of(&self, username: &str) -> Option<Arc<dyn SharedMeter>> {
        (**self).meter_of(username)
    }

    fn party_of(&self, username: &str, client: FiveTuple) -> Option<Arc<dyn Party>> {
        (**self).party_of(username, client)
    }

    fn admit_peers(&self, username: &str, count: u32, now: Instant) -> bool {
        (**self).admit_peers(username, count, now)
    }

    fn own(&self, client: FiveTuple) {
        (**self).own(client);
    }

    fn disown(&self, client: FiveTuple) {
        (**self).disown(client);
    }

    fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool {
        (**self).hold(token, reservation)
    }

    fn redeem(&self, token: ReservationToken) -> Option<Reservation> {
        (**self).redeem(token)
    }

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        (**self).publish(relayed, reachable);
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        (**self).reach(relayed, look)
    }

    fn set_party(&self, relayed: SocketAddr, party: Option<Arc<dyn Party>>) {
        (**self).set_party(relayed, party);
    }

    fn party_at(&self, relayed: SocketAddr) -> Option<Arc<dyn Party>> {
        (**self).party_at(relayed)
    }

    fn set_listening(&self, relayed: SocketAddr, is_listening: bool) {
        (**self).set_listening(relayed, is_listening);
    }

    fn is_listening(&self, relayed: SocketAddr) -> bool {
        (**self).is_listening(relayed)
    }

    fn claim_connection(&self, name: ConnectionId, username: &str) -> Result<(), NoConnection> {
        (**self).claim_connection(name, username)
    }

    fn release_connection(&self, name: ConnectionId, username: &str) {
        (**self).release_connection(name, username);
    }
}

/// Whose allocations are as many as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaReached {
    /// The user's.
    OfUser,
    /// All of the process.
    OfServer,
}
