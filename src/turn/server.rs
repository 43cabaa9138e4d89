//! The server: input, output, and the fan-out to the procedures.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::action::Action;
use super::alternate::Alternates;
use super::config::Config;
use super::five_tuple::FiveTuple;
use super::indication::Indication;
use super::nonce::Nonces;
use super::peer_connections::PeerConnections;
use super::record::{End, Record};
use super::reservation::Reservations;
use super::response::{Challenge, Response};
use super::review::Review;
use super::route::{Route, ToClient};
use super::siblings::Siblings;
use super::strangers::Strangers;
use super::table::{AllocationId, Table};
use super::tally::{Refusal, Tally};
use super::ticket::Tickets;
use crate::auth::Credentials;
use crate::stun::{Protocol, TransactionId, classify};
use crate::time::{Instant, Now};

/// An answer to a client, encoded into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to, and from which address of ours.
    pub client: FiveTuple,
    /// How many bytes of the buffer.
    pub length: usize,
}

/// A client, and its allocation if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'c> {
    pub(super) client: &'c FiveTuple,
    pub(super) allocation: Option<AllocationId>,
}

impl Sender<'_> {
    /// Whether the client has an allocation.
    #[must_use]
    pub fn has_allocation(&self) -> bool {
        self.allocation.is_some()
    }
}

/// An Allocate request that waits for its sockets.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: AllocationId,
    /// Its body is put in when the sockets are there.
    pub(super) response: Response,
    pub(super) lifetime: u32,
    /// For how many sockets it waits.
    pub(super) binds: usize,
    /// Whether the next higher port is to be reserved.
    pub(super) reserves: bool,
    /// Whether the client gets a mobility ticket.
    pub(super) has_ticket: bool,
    /// Whether they are listeners for TCP.
    pub(super) is_tcp: bool,
}

/// A TURN server (RFC 8656), whatever carries its clients' messages.
///
/// Input goes in by `handle_*`, output comes out by return values and by `poll_*`. After every
/// `handle_*` call, call [`Server::poll_action`] until it gives `None`, answering each
/// [`Action::Bind`] by [`Server::handle_bound`], and then [`Server::poll_transmit`] until it
/// gives `None`. Before waiting, ask [`Server::poll_timeout`] how long, and call
/// [`Server::handle_timeout`] when that time has come.
///
/// | kind | methods |
/// |---|---|
/// | input | [`handle_client`](Self::handle_client), [`handle_sender`](Self::handle_sender), [`handle_peer`](Self::handle_peer), [`handle_icmp`](Self::handle_icmp), [`handle_bound`](Self::handle_bound), [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout), [`handle_peer_connection`](Self::handle_peer_connection), [`handle_connected`](Self::handle_connected), [`handle_stream`](Self::handle_stream), [`handle_connection_over`](Self::handle_connection_over), [`handle_terms`](Self::handle_terms), [`handle_review`](Self::handle_review), [`handle_rooms_changed`](Self::handle_rooms_changed), [`handle_stop`](Self::handle_stop) |
/// | output | their return values, [`poll_action`](Self::poll_action), [`poll_transmit`](Self::poll_transmit), [`poll_bound`](Self::poll_bound), [`poll_record`](Self::poll_record), [`poll_timeout`](Self::poll_timeout) |
/// | questions | [`sender`](Self::sender), [`has_output`](Self::has_output), [`connection_to_bind`](Self::connection_to_bind), [`stream_pause`](Self::stream_pause), [`tally`](Self::tally) |
pub struct Server<C, S> {
    pub(super) config: Config,
    pub(super) credentials: C,
    pub(super) siblings: S,
    pub(super) table: Table,
    pub(super) nonces: Nonces,
    pub(super) strangers: Strangers,
    pub(super) alternates: Alternates,
    pub(super) reservations: Reservations,
    /// `None`: allocations do not move.
    pub(super) tickets: Option<Tickets>,
    pub(super) pending: Vec<Pending>,
    pub(super) responses: VecDeque<Response>,
    pub(super) notices: VecDeque<Indication>,
    pub(super) actions: VecDeque<Action>,
    pub(super) tally: Tally,
    /// After a change of the terms.
    pub(super) review: Option<Review>,
    /// `None`: there are no TCP allocations.
    pub(super) tcp: Option<Box<PeerConnections>>,
    /// What is to be told of allocations; `None` if nobody wants to know.
    pub(super) records: Option<VecDeque<Record>>,
    indications: u64,
}

impl<C, S> std::fmt::Debug for Server<C, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// A server without allocations.
    pub fn new(config: Config, credentials: C, siblings: S) -> Self {
        Self {
            nonces: Nonces::new(&config.nonce_keys, config.username_anonymity),
            alternates: Alternates::new(&config.alternate_servers),
            strangers: Strangers::new(config.unauthenticated_rate, config.seed),
            credentials,
            siblings,
            table: Table::new(config.seed),
            tickets: config
                .mobility_key
                .map(|key| Tickets::new(&key, config.seed)),
            reservations: Reservations::new(&config.nonce_keys[0], config.seed),
            pending: Vec::new(),
            responses: VecDeque::new(),
            notices: VecDeque::new(),
            actions: VecDeque::new(),
            tally: Tally::default(),
            review: None,
            tcp: None,
            records: None,
            indications: 0,
            config,
        }
    }

    /// Also makes TCP allocations (RFC 6062), unless relayed addresses have no sockets. After
    /// [`Server::poll_transmit`], [`Server::poll_bound`] may then have something.
    #[must_use]
    pub fn with_tcp_relay(mut self) -> Self {
        let Config {
            nonce_keys, seed, ..
        } = &self.config;
        let connections = || Box::new(PeerConnections::new(&nonce_keys[0], *seed));
        self.tcp = (!self.config.portless).then(connections);
        self
    }

    /// The server stops: all allocations end.
    pub fn handle_stop(&mut self) {
        for index in 0..self.table.places() {
            if let Some(id) = self.table.at(index) {
                self.end(id, End::Stopped);
            }
        }
    }

    /// Who `client` is here: to be asked once for all datagrams that came together.
    #[must_use]
    pub fn sender<'c>(&self, client: &'c FiveTuple) -> Sender<'c> {
        Sender {
            client,
            allocation: self.table.of_client(client),
        }
    }

    /// A datagram from a client. Gives back where its payload goes, if it carries any; what is
    /// an answer to a request comes by [`Server::poll_transmit`].
    pub fn handle_client(&mut self, client: FiveTuple, datagram: &[u8], now: Now) -> Option<Route> {
        self.handle_sender(self.sender(&client), datagram, now)
    }

    /// The same, from a client that has been looked up.
    pub fn handle_sender(
        &mut self,
        sender: Sender<'_>,
        datagram: &[u8],
        now: Now,
    ) -> Option<Route> {
        // Nobody sends from port 0; what claims to would make the answer bounce.
        if sender.client.client.port() == 0 {
            return None;
        }
        match classify(datagram) {
            Protocol::ChannelData => {
                let route = self.relay_channel_data(sender, datagram, now);
                self.or_refused(route)
            }
            Protocol::Stun => self.handle_message(sender, datagram, now),
            Protocol::Dtls | Protocol::Other => None,
        }
    }

    /// A datagram of `length` bytes from `source` at the relayed address of an allocation. Gives
    /// back where it goes and what goes before it.
    pub fn handle_peer(
        &mut self,
        relayed: AllocationId,
        source: SocketAddr,
        length: usize,
        now: Now,
    ) -> Option<ToClient> {
        let route = self.relay_from_peer(relayed, source, length, now);
        self.or_refused(route)
    }

    /// The time of [`Server::poll_timeout`] has come: ends what has expired.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.table.pop_expired(now.instant) {
            self.end_expired(id, now.instant);
        }
        while let Some(token) = self.reservations.pop_expired(now.instant) {
            self.end_reservation(token);
        }
        self.end_late_connections(now.instant);
    }

    /// Whether [`Server::poll_action`] or [`Server::poll_transmit`] has something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.actions.is_empty() || !self.responses.is_empty() || !self.notices.is_empty()
    }

    /// The next thing to do with a relay socket.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Encodes the next answer, or Data indication with ICMP, into `buffer`, for which 2,000 bytes
    /// are always enough.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        let challenge = Challenge {
            realm: &self.config.realm,
            token_server_name: self.credentials.token_server_name(),
        };
        while let Some(response) = self.responses.pop_front() {
            // An answer that does not fit is none; the client will ask again.
            if let Ok(length) = response.encode(challenge, buffer) {
                return Some(Transmit {
                    client: response.client,
                    length,
                });
            }
        }
        let notice = self.notices.pop_front()?;
        let length = notice.encode(buffer).ok()?;
        Some(Transmit {
            client: notice.client(),
            length,
        })
    }

    /// When to call [`Server::handle_timeout`] next, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.table.next_expiry(),
            self.reservations.next_expiry(),
            self.tcp.as_ref().and_then(|tcp| tcp.next_expiry()),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// What has been counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What is to be relayed; what is not is counted.
    pub(super) fn or_refused<R>(&mut self, route: Result<R, Refusal>) -> Option<R> {
        match route {
            Ok(route) => Some(route),
            Err(why) => {
                self.tally.refuse_packet(why);
                None
            }
        }
    }

    /// A new id for an indication, which nobody answers: different is enough.
    pub(super) fn next_transaction_id(&mut self) -> TransactionId {
        self.indications = self.indications.wrapping_add(1);
        let mut id = [0; 12];
        id[..8].copy_from_slice(&(self.config.seed ^ self.indications).to_be_bytes());
        TransactionId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use crate::stun::{Attribute, Message, Method};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_server_panic(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20),
        ) {
            let mut world = World::new();
            let client = world.allocated("alice");
            for datagram in datagrams {
                world.deliver(client.five_tuple, &datagram);
            }
        }

        /// Signed requests with attributes of any kind and length.
        #[test]
        fn no_signed_request_makes_the_server_panic(
            requests in prop::collection::vec(
                (
                    prop::sample::select(vec![3_u16, 4, 8, 9]),
                    prop::collection::vec(
                        (
                            prop::sample::select(vec![
                                0x0c_u16, 0x0d, 0x12, 0x13, 0x17, 0x18, 0x19, 0x22, 0x7000, 0x8000,
                            ]),
                            prop::collection::vec(any::<u8>(), 0..21),
                        ),
                        0..5,
                    ),
                ),
                1..20,
            ),
        ) {
            let mut world = World::new();
            let client = world.client("alice");
            for (method, attributes) in requests {
                let answer = world.request(&client, Method(method), |writer| {
                    for (kind, value) in &attributes {
                        writer.attribute(Attribute(*kind), value);
                    }
                });
                let answer = answer.expect("every signed request has an answer");
                let message = Message::parse(&answer).expect("well formed");
                prop_assert!(message.verify_integrity(client.key().as_bytes()));
            }
            let sockets = world.bound_sockets() as u64;
            prop_assert!((world.allocations()..=2 * world.allocations()).contains(&sockets));
            world.pass(3_600);
            prop_assert_eq!(world.left_behind(), 0);
        }
    }

    #[test]
    fn ports_and_quota_are_conserved_whatever_ends_an_allocation() {
        let mut world = World::new();
        for round in 0..50 {
            let (kept, ended) = (world.allocated("alice"), world.allocated("bob"));
            world.permit(&kept, address("8.8.8.8:1"));
            world.release(&ended);
            world.pass(round * 13);
            assert_eq!(world.allocations() as usize, world.bound_sockets());
        }
        world.pass(600);
        assert_eq!((world.allocations(), world.bound_sockets()), (0, 0));
    }
}
