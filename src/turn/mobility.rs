//! Moving an allocation to another address of its client (RFC 8016).

use std::convert::Infallible;
use std::time::Duration;

use super::allocation::Relayed;
use super::five_tuple::{FiveTuple, Transport};
use super::record::{End, Event};
use super::request::{Request, User};
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use super::ticket::Named;
use crate::auth::Credentials;
use crate::stun::{Attribute, Class, ErrorCode, Message, Method};

/// For how long the old ticket is known, so that a request that is repeated gets its answer.
const OLD_TICKET: Duration = Duration::from_secs(30);

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Whether an Allocate request asks for a ticket: an empty one does.
    pub(super) fn wants_ticket(&self, request: &Request<'_>) -> Result<bool, ErrorCode> {
        match request.message.find(Attribute::MOBILITY_TICKET) {
            None => Ok(false),
            Some([]) if self.tickets.is_some() => Ok(true),
            Some([]) => Err(ErrorCode::MOBILITY_FORBIDDEN),
            Some(_) => Err(ErrorCode::BAD_REQUEST),
        }
    }

    /// Refresh with a ticket (section 3.2.2): the allocation is the ticket's, not the five-tuple's.
    pub(super) fn handle_move(
        &mut self,
        request: &Request<'_>,
        user: User<'_>,
        value: &[u8],
    ) -> Result<Body, ErrorCode> {
        // A connection stays with the worker that has taken it, and cannot be moved to.
        let tickets = self.tickets.as_ref();
        let tickets = tickets.filter(|_| request.client.transport == Transport::Udp);
        let tickets = tickets.ok_or(ErrorCode::MOBILITY_FORBIDDEN)?;
        let (ticket, named) = tickets.read(value).ok_or(ErrorCode::BAD_REQUEST)?;
        // The allocation must be there, and its ticket must be this one.
        let owner = self.owner_of(named).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let id = self.table.of_client(&owner);
        let id = id.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let allocation = self.table.allocation(id);
        let allocation = allocation.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let mobile = allocation.mobile().copied();
        let mobile = mobile.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let is_same_client = allocation.client() == request.client;
        // It must be the user's own.
        if *allocation.username != *user.name {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        // A repetition of the request that brought the last move is answered as before.
        let is_repeated = mobile.before.is_some_and(|(before, client, until)| {
            before == ticket && client == request.client && until > request.now.instant
        });
        if !is_repeated {
            if ticket != mobile.ticket || is_same_client || mobile.next == Some(request.client) {
                return Err(ErrorCode::BAD_REQUEST);
            }
            if self.table.of_client(&request.client).is_some() {
                return Err(ErrorCode::ALLOCATION_MISMATCH);
            }
        }
        let body = self.handle_refresh(request, id, user)?;
        if !is_repeated {
            self.begin_move(id, request);
        }
        Ok(match body {
            Body::Refresh { lifetime, .. } => {
                let allocation = self.table.allocation(id);
                let mobile = allocation.and_then(|allocation| allocation.mobile());
                let ticket = mobile.map(|mobile| mobile.ticket);
                Body::Refresh { lifetime, ticket }
            }
            other => other,
        })
    }

    /// The client may now send from the new five-tuple; until it does, the old one is served.
    fn begin_move(&mut self, id: AllocationId, request: &Request<'_>) {
        let Some(allocation) = self.table.allocation_mut(id) else {
            return;
        };
        let relayed = allocation.relayed.address();
        let (Some(mobile), Some(tickets)) = (allocation.mobile_mut(), self.tickets.as_mut()) else {
            return;
        };
        let until = request.now.instant + OLD_TICKET;
        mobile.before = Some((mobile.ticket, request.client, until));
        mobile.ticket = tickets.make(relayed);
        if let Some(given_up) = mobile.next.replace(request.client) {
            self.table.forget_next(given_up);
            self.siblings.disown(given_up);
        }
        self.table.expect_from(request.client, id);
        self.siblings.own(request.client);
        // What it belongs to stays; that it comes from there is new.
        if let Some(allocation) = self.table.allocation(id) {
            self.siblings.party_of(&allocation.username, request.client);
        }
    }

    /// Data have come from `client`: if that is where the allocation moves to, it has moved.
    pub(super) fn complete_move(&mut self, id: AllocationId, client: FiveTuple) {
        let allocation = self.table.allocation_mut(id);
        let Some(allocation) = allocation.filter(|it| it.next_client() == Some(client)) else {
            return;
        };
        let old = allocation.client();
        for family in allocation.all_relayed().map(Relayed::family) {
            self.tally.unbound(old.transport, family);
            self.tally.bound(client.transport, family);
        }
        if let Some(mobile) = allocation.mobile_mut() {
            mobile.next = None;
        }
        self.table.forget_next(client);
        self.table.unlink(id);
        let moved: Result<(), Infallible> = self.change(id, |reachable| {
            reachable.client = client;
            Ok(())
        });
        moved.expect("nothing in it can fail");
        self.table.link(id);
        self.siblings.disown(old);
        self.record(id, Event::Moved);
    }

    /// The connection of a client has ended. An allocation that may move waits for its client to
    /// come back by another way; any other ends (RFC 8656 section 3.1).
    pub fn handle_disconnect(&mut self, client: FiveTuple) {
        let Some(id) = self.table.of_client(&client) else {
            return;
        };
        let allocation = self.table.allocation(id);
        match allocation.map(|it| (it.mobile().is_some(), it.next_client())) {
            Some((true, Some(next))) => self.complete_move(id, next),
            Some((true, None)) => {}
            _ => self.end(id, End::Disconnected),
        }
    }

    /// The client whose allocation a Refresh with a ticket is about, whichever server has it.
    /// Only for datagrams from clients that have no allocation here.
    #[must_use]
    pub fn moved_client(&self, datagram: &[u8]) -> Option<FiveTuple> {
        let tickets = self.tickets.as_ref()?;
        let message = Message::parse(datagram).ok()?;
        if (message.class(), message.method()) != (Class::Request, Method::REFRESH) {
            return None;
        }
        let value = message.find(Attribute::MOBILITY_TICKET)?;
        self.owner_of(tickets.read(value)?.1)
    }

    fn owner_of(&self, named: Named) -> Option<FiveTuple> {
        let relay = self.config.policy.relay_address(named.family)?;
        let relayed = named.on(relay.bound);
        self.siblings.reach(relayed, |reachable| reachable.client)
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::Writer;

    fn mobile_world() -> World {
        World::with(|config| config.mobility_key = Some([9; 32]))
    }

    /// A client with an allocation that may move, and its ticket.
    fn mobile(world: &mut World) -> (Client, Vec<u8>) {
        mobile_over(world, Transport::Udp)
    }

    fn mobile_over(world: &mut World, transport: Transport) -> (Client, Vec<u8>) {
        let mut client = world.client("alice");
        client.five_tuple.transport = transport;
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(Attribute::MOBILITY_TICKET, &[]);
        });
        let answer = answer.expect("an answer");
        assert_eq!(World::code(&answer), Ok(()));
        let message = Message::parse(&answer).expect("well formed");
        let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
        client.relayed = relayed.expect("there").expect("an address");
        (client, ticket_of(&answer).expect("a ticket"))
    }

    fn ticket_of(answer: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(answer).expect("well formed");
        message.find(Attribute::MOBILITY_TICKET).map(<[u8]>::to_vec)
    }

    /// Refresh with a ticket: the new one.
    fn show(
        world: &mut World,
        client: &Client,
        ticket: &[u8],
        more: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Vec<u8>, u16> {
        let answer = world.request(client, Method::REFRESH, |writer| {
            writer.attribute(Attribute::MOBILITY_TICKET, ticket);
            more(writer);
        });
        let answer = answer.expect("an answer");
        World::code(&answer)?;
        Ok(ticket_of(&answer).unwrap_or_default())
    }

    #[test]
    fn an_allocation_moves_with_the_first_data_from_the_new_address() {
        for by_channel in [false, true] {
            let mut world = mobile_world();
            let (old, ticket) = mobile(&mut world);
            let peer = address("8.8.8.8:7");
            world.bind_channel(&old, 0x4000, peer);
            let mut new = world.client("alice");
            new.relayed = old.relayed;
            let next = show(&mut world, &new, &ticket, |_| {}).expect("moved");
            assert_ne!(next, ticket);
            // Until then, the old address is served both ways.
            assert!(world.channel(&old, 0x4000, b"hi").is_some());
            let (to, _) = world.at_relayed(&old, peer, b"hi").expect("permitted");
            assert_eq!(to, old.five_tuple);
            let sent = if by_channel {
                world.channel(&new, 0x4000, b"hi")
            } else {
                world.send(&new, peer, b"hi")
            };
            assert_eq!(sent, Some((peer, b"hi".to_vec())));
            // From then on, only the new one.
            let (to, _) = world.at_relayed(&new, peer, b"hi").expect("permitted");
            assert_eq!(to, new.five_tuple);
            assert_eq!(world.channel(&old, 0x4000, b"hi"), None);
            assert_eq!(world.refresh(&old, None), Err(437));
            assert_eq!(world.refresh(&new, None), Ok(600));
            // The new ticket is good for the next move, and the place left is free.
            let mut third = world.client("alice");
            third.relayed = old.relayed;
            assert!(show(&mut world, &third, &next, |_| {}).is_ok());
            assert!(world.allocate(&old).is_ok());
            world.release(&old);
            world.release(&third);
            assert_eq!((world.allocations(), world.left_behind()), (0, 0));
        }
    }

    #[test]
    fn a_move_is_accounted_for_with_the_new_address() {
        let mut world = mobile_world().recording();
        let (old, ticket) = mobile(&mut world);
        let peer = address("8.8.8.8:7");
        world.permit(&old, peer);
        let new = world.client("alice");
        show(&mut world, &new, &ticket, |_| {}).expect("moving");
        world.send(&new, peer, b"hi");
        let told: Vec<_> = std::iter::from_fn(|| world.server.poll_record()).collect();
        let told: Vec<_> = told.iter().map(|it| (it.event, it.client)).collect();
        let expected = [
            (Event::Started, old.five_tuple),
            (Event::Moved, new.five_tuple),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_repeated_request_is_answered_alike_for_half_a_minute() {
        let mut world = mobile_world();
        let (_, ticket) = mobile(&mut world);
        let new = world.client("alice");
        let next = show(&mut world, &new, &ticket, |_| {}).expect("moved");
        world.pass(29);
        assert_eq!(show(&mut world, &new, &ticket, |_| {}), Ok(next));
        // From elsewhere, it is of no use any more.
        let thief = world.client("alice");
        assert_eq!(show(&mut world, &thief, &ticket, |_| {}), Err(400));
        world.pass(1);
        assert_eq!(show(&mut world, &new, &ticket, |_| {}), Err(400));
        assert_eq!(world.allocations(), 1);
    }

    #[test]
    fn a_ticket_is_refused_where_it_does_not_fit() {
        let mut world = mobile_world();
        let (client, ticket) = mobile(&mut world);
        // From where the allocation is already; from another user; forged; of no allocation.
        assert_eq!(show(&mut world, &client, &ticket, |_| {}), Err(400));
        let other = world.client("bob");
        assert_eq!(show(&mut world, &other, &ticket, |_| {}), Err(441));
        let new = world.client("alice");
        let mut forged = ticket.clone();
        forged[7] ^= 1;
        for value in [&forged[..], &[], &[0; 500]] {
            assert_eq!(show(&mut world, &new, value, |_| {}), Err(400));
        }
        let busy = world.allocated("alice");
        assert_eq!(show(&mut world, &busy, &ticket, |_| {}), Err(437));
        world.release(&client);
        assert_eq!(show(&mut world, &new, &ticket, |_| {}), Err(437));
        // A later allocation on the same port is another one.
        let (_, later) = mobile(&mut world);
        assert_ne!(later, ticket);
        assert_eq!(show(&mut world, &new, &ticket, |_| {}), Err(400));
    }

    #[test]
    fn an_allocation_outlives_its_connection_and_moves_to_datagrams_but_not_back() {
        for is_shown_before in [false, true] {
            let mut world = mobile_world();
            let (old, ticket) = mobile_over(&mut world, Transport::Tcp);
            let peer = address("8.8.8.8:7");
            world.permit(&old, peer);
            let mut new = world.client("alice");
            new.relayed = old.relayed;
            if is_shown_before {
                assert!(show(&mut world, &new, &ticket, |_| {}).is_ok());
                world.server.handle_disconnect(old.five_tuple);
            } else {
                world.server.handle_disconnect(old.five_tuple);
                assert!(show(&mut world, &new, &ticket, |_| {}).is_ok());
                assert!(world.send(&new, peer, b"hi").is_some());
            }
            let (to, _) = world.at_relayed(&new, peer, b"hi").expect("permitted");
            assert_eq!(to, new.five_tuple);
            let [udp, tcp] = [Transport::Udp, Transport::Tcp].map(|it| it as usize);
            let relayed = world.server.tally().relayed;
            assert_eq!((relayed[udp], relayed[tcp]), ([1, 0], [0, 0]));
            let mut back = world.client("alice");
            back.five_tuple.transport = Transport::Tcp;
            assert_eq!(show(&mut world, &back, &ticket, |_| {}), Err(405));
            world.release(&new);
            assert_eq!((world.allocations(), world.left_behind()), (0, 0));
        }
    }

    #[test]
    fn a_flood_of_wrong_tickets_leaves_nothing() {
        let mut world = mobile_world();
        for _ in 0..1_000 {
            let client = world.client("alice");
            assert_eq!(show(&mut world, &client, &[b'A'; 32], |_| {}), Err(400));
        }
        assert_eq!((world.allocations(), world.left_behind()), (0, 0));
    }

    #[test]
    fn an_allocation_can_be_ended_from_the_new_address() {
        let mut world = mobile_world();
        let (_, ticket) = mobile(&mut world);
        let new = world.client("alice");
        let ended = show(&mut world, &new, &ticket, |writer| {
            writer.u32(Attribute::LIFETIME, 0);
        });
        assert_eq!(ended, Ok(vec![]));
        assert_eq!((world.allocations(), world.left_behind()), (0, 0));
    }

    #[test]
    fn an_allocation_that_is_about_to_move_ends_with_its_lifetime_and_leaves_nothing() {
        let mut world = mobile_world();
        let (_, mut ticket) = mobile(&mut world);
        for _ in 0..10 {
            let new = world.client("alice");
            ticket = show(&mut world, &new, &ticket, |_| {}).expect("moved");
        }
        world.pass(600);
        assert_eq!((world.allocations(), world.left_behind()), (0, 0));
    }

    #[test]
    fn who_moves_needs_a_ticket_that_the_server_gives() {
        let mut world = World::new();
        let client = world.client("alice");
        let ticket = |value: &'static [u8]| [(Attribute::MOBILITY_TICKET, value)];
        assert_eq!(world.allocate_with(&client, &ticket(&[])), Err(405));
        assert_eq!(world.allocate_with(&client, &ticket(&[1])), Err(400));
        let client = world.allocated("alice");
        assert_eq!(show(&mut world, &client, &[b'A'; 32], |_| {}), Err(405));
        // Who does not ask gets none.
        let mut world = mobile_world();
        let client = world.client("alice");
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        assert_eq!(ticket_of(&answer.expect("an answer")), None);
        let client = world.client("alice");
        assert_eq!(world.allocate_with(&client, &ticket(&[1])), Err(400));
    }
}
