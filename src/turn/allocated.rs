//! What comes of an Allocate request once its sockets are there, or are not to be had.

use std::net::{IpAddr, SocketAddr};

use super::action::BindFailed;
use super::allocation::Relayed;
use super::mobile::Mobile;
use super::record::{End, Event};
use super::response::{Allocated, Body};
use super::server::{Pending, Server};
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{ErrorCode, Family};
use crate::time::Now;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// The caller has tried to bind the socket of an [`Action::Bind`](super::Action::Bind), or the
    /// listener of a [`TcpAction::Listen`](super::TcpAction::Listen), on `address`: to this port.
    /// Where the next higher port was wanted, too, the caller holds that until
    /// [`Action::Release`](super::Action::Release), or an `Action::Bind` that names it.
    pub fn handle_bound(
        &mut self,
        allocation: AllocationId,
        address: IpAddr,
        outcome: Result<u16, BindFailed>,
        now: Now,
    ) {
        let waiting = self
            .pending
            .iter()
            .position(|pending| pending.id == allocation);
        let Some(at) = waiting else { return };
        if let Ok(port) = outcome {
            self.note_port(at, SocketAddr::new(address, port));
        }
        self.pending[at].binds -= 1;
        if self.pending[at].binds == 0 {
            let pending = self.pending.swap_remove(at);
            self.answer_pending(pending, now);
        }
    }

    /// A socket of the allocation that waits at this place is there.
    fn note_port(&mut self, at: usize, relayed: SocketAddr) {
        let Pending {
            id,
            is_tcp,
            ref response,
            ..
        } = self.pending[at];
        let (transport, family) = (response.client.transport, Family::of(relayed.ip()));
        self.tally.bound(transport, family);
        let entry = self.table.allocation_mut(id);
        match entry.and_then(|entry| entry.relayed_of_mut(family)) {
            Some(place) => place.port = relayed.port(),
            None => self.unbind(id, relayed, transport, is_tcp),
        }
    }

    /// No socket is waited for any more: the client is answered.
    fn answer_pending(&mut self, pending: Pending, now: Now) {
        let Pending {
            id: allocation,
            mut response,
            lifetime,
            reserves,
            has_ticket,
            ..
        } = pending;
        response.body = match self.settle(allocation, reserves, now) {
            Ok(()) => {
                self.record(allocation, Event::Started);
                if has_ticket {
                    self.give_ticket(allocation);
                }
                self.allocated(allocation, lifetime)
            }
            Err(code) => {
                self.end(allocation, End::Failed);
                self.tally.refuse_request(code);
                self.alternates
                    .or_elsewhere(code, response.client, response.transaction_id)
            }
        };
        self.responses.push_back(response);
    }

    /// All sockets of a new allocation are there, or are not to be had. One of two is enough.
    fn settle(&mut self, id: AllocationId, reserves: bool, now: Now) -> Result<(), ErrorCode> {
        let capacity = ErrorCode::INSUFFICIENT_CAPACITY;
        let entry = self.table.allocation_mut(id).ok_or(capacity)?;
        let unbound = entry.all_relayed().find(|relayed| relayed.port == 0);
        if let Some(family) = unbound.map(Relayed::family) {
            entry.remove_relayed(family).ok_or(capacity)?;
            entry.extras.get_or_insert_default().refused = Some((family, capacity));
        }
        if entry.relayed.port == 0 {
            return Err(capacity);
        }
        if reserves {
            self.reserve_next(id, now)?;
        }
        let entry = self.table.allocation(id).ok_or(capacity)?;
        self.siblings.own(entry.client());
        self.publish(id);
        Ok(())
    }

    fn give_ticket(&mut self, id: AllocationId) {
        if let (Some(entry), Some(tickets)) = (self.table.allocation_mut(id), &mut self.tickets) {
            let ticket = tickets.make(entry.relayed.address());
            entry.extras.get_or_insert_default().mobile = Some(Mobile::new(ticket));
        }
    }

    /// What a client is told that has an allocation.
    pub(super) fn allocated(&self, id: AllocationId, lifetime: u32) -> Body {
        let Some(allocation) = self.table.allocation(id) else {
            return Body::Error(ErrorCode::ALLOCATION_MISMATCH);
        };
        let extras = allocation.extras.as_deref();
        let advertised = |relayed: &Relayed| self.config.policy.advertised(relayed.address());
        Body::Allocate(Box::new(Allocated {
            relayed: advertised(&allocation.relayed),
            second: allocation.second().map(advertised),
            refused: extras.and_then(|extras| extras.refused),
            token: extras.and_then(|extras| extras.token),
            ticket: allocation.mobile().map(|mobile| mobile.ticket),
            mapped: allocation.client().client,
            lifetime,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use crate::stun::Family;

    #[test]
    fn no_port_is_no_allocation() {
        let mut world = World::new();
        world.fail_binds(&[Family::V4]);
        let client = world.client("alice");
        assert_eq!(world.allocate(&client), Err(508));
        assert_eq!(world.allocations(), 0);
        world.fail_binds(&[]);
        assert!(world.allocate(&client).is_ok());
    }

    #[test]
    fn one_family_of_two_is_a_success_that_says_what_is_missing() {
        for (failing, given, refused) in [
            (Family::V6, [true], Some((2, 508))),
            (Family::V4, [false], Some((1, 508))),
        ] {
            let mut world = World::new();
            world.fail_binds(&[failing]);
            let client = world.client("alice");
            world.transaction(7);
            let granted = world.allocate_both(&client).expect("one");
            assert_eq!(granted.families(), given);
            assert_eq!(granted.refused, refused);
            world.transaction(7);
            assert_eq!(world.allocate_both(&client), Ok(granted));
            world.release(&client);
            assert_eq!(world.left_behind(), 0);
        }
        let mut world = World::new();
        world.fail_binds(&[Family::V4, Family::V6]);
        let client = world.client("alice");
        assert_eq!(world.allocate_both(&client), Err(508));
        assert_eq!(world.left_behind(), 0);
    }
}
