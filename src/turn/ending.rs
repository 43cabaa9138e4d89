//! The end of an allocation, or of one of its relayed addresses.

use std::convert::Infallible;
use std::net::SocketAddr;

use super::action::Action;
use super::five_tuple::Transport;
use super::record::{End, Event};
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::Family;
use crate::time::Instant;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Ends an allocation and lets go of all that it held.
    pub(super) fn end(&mut self, id: AllocationId, why: End) {
        let Some(allocation) = self.table.remove(id) else {
            return;
        };
        if why != End::Failed && self.has_records() {
            let record = self.record_of(&allocation, Event::Ended(why));
            self.records.get_or_insert_default().push_back(record);
        }
        let transport = allocation.client().transport;
        for relayed in allocation.all_relayed() {
            self.unbind(id, relayed.address(), transport, allocation.is_tcp());
        }
        if let Some(connections) = allocation.connections() {
            self.end_connections(connections, &allocation.username);
        }
        self.siblings.disown(allocation.client());
        if let Some(next) = allocation.next_client() {
            self.siblings.disown(next);
        }
        self.siblings.release(&allocation.username);
        self.tally.allocations_ended += 1;
        self.tally.peers.allocations -= u64::from(allocation.is_tcp());
    }

    /// Ends the relayed address of `family`, and with it all that has to do with peers of that
    /// family; with the last one, the allocation (RFC 8656 section 8.1).
    pub(super) fn end_relayed(&mut self, id: AllocationId, family: Family, why: End) {
        let Some(allocation) = self.table.allocation_mut(id) else {
            return;
        };
        let Some(removed) = allocation.remove_relayed(family) else {
            return self.end(id, why);
        };
        let (transport, is_tcp) = (allocation.client().transport, allocation.is_tcp());
        self.unbind(id, removed.address(), transport, is_tcp);
        for connection in self.connections_where(id, |it| Family::of(it.peer.ip()) == family) {
            self.end_connection(connection);
        }
        self.table.reschedule(id);
        let forgotten: Result<(), Infallible> = self.change(id, |reachable| {
            reachable.forget(family);
            Ok(())
        });
        forgotten.expect("nothing in it can fail");
    }

    /// The time of one of its relayed addresses, or of both, is over.
    pub(super) fn end_expired(&mut self, id: AllocationId, now: Instant) {
        for family in [Family::V4, Family::V6] {
            let relayed = self
                .table
                .allocation(id)
                .and_then(|it| it.relayed_of(family));
            if relayed.is_some_and(|relayed| relayed.expires <= now) {
                self.end_relayed(id, family, End::Expired);
            }
        }
    }

    /// Takes a relayed address out of use, if it ever was in use.
    pub(super) fn unbind(
        &mut self,
        allocation: AllocationId,
        relayed: SocketAddr,
        transport: Transport,
        is_tcp: bool,
    ) {
        if relayed.port() != 0 {
            self.tally.unbound(transport, Family::of(relayed.ip()));
            if is_tcp {
                return self.unlisten(relayed);
            }
            self.siblings.publish(relayed, None);
            self.actions.push_back(Action::Unbind {
                allocation,
                relayed,
            });
        }
    }
}
