//! Allocate (RFC 8656 section 7.2).

use std::net::IpAddr;

use super::action::{Action, WantedPort};
use super::allocation::{Allocation, Extras, Relayed, expiry, granted_lifetime};
use super::meter::Meter;
use super::record::Traffic;
use super::request::{Request, User};
use super::response::{Body, Response, UnknownAttributes};
use super::server::{Pending, Server};
use super::siblings::{QuotaReached, Siblings};
use super::table::AllocationId;
use super::tcp_action::TcpAction;
use super::wanted::{Wanted, wanted};
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family};
use crate::time::Instant;

/// The relayed addresses of an allocation to be.
#[derive(Clone, Copy, Debug)]
struct Places {
    first: IpAddr,
    second: Option<IpAddr>,
    /// The family that there is no address of.
    missing: Option<Family>,
    port: WantedPort,
}

/// What kind of allocation it will be.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whether its relayed addresses are for TCP (RFC 6062).
    is_tcp: bool,
    /// Whether it may move (RFC 8016).
    has_ticket: bool,
}

impl Places {
    fn one(first: IpAddr, port: WantedPort) -> Self {
        Self {
            first,
            second: None,
            missing: None,
            port,
        }
    }

    fn addresses(self) -> impl Iterator<Item = IpAddr> {
        [Some(self.first), self.second].into_iter().flatten()
    }
}

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// The answer, or none as long as the sockets are not there.
    pub(super) fn handle_allocate(
        &mut self,
        request: &Request<'_>,
        user: User<'_>,
    ) -> Result<Option<Body>, ErrorCode> {
        // The five-tuple must have no allocation yet; a retransmission is answered as before.
        if let Some(id) = self.table.of_client(&request.client) {
            return self.answer_again(id, request);
        }
        let has_ticket = self.wants_ticket(request)?;
        let is_tcp = self.wants_tcp(request)?;
        if is_tcp && has_ticket {
            return Err(ErrorCode::MOBILITY_FORBIDDEN);
        }
        let wanted = wanted(request)?;
        // The DF bit of what comes from clients cannot be seen here, so that it cannot be passed on
        // where IPv4 becomes IPv6 (section 3.7).
        let asks = request.message.find(Attribute::DONT_FRAGMENT).is_some();
        if asks && request.client.client.is_ipv4() && matches!(wanted, Wanted::One(Family::V6, _)) {
            let unsupported = UnknownAttributes::of(std::iter::once(Attribute::DONT_FRAGMENT));
            return Ok(unsupported.map(Body::Unknown));
        }
        let places = match wanted {
            Wanted::Reserved(token) => {
                let relayed = self.redeem(token, user)?;
                Places::one(relayed.ip(), WantedPort::Reserved(relayed.port()))
            }
            wanted => {
                let places = self.places(wanted)?;
                self.claim(user.name)?;
                places
            }
        };
        let kind = Kind { is_tcp, has_ticket };
        self.allocate(request, user, places, kind);
        Ok(None)
    }

    /// Where the relayed addresses will be. A family must be offered here; of two, one is enough.
    fn places(&self, wanted: Wanted) -> Result<Places, ErrorCode> {
        let on = |family| {
            let relay = self.config.policy.relay_address(family);
            relay.map(|relay| relay.bound)
        };
        let place = match wanted {
            Wanted::One(family, port) => on(family).map(|first| Places::one(first, port)),
            Wanted::Both(port) => match (on(Family::V4), on(Family::V6)) {
                (Some(first), second) => Some(Places {
                    second,
                    missing: second.is_none().then_some(Family::V6),
                    ..Places::one(first, port)
                }),
                (None, Some(second)) => Some(Places {
                    missing: Some(Family::V4),
                    ..Places::one(second, port)
                }),
                (None, None) => return Err(ErrorCode::INSUFFICIENT_CAPACITY),
            },
            Wanted::Reserved(_) => return Err(ErrorCode::INSUFFICIENT_CAPACITY),
        };
        place.ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
    }

    /// The user must have some of the quota left, and the server of its own.
    pub(super) fn claim(&self, username: &str) -> Result<(), ErrorCode> {
        self.siblings
            .claim(username)
            .map_err(|reached| match reached {
                QuotaReached::OfUser => ErrorCode::ALLOCATION_QUOTA_REACHED,
                QuotaReached::OfServer => ErrorCode::INSUFFICIENT_CAPACITY,
            })
    }

    /// All checks have passed: takes in the allocation, and has its sockets bound.
    fn allocate(&mut self, request: &Request<'_>, user: User<'_>, places: Places, kind: Kind) {
        let lifetime = granted_lifetime(request.message.find_u32(Attribute::LIFETIME));
        let lifetime = self.within_credentials(lifetime, user, request.now);
        let expires = expiry(lifetime, request.now.instant);
        let extras = self.extras(user, places, kind, expires);
        let id = self.table.insert(Allocation {
            reachable: self.newly_reachable(user.name, request.client),
            username: user.name.into(),
            key: user.signer.key,
            relayed: Relayed::on(places.first, expires),
            made_by: request.message.transaction_id(),
            extras: extras.map(Box::new),
        });
        self.tally.allocations_made += 1;
        self.tally.peers.allocations += u64::from(kind.is_tcp);
        self.pending.push(Pending {
            id,
            response: Response::to(&request.message, request.client, Body::Done)
                .signed(user.signer),
            lifetime,
            binds: places.addresses().count(),
            reserves: places.port == WantedPort::EvenAndNext,
            has_ticket: kind.has_ticket,
            is_tcp: kind.is_tcp,
        });
        self.bind(id, places, kind);
    }

    /// What few allocations have.
    fn extras(
        &self,
        user: User<'_>,
        places: Places,
        kind: Kind,
        expires: Instant,
    ) -> Option<Extras> {
        let refused = places
            .missing
            .map(|family| (family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED));
        let meter = Meter::new(self.config.max_bandwidth_per_allocation);
        let of_user = self.siblings.meter_of(user.name);
        let traffic = self.has_records().then(Traffic::default);
        let is_rare = kind.is_tcp
            || places.second.is_some()
            || refused.is_some()
            || meter.is_some()
            || of_user.is_some()
            || traffic.is_some();
        is_rare.then(|| Extras {
            second: places.second.map(|ip| Relayed::on(ip, expires)),
            refused,
            meter,
            of_user,
            traffic,
            connections: kind.is_tcp.then(Vec::new),
            ..Extras::default()
        })
    }

    /// Has the sockets of an allocation bound.
    fn bind(&mut self, allocation: AllocationId, places: Places, kind: Kind) {
        let binds = places.addresses().map(|address| {
            if kind.is_tcp {
                return Action::Tcp(TcpAction::Listen {
                    allocation,
                    address,
                });
            }
            Action::Bind {
                allocation,
                address,
                port: places.port,
            }
        });
        self.actions.extend(binds);
    }

    /// Answers a retransmission.
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
        if self.pending.iter().any(|pending| pending.id == id) {
            return Ok(None);
        }
        let lifetime = allocation.remaining(request.now.instant);
        Ok(Some(self.allocated(id, lifetime)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
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
    fn an_address_of_each_family_can_be_had() {
        let mut world = World::new();
        let client = world.client("alice");
        world.transaction(7);
        let granted = world.allocate_both(&client).expect("both");
        assert_eq!(granted.families(), [true, false]);
        assert_eq!((granted.refused, granted.token.as_ref()), (None, None));
        assert_eq!(granted.lifetime, Some(600));
        world.transaction(7);
        assert_eq!(world.allocate_both(&client), Ok(granted));
        assert_eq!((world.allocations(), world.bound_sockets()), (1, 2));
        world.release(&client);
        assert_eq!(world.left_behind(), 0);
    }

    #[test]
    fn a_family_that_the_server_has_not_is_told() {
        for (address, given, refused) in [
            ("198.51.100.9", [true], Some((2, 440))),
            ("2001:db8::9", [false], Some((1, 440))),
        ] {
            let mut world = World::on(&[address]);
            let client = world.client("alice");
            let granted = world.allocate_both(&client).expect("one");
            assert_eq!(granted.families(), given);
            assert_eq!(granted.refused, refused);
        }
        let mut world = World::on(&["2001:db8::9"]);
        let client = world.client("alice");
        assert_eq!(world.allocate(&client), Err(440));
    }

    #[test]
    fn what_a_dual_allocation_relays_leaves_by_the_address_of_its_family() {
        let mut world = World::new();
        let client = world.client("alice");
        let granted = world.allocate_both(&client).expect("both");
        let peers = [address("8.8.8.8:1"), address("[2a00:1450::1]:1")];
        assert_eq!(world.create_permission(&client, &peers), Ok(()));
        for (number, peer) in (0x4000..).zip(peers) {
            assert_eq!(
                world.send(&client, peer, b"hi"),
                Some((peer, b"hi".to_vec()))
            );
            world.bind_channel(&client, number, peer);
            assert!(world.channel(&client, number, b"hi").is_some());
        }
        // To another client of the server, it comes from the address of the same family.
        let other = world.client("bob");
        let others = world.allocate_both(&other).expect("both");
        for (own, theirs) in granted.relayed.iter().zip(&others.relayed) {
            world.permit(&client, *theirs);
            world.permit(&other, *own);
            let (to, bytes) = world.send(&client, *theirs, b"hi").expect("delivered");
            assert_eq!(to, other.five_tuple.client);
            let message = Message::parse(&bytes).expect("a Data indication");
            let from = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
            assert_eq!(from, Some(Ok(*own)));
        }
    }

    #[test]
    fn dont_fragment_is_refused_where_ipv4_would_be_turned_into_ipv6() {
        let mut world = World::new();
        let v4 = world.client("alice");
        let mut v6 = world.client("alice");
        v6.five_tuple.client = address("[2a00::1]:1000");
        v6.nonce = world.nonce(&v6);
        let mut allocate = |client: &Client, family: u8| {
            let family = [family, 0, 0, 0];
            let attributes = [
                (Attribute::REQUESTED_ADDRESS_FAMILY, &family[..]),
                (Attribute::DONT_FRAGMENT, &[]),
            ];
            let granted = world.allocate_with(client, &attributes);
            granted.map(|_| world.release(client))
        };
        assert_eq!(allocate(&v4, 2), Err(420));
        assert_eq!(allocate(&v4, 1), Ok(()));
        assert_eq!(allocate(&v6, 2), Ok(()));
        assert_eq!(allocate(&v6, 1), Ok(()));
    }

    #[test]
    fn unknown_attributes_are_named_after_authentication() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute(0x7777), &[]);
            writer.attribute(Attribute(0x8777), &[]);
            writer.attribute(Attribute::DONT_FRAGMENT, &[]);
            writer.attribute(Attribute(0x001b), &[]);
        });
        let answer = answer.expect("an answer");
        assert_eq!(World::code(&answer), Err(420));
        let message = Message::parse(&answer).expect("well formed");
        let unknown = message.find(Attribute::UNKNOWN_ATTRIBUTES);
        assert_eq!(unknown, Some(&[0x77, 0x77, 0x00, 0x1b][..]));
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
