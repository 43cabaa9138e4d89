//! Allocate (RFC 8656 section 7.2).

use std::net::{IpAddr, SocketAddr};

use super::action::{Action, BindFailed, WantedPort};
use super::allocation::{Allocation, Extras, Relayed, expiry, granted_lifetime};
use super::meter::Meter;
use super::mobile::Mobile;
use super::record::{End, Event, Traffic};
use super::request::{Request, User};
use super::reservation::{Reservation, ReservationToken};
use super::response::{Allocated, Body, Response, UnknownAttributes};
use super::server::{Pending, Server};
use super::siblings::{QuotaReached, Siblings};
use super::table::AllocationId;
use super::tcp_action::TcpAction;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family};
use crate::time::Now;

/// The R bit of EVEN-PORT: also keep the next higher port for later.
const RESERVE_NEXT: u8 = 0x80;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// A relayed address of one family.
    One(Family, WantedPort),
    /// One of each family.
    Both(WantedPort),
    /// The address that the token stands for.
    Reserved(ReservationToken),
}

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
            Wanted::Reserved(token) => self.redeem(token, user)?,
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

    /// Takes the reserved address. It has counted on the quota of whoever reserved it; from now on
    /// it counts on the user's. Where that is exhausted, the reservation stays.
    fn redeem(&mut self, token: ReservationToken, user: User<'_>) -> Result<Places, ErrorCode> {
        let reservation = self.siblings.redeem(token);
        let reservation = reservation.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let Reservation { relayed, username } = &reservation;
        self.siblings.release(username);
        let refused = match self.claim(user.name) {
            Ok(()) => {
                let port = WantedPort::Reserved(relayed.port());
                return Ok(Places::one(relayed.ip(), port));
            }
            Err(code) => code,
        };
        if self.siblings.claim(username).is_ok() {
            self.siblings.hold(token, reservation);
        } else {
            self.actions
                .push_back(Action::Release { relayed: *relayed });
        }
        Err(refused)
    }

    /// The user must have some of the quota left, and the server of its own.
    fn claim(&self, username: &str) -> Result<(), ErrorCode> {
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
        let extras = is_rare.then(|| Extras {
            second: places.second.map(|ip| Relayed::on(ip, expires)),
            refused,
            meter,
            of_user,
            traffic,
            connections: kind.is_tcp.then(Vec::new),
            ..Extras::default()
        });
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
        let addresses = [Some(places.first), places.second];
        self.pending.push(Pending {
            id,
            response: Response::to(&request.message, request.client, Body::Done)
                .signed(user.signer),
            lifetime,
            binds: addresses.iter().flatten().count(),
            reserves: places.port == WantedPort::EvenAndNext,
            has_ticket: kind.has_ticket,
            is_tcp: kind.is_tcp,
        });
        let allocation = id;
        let binds = addresses.into_iter().flatten().map(|address| {
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

    /// The caller has tried to bind the socket of an [`Action::Bind`], or the listener of a
    /// [`TcpAction::Listen`], on `address`: to this port.
    /// Where the next higher port was wanted, too, the caller holds that until
    /// [`Action::Release`], or an [`Action::Bind`] that names it.
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
            let transport = self.pending[at].response.client.transport;
            self.tally.bound(transport, Family::of(address));
            let entry = self.table.allocation_mut(allocation);
            match entry.and_then(|entry| entry.relayed_of_mut(Family::of(address))) {
                Some(relayed) => relayed.port = port,
                None => {
                    let relayed = SocketAddr::new(address, port);
                    self.unbind(allocation, relayed, transport, self.pending[at].is_tcp);
                }
            }
        }
        self.pending[at].binds -= 1;
        if self.pending[at].binds > 0 {
            return;
        }
        let Pending {
            mut response,
            lifetime,
            reserves,
            has_ticket,
            ..
        } = self.pending.swap_remove(at);
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

    /// The socket on the next higher port waits for whoever shows the token.
    fn reserve_next(&mut self, id: AllocationId, now: Now) -> Result<(), ErrorCode> {
        let entry = self.table.allocation(id);
        let entry = entry.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let mut relayed = entry.relayed.address();
        relayed.set_port(relayed.port() + 1);
        let username = entry.username.clone();
        if let Err(refused) = self.claim(&username) {
            self.actions.push_back(Action::Release { relayed });
            return Err(refused);
        }
        let token = self.reservations.make(now.instant);
        let entry = self.table.allocation_mut(id);
        let entry = entry.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        entry.extras.get_or_insert_default().token = Some(token);
        let reservation = Reservation { relayed, username };
        if self.siblings.hold(token, reservation) {
            return Ok(());
        }
        self.reservations.forget(token);
        self.siblings.release(&entry.username);
        self.actions.push_back(Action::Release { relayed });
        Err(ErrorCode::INSUFFICIENT_CAPACITY)
    }

    /// A reservation's time is over: if nobody has used it, the address is free again.
    pub(super) fn end_reservation(&mut self, token: ReservationToken) {
        if let Some(Reservation { relayed, username }) = self.siblings.redeem(token) {
            self.siblings.release(&username);
            self.actions.push_back(Action::Release { relayed });
        }
    }

    fn allocated(&self, id: AllocationId, lifetime: u32) -> Body {
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

/// What a request asks for, if it may: the checks that need no state.
fn wanted(request: &Request<'_>) -> Result<Wanted, ErrorCode> {
    let message = &request.message;
    let port = match message.find(Attribute::EVEN_PORT) {
        None => WantedPort::Any,
        Some(&[flags]) if flags & RESERVE_NEXT == 0 => WantedPort::Even,
        Some(&[_]) => WantedPort::EvenAndNext,
        Some(_) => return Err(ErrorCode::BAD_REQUEST),
    };
    let family = message.find(Attribute::REQUESTED_ADDRESS_FAMILY);
    let additional = message.find(Attribute::ADDITIONAL_ADDRESS_FAMILY);
    // A token stands for an address, so nothing else may be said about it.
    if let Some(token) = message.find(Attribute::RESERVATION_TOKEN) {
        let alone = port == WantedPort::Any && family.is_none() && additional.is_none();
        let token = token.try_into().ok().filter(|_| alone);
        let token = token.ok_or(ErrorCode::BAD_REQUEST)?;
        return Ok(Wanted::Reserved(ReservationToken(token)));
    }
    let Some(additional) = additional else {
        // The family is IPv4 unless the client asks for another.
        let family = requested_family(request)?.unwrap_or(Family::V4);
        return Ok(Wanted::One(family, port));
    };
    // In addition to IPv4 there can only be IPv6, and no pair of ports.
    let is_v6 = matches!(additional, &[number, _, _, _] if number == Family::V6.number());
    if family.is_some() || port == WantedPort::EvenAndNext || !is_v6 {
        return Err(ErrorCode::BAD_REQUEST);
    }
    Ok(Wanted::Both(port))
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
    use super::super::world::{Client, Granted, World, address};
    use crate::stun::{Attribute, Family, Message, Method};

    const IN_ADDITION: Attribute = Attribute::ADDITIONAL_ADDRESS_FAMILY;
    const V6: &[u8] = &[2, 0, 0, 0];
    /// The R bit, and others that are reserved.
    const PAIR: &[u8] = &[0xff];

    fn families(granted: &Granted) -> Vec<bool> {
        granted.relayed.iter().map(|it| it.is_ipv4()).collect()
    }

    fn dual(world: &mut World, client: &Client) -> Result<Granted, u16> {
        world.allocate_with(client, &[(IN_ADDITION, V6)])
    }

    fn redeem(world: &mut World, client: &Client, token: &[u8]) -> Result<Granted, u16> {
        world.allocate_with(client, &[(Attribute::RESERVATION_TOKEN, token)])
    }

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
    fn an_even_port_can_be_asked_for() {
        let mut world = World::new();
        // Bits that are reserved mean nothing.
        for (value, expected) in [(&[0][..], Ok(true)), (&[0x7f], Ok(true)), (&[], Err(400))] {
            // A neighbour, so that the next free port is odd.
            world.allocated("bob");
            let client = world.client("alice");
            let granted = world.allocate_with(&client, &[(Attribute::EVEN_PORT, value)]);
            let outcome = granted.map(|it| it.relayed[0].port().is_multiple_of(2));
            assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn a_pair_of_ports_is_had_by_two_allocations_and_a_token() {
        let mut world = World::new();
        world.allocated("bob");
        let first = world.client("alice");
        world.transaction(7);
        let granted = world
            .allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)])
            .expect("a pair");
        let token = granted.token.clone().expect("a token");
        assert_eq!(token.len(), 8);
        // A retransmission brings the same token, not another pair.
        world.transaction(7);
        let again = world.allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!(again, Ok(granted.clone()));
        // Nobody else gets the second port, and another client may use it, once.
        let stranger = world.allocated("bob");
        let next = granted.relayed[0].port() + 1;
        assert_ne!(stranger.relayed.port(), next);
        let second = world.client("bob");
        let redeemed = redeem(&mut world, &second, &token).expect("the second port");
        assert_eq!(redeemed.relayed[0].port(), next);
        assert_eq!(redeemed.token, None);
        let third = world.client("alice");
        assert_eq!(redeem(&mut world, &third, &token), Err(508));
    }

    #[test]
    fn a_reservation_ends_after_half_a_minute_and_leaves_nothing() {
        let mut world = World::new();
        for round in 0..1_000 {
            let client = world.client("alice");
            let granted = world
                .allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)])
                .expect("a pair");
            assert_eq!(granted.relayed[0].port(), 50_000, "round {round}");
            world.release(&client);
            world.pass(29);
            assert_ne!(world.left_behind(), 0);
            world.pass(1);
            assert_eq!(world.left_behind(), 0);
            let token = granted.token.expect("a token");
            assert_eq!(redeem(&mut world, &client, &token), Err(508));
        }
    }

    #[test]
    fn a_reservation_counts_on_the_quota_until_it_is_used() {
        let mut world = World::new();
        world.set_quota(2);
        let (first, second) = (world.client("alice"), world.client("alice"));
        let granted = world
            .allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)])
            .expect("a pair");
        assert_eq!(world.allocate(&second), Err(486));
        // Somebody without quota leaves the reservation where it is.
        let others = [world.allocated("bob"), world.allocated("bob")];
        let token = granted.token.expect("a token");
        let other = world.client("bob");
        assert_eq!(redeem(&mut world, &other, &token), Err(486));
        assert!(redeem(&mut world, &second, &token).is_ok());
        for client in [first, second].iter().chain(&others) {
            world.release(client);
        }
        assert_eq!(world.left_behind(), 0);
        world.set_quota(1);
        let client = world.client("alice");
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(486), 0));
    }

    #[test]
    fn a_pair_that_cannot_be_reserved_is_no_allocation() {
        let mut world = World::new();
        let client = world.client("alice");
        world.refuse_reservations(true);
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(508), 0));
        world.refuse_reservations(false);
        world.fail_binds(&[Family::V4]);
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(508), 0));
    }

    #[test]
    fn an_address_of_each_family_can_be_had() {
        let mut world = World::new();
        let client = world.client("alice");
        world.transaction(7);
        let granted = dual(&mut world, &client).expect("both");
        assert_eq!(families(&granted), [true, false]);
        assert_eq!((granted.refused, granted.token.as_ref()), (None, None));
        assert_eq!(granted.lifetime, Some(600));
        world.transaction(7);
        assert_eq!(dual(&mut world, &client), Ok(granted));
        assert_eq!((world.allocations(), world.bound_sockets()), (1, 2));
        world.release(&client);
        assert_eq!(world.left_behind(), 0);
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
            let granted = dual(&mut world, &client).expect("one");
            assert_eq!(families(&granted), given);
            assert_eq!(granted.refused, refused);
            world.transaction(7);
            assert_eq!(dual(&mut world, &client), Ok(granted));
            world.release(&client);
            assert_eq!(world.left_behind(), 0);
        }
        let mut world = World::new();
        world.fail_binds(&[Family::V4, Family::V6]);
        let client = world.client("alice");
        assert_eq!(dual(&mut world, &client), Err(508));
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
            let granted = dual(&mut world, &client).expect("one");
            assert_eq!(families(&granted), given);
            assert_eq!(granted.refused, refused);
        }
        let mut world = World::on(&["2001:db8::9"]);
        let client = world.client("alice");
        assert_eq!(world.allocate(&client), Err(440));
    }

    #[test]
    fn attributes_that_contradict_each_other_are_refused() {
        let (even, token) = (Attribute::EVEN_PORT, Attribute::RESERVATION_TOKEN);
        let family = Attribute::REQUESTED_ADDRESS_FAMILY;
        let mut world = World::new();
        for attributes in [
            &[(token, &[0; 8][..]), (even, &[0])][..],
            &[(token, &[0; 8]), (family, &[1, 0, 0, 0])],
            &[(token, &[0; 8]), (IN_ADDITION, V6)],
            &[(token, &[0; 7])],
            &[(family, &[1, 0, 0, 0]), (IN_ADDITION, V6)],
            &[(even, PAIR), (IN_ADDITION, V6)],
            &[(IN_ADDITION, &[1, 0, 0, 0])],
            &[(IN_ADDITION, &[3, 0, 0, 0])],
            &[(IN_ADDITION, &[2])],
        ] {
            let client = world.client("alice");
            let outcome = world.allocate_with(&client, attributes);
            assert_eq!(outcome, Err(400), "{attributes:?}");
        }
        // Reserved bits of a family mean nothing, and an even port may be had of each.
        let client = world.client("alice");
        let both = [(even, &[0][..]), (IN_ADDITION, &[2, 0xff, 0xff, 0xff])];
        let granted = world.allocate_with(&client, &both).expect("both");
        assert!(granted.relayed.iter().all(|it| it.port().is_multiple_of(2)));
        assert_eq!(granted.relayed.len(), 2);
    }

    #[test]
    fn what_a_dual_allocation_relays_leaves_by_the_address_of_its_family() {
        let mut world = World::new();
        let client = world.client("alice");
        let granted = dual(&mut world, &client).expect("both");
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
        let others = dual(&mut world, &other).expect("both");
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
