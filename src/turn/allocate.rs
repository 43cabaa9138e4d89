//! Allocate (RFC 8656 section 7.2).

use std::sync::Arc;

use super::allocation::{Allocation, expiry, granted_lifetime};
use super::five_tuple::Transport;
use super::reachable::Reachable;
use super::request::{Request, User};
use super::response::{Body, Response};
use super::server::{Action, BindFailed, Pending, QuotaReached, Server, Siblings};
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family};
use crate::time::Now;

/// The number of UDP in the IP header, as REQUESTED-TRANSPORT names it.
const UDP: u8 = 17;

/// The R bit of EVEN-PORT: also keep the next higher port for later.
const RESERVE_NEXT: u8 = 0x80;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// The answer, or none as long as the socket is not there.
    pub(super) fn handle_allocate(
        &mut self,
        request: &Request<'_>,
        user: User<'_>,
    ) -> Result<Option<Body>, ErrorCode> {
        // The five-tuple must have no allocation yet; a retransmission is answered as before.
        if let Some(id) = self.table.of_client(request.client) {
            return self.answer_again(id, request);
        }
        // REQUESTED-TRANSPORT must be there and be UDP.
        let transport = request.message.find(Attribute::REQUESTED_TRANSPORT);
        match transport {
            Some([UDP, _, _, _]) => {}
            Some([_, _, _, _]) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL),
            _ => return Err(ErrorCode::BAD_REQUEST),
        }
        // An even port can be had; the reservation of the next one cannot, so far.
        let even = match request.message.find(Attribute::EVEN_PORT) {
            None => false,
            Some(&[flags]) if flags & RESERVE_NEXT == 0 => true,
            Some(&[_]) => return Err(ErrorCode::INSUFFICIENT_CAPACITY),
            Some(_) => return Err(ErrorCode::BAD_REQUEST),
        };
        // The family is IPv4 unless the client asks for another, and must be offered here.
        let family = requested_family(request)?.unwrap_or(Family::V4);
        let relay = self.config.policy.relay_address(family);
        let relay = relay.ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)?;
        // The user must have some of the quota left, and the server of its own.
        self.siblings
            .claim(user.name)
            .map_err(|reached| match reached {
                QuotaReached::OfUser => ErrorCode::ALLOCATION_QUOTA_REACHED,
                QuotaReached::OfServer => ErrorCode::INSUFFICIENT_CAPACITY,
            })?;
        let lifetime = granted_lifetime(request.message.find_u32(Attribute::LIFETIME));
        let id = self.table.insert(Allocation {
            reachable: Arc::new(Reachable::new(request.client)),
            username: user.name.into(),
            key: user.key,
            relayed: (relay.bound, 0).into(),
            made_by: request.message.transaction_id(),
            expires: expiry(lifetime, request.now.instant),
        });
        self.tally.allocations_made += 1;
        self.pending.push(Pending {
            id,
            response: Response::to(&request.message, request.client, Body::Done).signed(user.key),
            lifetime,
        });
        self.actions.push_back(Action::Bind {
            allocation: id,
            address: relay.bound,
            even,
        });
        Ok(None)
    }

    fn answer_again(
        &self,
        id: AllocationId,
        request: &Request<'_>,
    ) -> Result<Option<Body>, ErrorCode> {
        let allocation = self
            .table
            .allocation(id)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.made_by != request.message.transaction_id() {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        }
        if allocation.relayed.port() == 0 {
            return Ok(None);
        }
        let lifetime = allocation.remaining(request.now.instant);
        Ok(Some(self.allocated(allocation, lifetime)))
    }

    /// The caller has tried to bind the socket of an [`Action::Bind`]: to this port.
    pub fn handle_bound(
        &mut self,
        allocation: AllocationId,
        outcome: Result<u16, BindFailed>,
        now: Now,
    ) {
        let waiting = self
            .pending
            .iter()
            .position(|pending| pending.id == allocation);
        let Some(Pending {
            mut response,
            lifetime,
            ..
        }) = waiting.map(|at| self.pending.swap_remove(at))
        else {
            return;
        };
        response.body = match (outcome, self.table.allocation_mut(allocation)) {
            (Ok(port), Some(entry)) if entry.expires > now.instant => {
                entry.relayed.set_port(port);
                self.siblings
                    .publish(entry.relayed, Some(Arc::clone(&entry.reachable)));
                let entry = self
                    .table
                    .allocation(allocation)
                    .expect("it was there just now");
                self.allocated(entry, lifetime)
            }
            _ => {
                self.end(allocation);
                Body::Error(ErrorCode::INSUFFICIENT_CAPACITY)
            }
        };
        self.responses.push_back(response);
    }

    fn allocated(&self, allocation: &Allocation, lifetime: u32) -> Body {
        let Transport::Udp = allocation.client().transport;
        Body::Allocate {
            relayed: self.config.policy.advertised(allocation.relayed),
            mapped: allocation.client().client,
            lifetime,
        }
    }
}

/// What REQUESTED-ADDRESS-FAMILY says, if it is there.
pub(super) fn requested_family(request: &Request<'_>) -> Result<Option<Family>, ErrorCode> {
    match request.message.find(Attribute::REQUESTED_ADDRESS_FAMILY) {
        None => Ok(None),
        Some(&[number, _, _, _]) => {
            let family = Family::from_number(number);
            family
                .map(Some)
                .ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
        }
        Some(_) => Err(ErrorCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use crate::stun::{Attribute, Message, Method};

    #[test]
    fn a_client_gets_a_relayed_address_its_own_and_a_lifetime() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        let answer = answer.expect("an answer");
        let message = Message::parse(&answer).expect("well formed");
        let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
        assert_eq!(
            relayed.expect("there").expect("an address").ip(),
            address("198.51.100.9:0").ip()
        );
        let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(mapped, Some(Ok(client.five_tuple.client)));
        assert_eq!(message.find_u32(Attribute::LIFETIME), Some(600));
        assert!(message.verify_integrity(client.key().as_bytes()));
    }

    #[test]
    fn a_second_allocation_on_the_five_tuple_is_refused() {
        let mut world = World::new();
        let client = world.allocated("alice");
        assert_eq!(world.allocate(&client), Err(437));
    }

    #[test]
    fn a_retransmission_gets_the_same_answer() {
        let mut world = World::new();
        let client = world.client("alice");
        world.transaction(7);
        let first = world.allocate(&client).expect("allocated");
        world.transaction(7);
        assert_eq!(world.allocate(&client), Ok(first));
        assert_eq!(world.allocations(), 1);
    }

    #[test]
    fn the_transport_must_be_named_and_be_udp() {
        let mut world = World::new();
        let client = world.client("alice");
        for (value, code) in [(&[][..], 400), (&[17, 0], 400), (&[6, 0, 0, 0], 442)] {
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, value);
            });
            assert_eq!(World::code(&answer.expect("an answer")), Err(code));
        }
        let answer = world.request(&client, Method::ALLOCATE, |_| {});
        assert_eq!(World::code(&answer.expect("an answer")), Err(400));
    }

    #[test]
    fn lifetimes_are_from_ten_minutes_to_an_hour() {
        for (requested, granted) in [(0, 600), (5, 600), (700, 700), (u32::MAX, 3_600)] {
            let mut world = World::new();
            let client = world.client("alice");
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                writer.u32(Attribute::LIFETIME, requested);
            });
            let answer = answer.expect("an answer");
            let message = Message::parse(&answer).expect("well formed");
            assert_eq!(message.find_u32(Attribute::LIFETIME), Some(granted));
        }
    }

    #[test]
    fn the_family_is_as_requested_and_ipv4_otherwise() {
        let mut world = World::new();
        for (family, expected) in [(1, Ok(true)), (2, Ok(false)), (3, Err(440))] {
            let client = world.client("alice");
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
            });
            let answer = answer.expect("an answer");
            let is_v4 = World::code(&answer).map(|()| {
                let message = Message::parse(&answer).expect("well formed");
                let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
                relayed.expect("there").expect("an address").is_ipv4()
            });
            assert_eq!(is_v4, expected, "{family}");
        }
    }

    #[test]
    fn an_even_port_can_be_asked_for_but_not_a_pair() {
        let mut world = World::new();
        for (value, code) in [(&[0][..], Ok(())), (&[0x80], Err(508)), (&[], Err(400))] {
            // A neighbour, so that the next free port is odd.
            world.allocated("bob");
            let client = world.client("alice");
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                writer.attribute(Attribute::EVEN_PORT, value);
            });
            let answer = answer.expect("an answer");
            assert_eq!(World::code(&answer), code);
            if code.is_ok() {
                let message = Message::parse(&answer).expect("well formed");
                let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
                let port = relayed.expect("there").expect("an address").port();
                assert!(port.is_multiple_of(2));
            }
        }
    }

    #[test]
    fn unknown_attributes_are_named_after_authentication() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute(0x7777), &[]);
            writer.attribute(Attribute(0x8777), &[]);
            writer.attribute(Attribute(0x001a), &[]);
        });
        let answer = answer.expect("an answer");
        assert_eq!(World::code(&answer), Err(420));
        let message = Message::parse(&answer).expect("well formed");
        let unknown = message.find(Attribute::UNKNOWN_ATTRIBUTES);
        assert_eq!(unknown, Some(&[0x77, 0x77, 0x00, 0x1a][..]));
    }

    #[test]
    fn a_user_gets_no_more_than_the_quota() {
        let mut world = World::new();
        world.set_quota(2);
        let clients = [
            world.client("alice"),
            world.client("alice"),
            world.client("alice"),
        ];
        let outcomes = clients
            .each_ref()
            .map(|client| world.allocate(client).is_ok());
        assert_eq!(outcomes, [true, true, false]);
        assert_eq!(world.allocate(&clients[2]), Err(486));
        world.release(&clients[0]);
        assert!(world.allocate(&clients[2]).is_ok());
    }

    #[test]
    fn all_users_together_get_no_more_than_the_server_has() {
        let mut world = World::new();
        world.set_capacity(2);
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        let third = world.client("alice");
        assert_eq!(world.allocate(&third), Err(508));
        world.release(&bob);
        assert!(world.allocate(&third).is_ok());
        world.release(&alice);
    }

    #[test]
    fn no_port_is_no_allocation() {
        let mut world = World::new();
        world.fail_binds(true);
        let client = world.client("alice");
        assert_eq!(world.allocate(&client), Err(508));
        assert_eq!(world.allocations(), 0);
        world.fail_binds(false);
        assert!(world.allocate(&client).is_ok());
    }

    #[test]
    fn an_allocation_ends_with_its_lifetime() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1");
        world.pass(599);
        assert_eq!(world.allocations(), 1);
        world.permit(&client, peer);
        world.pass(1);
        assert_eq!(world.allocations(), 0);
        assert_eq!(world.send(&client, peer, b"late"), None);
        assert_eq!(world.bound_sockets(), 0);
    }
}
