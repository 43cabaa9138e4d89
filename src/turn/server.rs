//! The server: input, output, and the fan-out to the procedures.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::allocation::Allocation;
use super::alternate::Alternates;
use super::connection_id::ConnectionId;
use super::five_tuple::{FiveTuple, Transport};
use super::indication::Indication;
use super::meter::SharedMeter;
use super::nat_discovery::NatDiscovery;
use super::nonce::Nonces;
use super::peer_connections::PeerConnections;
use super::policy::PeerPolicy;
use super::reachable::Reachable;
use super::record::{End, Event, Record};
use super::request::{Request, User};
use super::reservation::{Reservation, ReservationToken, Reservations};
use super::response::{Body, Challenge, Response, UnknownAttributes};
use super::review::Review;
use super::route::{Route, ToClient};
use super::strangers::{Stranger, Strangers};
use super::table::{AllocationId, Table};
use super::tally::{Refusal, Tally};
use super::tcp_action::{NoConnection, TcpAction};
use super::ticket::Tickets;

use crate::auth::Credentials;
use crate::stun::{
    Attribute, Class, ErrorCode, Family, Message, Method, Protocol, TransactionId, classify,
};
use crate::time::{Instant, Now};

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The realm of the long-term credentials; at most 127 characters.
    pub realm: String,
    /// Which peers are refused, and on which addresses relayed addresses are made.
    pub policy: PeerPolicy,
    /// Whether relayed addresses have no sockets: then only each other can be reached, and an
    /// [`Action::Bind`] is answered by a port that is free in the table of the caller.
    pub portless: bool,
    /// Answers a second to one address before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Bytes a second of application data that an allocation may relay in each direction; 0 is
    /// no limit. What goes straight to another client of this process counts with the sender.
    pub max_bandwidth_per_allocation: u64,
    /// Whether an allocation ends with the credentials that it is used with. Otherwise it may go
    /// on, but no new one can be made.
    pub strict_expiry: bool,
    /// What mobility tickets are made with (RFC 8016); the same for all servers of the process.
    /// `None`: allocations do not move.
    pub mobility_key: Option<[u8; 32]>,
    /// What nonces are made with, the first key, and checked with, all of them; there is at least
    /// one. Servers that a client may reach at one address share them.
    pub nonce_keys: Vec<[u8; 32]>,
    /// Whether clients are asked to hide the user's name behind USERHASH (RFC 8489 section 9.2).
    pub username_anonymity: bool,
    /// Where clients are sent that this server has no room for; they need the same users. Only
    /// those of the client's own family can be its first choice.
    pub alternate_servers: Vec<SocketAddr>,
    /// Where clients may find out what NATs they are behind (RFC 5780), if anywhere.
    pub nat_discovery: Option<NatDiscovery>,
    /// Randomness for transaction ids and tables; different for every server.
    pub seed: u64,
}

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

/// What the owner of the sockets has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bind a UDP socket on a relay port of `address` and call [`Server::handle_bound`] with it.
    Bind {
        /// Whose relayed address it will be.
        allocation: AllocationId,
        /// On which address of this machine.
        address: IpAddr,
        /// Which port.
        port: WantedPort,
    },
    /// Close the socket of a relayed address; its port is free.
    Unbind {
        /// Whose relayed address it was.
        allocation: AllocationId,
        /// The address, as bound.
        relayed: SocketAddr,
    },
    /// Let go of an address that was held beside [`WantedPort::EvenAndNext`]; its port is free.
    Release {
        /// The address, as bound.
        relayed: SocketAddr,
    },
    /// What TCP allocations need; only of a server [`with_tcp_relay`](Server::with_tcp_relay).
    Tcp(TcpAction),
}

/// The port that a relayed address shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedPort {
    /// Any free one.
    Any,
    /// A free one that is even.
    Even,
    /// The same, and the next higher port must be free and is held for later.
    EvenAndNext,
    /// This one, which was held.
    Reserved(u16),
}

/// No port could be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindFailed;

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
/// | input | [`handle_client`](Self::handle_client), [`handle_sender`](Self::handle_sender), [`handle_peer`](Self::handle_peer), [`handle_icmp`](Self::handle_icmp), [`handle_bound`](Self::handle_bound), [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout), [`handle_peer_connection`](Self::handle_peer_connection), [`handle_connected`](Self::handle_connected), [`handle_stream`](Self::handle_stream), [`handle_connection_over`](Self::handle_connection_over), [`handle_terms`](Self::handle_terms), [`handle_review`](Self::handle_review), [`handle_stop`](Self::handle_stop) |
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
    records: Option<VecDeque<Record>>,
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

    /// Also keeps account of every allocation: see [`Server::poll_record`].
    #[must_use]
    pub fn with_records(mut self) -> Self {
        self.records = Some(VecDeque::new());
        self
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

    /// Whether account is kept.
    pub(super) fn has_records(&self) -> bool {
        self.records.is_some()
    }

    /// What has happened to allocations since the last call.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.as_mut()?.pop_front()
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

    /// A STUN message. What is malformed, of an unknown method, or of a class that a server does
    /// not take is met with silence (RFC 8489 section 6.3).
    fn handle_message(&mut self, sender: Sender<'_>, datagram: &[u8], now: Now) -> Option<Route> {
        let message = Message::parse(datagram).ok()?;
        let client = *sender.client;
        if message.class() == Class::Request && self.is_our_own(client) {
            return None;
        }
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => {
                self.handle_binding(&Request {
                    client,
                    message,
                    now,
                });
                None
            }
            (
                Class::Request,
                Method::ALLOCATE
                | Method::REFRESH
                | Method::CREATE_PERMISSION
                | Method::CHANNEL_BIND,
            ) => {
                if !self.answers_only_binding(client) {
                    self.handle_request(&Request {
                        client,
                        message,
                        now,
                    });
                }
                None
            }
            (Class::Request, Method::CONNECT | Method::CONNECTION_BIND) if self.tcp.is_some() => {
                self.handle_request(&Request {
                    client,
                    message,
                    now,
                });
                None
            }
            (Class::Indication, Method::SEND) => {
                let route = self.relay_send_indication(sender, datagram, &message, now);
                self.or_refused(route)
            }
            _ => None,
        }
    }

    /// What is to be relayed; what is not is counted.
    fn or_refused<R>(&mut self, route: Result<R, Refusal>) -> Option<R> {
        match route {
            Ok(route) => Some(route),
            Err(why) => {
                self.tally.refuse_packet(why);
                None
            }
        }
    }

    /// Whether `client` speaks to an address that is only there for behaviour discovery.
    fn answers_only_binding(&self, client: FiveTuple) -> bool {
        let discovery = self.config.nat_discovery.as_ref();
        discovery.is_some_and(|discovery| discovery.is_extra(client))
    }

    /// Whether a request claims to come from a listener or from a relayed address of this process:
    /// answers, and data after them, would go round in circles (RFC 8656 section 21.1.7).
    pub(super) fn is_our_own(&self, client: FiveTuple) -> bool {
        let source = client.client;
        let is_relayed = || self.siblings.reach(source, |_| ()).is_some();
        // Relayed addresses without sockets send nothing; who has the same address is a neighbour.
        self.config.policy.sends_datagrams(source) || !self.config.portless && is_relayed()
    }

    /// A request that needs credentials: who is it, is it understood, and then the procedure.
    fn handle_request(&mut self, request: &Request<'_>) {
        let authenticated = match self.authenticate(request) {
            Ok(authenticated) => authenticated,
            Err(body) => {
                let is_signed = request.message.integrity().is_some();
                self.tally.fail(body.code(), is_signed);
                let response = Response::to(&request.message, request.client, body);
                return self.answer_stranger(request, response);
            }
        };
        let user = User {
            name: &authenticated.user.name,
            signer: authenticated.signer,
            expires: authenticated.user.expires,
        };
        let outcome = match self.unknown_attributes(&request.message) {
            Some(unknown) => {
                self.tally.refuse_request(ErrorCode::UNKNOWN_ATTRIBUTE);
                Ok(Some(Body::Unknown(unknown)))
            }
            None => self.dispatch(request, user),
        };
        let body = match outcome {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(code) => {
                self.tally.refuse_request(code);
                self.refusal(code, request)
            }
        };
        let response = Response::to(&request.message, request.client, body).signed(user.signer);
        self.responses.push_back(response);
    }

    /// The answer to a request that is refused. What was reserved is here and nowhere else.
    fn refusal(&self, code: ErrorCode, request: &Request<'_>) -> Body {
        let Request {
            client, message, ..
        } = request;
        let is_bound_here = message.find(Attribute::RESERVATION_TOKEN).is_some();
        if message.method() == Method::ALLOCATE && !is_bound_here {
            return self
                .alternates
                .or_elsewhere(code, *client, message.transaction_id());
        }
        Body::Error(code)
    }

    fn dispatch(
        &mut self,
        request: &Request<'_>,
        user: User<'_>,
    ) -> Result<Option<Body>, ErrorCode> {
        let method = request.message.method();
        if method == Method::ALLOCATE {
            if !self.config.policy.serves(request.client.client.ip()) {
                return Err(ErrorCode::FORBIDDEN);
            }
            return self.handle_allocate(request, user);
        }
        if method == Method::REFRESH
            && let Some(ticket) = request.message.find(Attribute::MOBILITY_TICKET)
        {
            return self.handle_move(request, user, ticket).map(Some);
        }
        if method == Method::CONNECTION_BIND {
            return self.handle_connection_bind(request, user).map(Some);
        }
        let id = self.allocation_of(request, user)?;
        if method == Method::CONNECT {
            return self.handle_connect(request, id, user);
        }
        match method {
            Method::REFRESH => self.handle_refresh(request, id, user),
            Method::CREATE_PERMISSION => self.handle_create_permission(request, id),
            _ => self.handle_channel_bind(request, id),
        }
        .map(Some)
    }

    /// The allocation that a request is about: there must be one (437), and it must be the
    /// user's own (441; RFC 8656 section 5).
    fn allocation_of(
        &self,
        request: &Request<'_>,
        user: User<'_>,
    ) -> Result<AllocationId, ErrorCode> {
        let id = self
            .table
            .of_client(&request.client)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let allocation = self
            .table
            .allocation(id)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if *allocation.username != *user.name {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        Ok(id)
    }

    /// What is granted of `lifetime` seconds to `user`: no more than the credentials last, where
    /// that is wanted. An access token always bounds it (RFC 7635 section 9).
    pub(super) fn within_credentials(&self, lifetime: u32, user: User<'_>, now: Now) -> u32 {
        let is_bounding = self.config.strict_expiry || user.signer.key.is_of_token();
        let expires = user.expires.filter(|_| is_bounding);
        let left = expires.map(|expires| expires.saturating_sub(now.unix).as_secs());
        let left = left.and_then(|left| u32::try_from(left).ok());
        left.map_or(lifetime, |left| lifetime.min(left))
    }

    /// Answers somebody who has not authenticated, unless the address has had enough answers.
    pub(super) fn answer_stranger(&mut self, request: &Request<'_>, response: Response) {
        let Request { client, now, .. } = *request;
        // Only who has signed well is told that the nonce is old: a call must not end because
        // somebody floods its address.
        let is_stale = response.body.code() == Some(ErrorCode::STALE_NONCE);
        let nonce = request.message.find(Attribute::NONCE);
        let shown = nonce.is_some_and(|nonce| self.nonces.is_fresh(nonce, client.client, now));
        let stranger = if is_stale || shown || client.transport.has_handshake() {
            Stranger::Proven
        } else {
            Stranger::Unproven
        };
        if self
            .strangers
            .admit(client.client.ip(), stranger, now.instant)
        {
            self.responses.push_back(response);
        } else {
            self.tally.unanswered += 1;
        }
    }

    /// The attributes of a message that must be understood and are not.
    pub(super) fn unknown_attributes(&self, message: &Message<'_>) -> Option<UnknownAttributes> {
        self.unknown_among(message.attributes().map(|(kind, _)| kind))
    }

    /// Those of some attributes that must be understood and are not.
    pub(super) fn unknown_among(
        &self,
        kinds: impl Iterator<Item = Attribute>,
    ) -> Option<UnknownAttributes> {
        let takes_tokens = self.credentials.token_server_name().is_some();
        UnknownAttributes::of(kinds.filter(|kind| {
            let is_known = is_known(*kind)
                || takes_tokens && *kind == Attribute::ACCESS_TOKEN
                || self.tcp.is_some() && *kind == Attribute::CONNECTION_ID;
            kind.must_be_understood() && !is_known
        }))
    }

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

    /// Something has happened to an allocation.
    pub(super) fn record(&mut self, id: AllocationId, event: Event) {
        if self.has_records()
            && let Some(allocation) = self.table.allocation(id)
        {
            let record = self.record_of(allocation, event);
            self.records.get_or_insert_default().push_back(record);
        }
    }

    fn record_of(&self, allocation: &Allocation, event: Event) -> Record {
        let relayed = allocation.all_relayed();
        let relayed = relayed.map(|it| self.config.policy.advertised(it.address()));
        let extras = allocation.extras.as_ref();
        Record {
            event,
            user: allocation.username.clone(),
            client: allocation.client(),
            is_tcp: allocation.is_tcp(),
            relayed: relayed.collect(),
            traffic: extras.and_then(|it| it.traffic).unwrap_or_default(),
        }
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
            reachable.permissions.forget(family);
            reachable.channels.forget(family);
            Ok(())
        });
        forgotten.expect("nothing in it can fail");
    }

    /// The time of one of its relayed addresses, or of both, is over.
    fn end_expired(&mut self, id: AllocationId, now: Instant) {
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

    /// Replaces what stands behind an allocation's relayed addresses.
    pub(super) fn change<E>(
        &mut self,
        id: AllocationId,
        change: impl FnOnce(&mut Reachable) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(allocation) = self.table.allocation_mut(id) else {
            return Ok(());
        };
        let mut reachable = Reachable::clone(&allocation.reachable);
        change(&mut reachable)?;
        allocation.reachable = Arc::new(reachable);
        self.publish(id);
        Ok(())
    }

    /// Lets all servers of the process know what stands behind an allocation's relayed addresses.
    pub(super) fn publish(&self, id: AllocationId) {
        let Some(allocation) = self.table.allocation(id) else {
            return;
        };
        for relayed in allocation.all_relayed() {
            if allocation.is_tcp() {
                self.siblings.set_listening(relayed.address(), true);
            } else {
                let published = Arc::clone(&allocation.reachable);
                self.siblings.publish(relayed.address(), Some(published));
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

/// Whether an attribute below 0x8000 means something here, in whatever message it stands.
fn is_known(kind: Attribute) -> bool {
    matches!(
        kind,
        Attribute::MAPPED_ADDRESS
            | Attribute::USERNAME
            | Attribute::MESSAGE_INTEGRITY
            | Attribute::ERROR_CODE
            | Attribute::UNKNOWN_ATTRIBUTES
            | Attribute::CHANNEL_NUMBER
            | Attribute::LIFETIME
            | Attribute::XOR_PEER_ADDRESS
            | Attribute::DATA
            | Attribute::REALM
            | Attribute::NONCE
            | Attribute::XOR_RELAYED_ADDRESS
            | Attribute::REQUESTED_ADDRESS_FAMILY
            | Attribute::EVEN_PORT
            | Attribute::REQUESTED_TRANSPORT
            | Attribute::MESSAGE_INTEGRITY_SHA256
            | Attribute::PASSWORD_ALGORITHM
            | Attribute::USERHASH
            | Attribute::XOR_MAPPED_ADDRESS
            | Attribute::RESERVATION_TOKEN
            | Attribute::DONT_FRAGMENT
    )
}

#[cfg(test)]
mod tests {
    use super::super::five_tuple::Transport;
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::{Integrity, Writer};
    use proptest::prelude::*;

    fn message(class: Class, method: Method) -> Vec<u8> {
        let mut buffer = [0; 100];
        let length = Writer::new(&mut buffer, class, method, TransactionId([1; 12])).finish();
        buffer[..length.expect("it fits")].to_vec()
    }

    #[test]
    fn whatever_is_no_request_meets_silence() {
        let mut world = World::new();
        let client = world.allocated("alice").five_tuple;
        for method in [0x001, 0x003, 0x004, 0x006, 0x007, 0x008, 0x009, 0x123] {
            for class in [
                Class::Request,
                Class::Indication,
                Class::Success,
                Class::Error,
            ] {
                let asked = class == Class::Request && [1, 3, 4, 8, 9].contains(&method);
                let (relayed, answer) = world.deliver(client, &message(class, Method(method)));
                assert_eq!(relayed, None);
                assert_eq!(answer.is_some(), asked, "{class:?} {method:#x}");
            }
        }
        for datagram in [
            &[][..],
            &[0],
            &[0; 19],
            &[0x40, 0, 0],
            &[0x16, 0xfe, 0xfd],
            &[0xff; 40],
        ] {
            assert_eq!(world.deliver(client, datagram), (None, None));
        }
    }

    #[test]
    fn what_claims_to_come_from_port_0_is_dropped() {
        let mut world = World::new();
        let mut client = world.client("alice").five_tuple;
        client.client.set_port(0);
        let answer = world.deliver(client, &message(Class::Request, Method::BINDING));
        assert_eq!(answer, (None, None));
    }

    #[test]
    fn strangers_leave_nothing_behind() {
        let mut world = World::new();
        for _ in 0..1_000 {
            let stranger = world.client("mallory");
            assert_eq!(world.allocate(&stranger), Err(401));
        }
        assert_eq!(world.server.poll_timeout(), None);
        assert_eq!(world.allocations(), 0);
    }

    /// A world in which an address gets two answers a second, and one in which its client has shown
    /// itself.
    fn strict() -> (World, Client) {
        let mut world = World::with(|config| config.unauthenticated_rate = 2);
        let client = world.client("alice");
        world.pass(1);
        (world, client)
    }

    /// How many answers `count` requests get that come from other ports of the client's address.
    fn flood(world: &mut World, method: Method, count: usize) -> usize {
        let clients = (0..count).map(|_| world.anybody("mallory"));
        let clients: Vec<Client> = clients.collect();
        let answers = clients.iter().filter_map(|it| world.unsigned(it, method));
        answers.count()
    }

    #[test]
    fn a_flooded_address_gets_few_answers_and_its_clients_go_on() {
        let (mut world, mut client) = strict();
        assert_eq!(flood(&mut world, Method::BINDING, 50), 2);
        assert_eq!(flood(&mut world, Method::ALLOCATE, 50), 0);
        // An address cannot be forged over a connection.
        let mut connected = world.anybody("bob");
        connected.five_tuple.transport = Transport::Tcp;
        assert!(world.unsigned(&connected, Method::ALLOCATE).is_some());
        client.relayed = world.allocate(&client).expect("allocated");
        for _ in 0..20 {
            assert_eq!(world.refresh(&client, None), Ok(600));
        }
        // A nonce that has become old is told, since it comes with a good signature.
        world.pass(599);
        assert_eq!(flood(&mut world, Method::ALLOCATE, 50), 2);
        world.pass(0);
        assert_eq!(world.refresh(&client, None), Ok(600));
        world.pass(2);
        assert_eq!(flood(&mut world, Method::ALLOCATE, 50), 2);
        assert_eq!(world.refresh(&client, None), Err(438));
    }

    #[test]
    fn who_guesses_passwords_is_soon_not_answered_and_takes_nothing_from_others() {
        let (mut world, mut guesser) = strict();
        guesser.password = "guess".to_owned();
        let answers = (0..50).filter_map(|_| world.request(&guesser, Method::REFRESH, |_| {}));
        assert_eq!(answers.count(), 2);
        assert_eq!(flood(&mut world, Method::ALLOCATE, 50), 2);
        let (mut world, forger) = strict();
        let mut forged = forger.clone();
        forged.nonce = Some(vec![b'n'; 37]);
        forged.password = "guess".to_owned();
        let answers = (0..50).filter_map(|_| world.request(&forged, Method::REFRESH, |_| {}));
        assert_eq!(
            answers.count(),
            2,
            "a nonce that is not ours proves nothing"
        );
        assert!(world.allocate(&forger).is_ok());
    }

    /// What an answer of `length` bytes takes on the wire.
    fn on_the_wire(length: usize, client: SocketAddr) -> usize {
        let (udp, ip) = (8, if client.is_ipv4() { 20 } else { 40 });
        length + udp + ip
    }

    /// Whether `answer` has nothing that the RFC does not ask for, each as short as can be.
    fn is_minimal(answer: &[u8]) -> bool {
        let message = Message::parse(answer).expect("well formed");
        message.attributes().all(|(kind, value)| match kind {
            Attribute::ERROR_CODE => value.len() == 4,
            Attribute::REALM => value == b"example.org",
            Attribute::NONCE => value.len() < 40,
            Attribute(0x8002) => value.len() <= 8,
            _ => false,
        })
    }

    #[test]
    fn nobody_unknown_gets_more_than_twice_what_was_sent_but_what_the_rfc_demands() {
        let mut world = World::new();
        for source in ["192.0.2.1:5", "[2001:db8::5]:5"].map(address) {
            let mut client = world.client("alice");
            client.five_tuple.client = source;
            for method in (0..=0x10).map(Method) {
                for sent in smallest_requests(method) {
                    let Some(answer) = world.deliver(client.five_tuple, &sent).1 else {
                        continue;
                    };
                    let (sent, got) = (sent.len(), answer.len());
                    let (sent, got) = (on_the_wire(sent, source), on_the_wire(got, source));
                    assert!(
                        got <= 2 * sent || is_minimal(&answer) && got <= 3 * sent,
                        "{method:?}: {sent} bytes get {got}: {answer:x?}"
                    );
                }
            }
        }
    }

    /// Requests without an attribute, with some that nobody knows, with an empty signature, and
    /// with FINGERPRINT.
    fn smallest_requests(method: Method) -> Vec<Vec<u8>> {
        let request = |fill: &dyn Fn(&mut Writer<'_>)| {
            let mut buffer = [0; 500];
            let id = TransactionId([1; 12]);
            let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
            fill(&mut writer);
            let length = writer.finish().expect("it fits");
            buffer[..length].to_vec()
        };
        let mut requests = vec![
            request(&|_| {}),
            request(&|writer| writer.fingerprint()),
            request(&|writer| writer.integrity(Integrity::Sha1, b"guess")),
            request(&|writer| writer.integrity(Integrity::Sha256, b"guess")),
            request(&|writer| writer.attribute(Attribute::MESSAGE_INTEGRITY, &[])),
            request(&|writer| writer.attribute(Attribute::MESSAGE_INTEGRITY_SHA256, &[])),
        ];
        requests.extend((1..40).map(|count| {
            request(&|writer| {
                (0..count).for_each(|kind| writer.attribute(Attribute(0x7000 + kind), &[]));
            })
        }));
        requests
    }

    #[test]
    fn an_answer_mirrors_the_fingerprint_of_the_request() {
        let mut world = World::new();
        let client = world.client("alice").five_tuple;
        let mut buffer = [0; 100];
        let id = TransactionId([1; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
        writer.fingerprint();
        let length = writer.finish().expect("it fits");
        let answer = world
            .deliver(client, &buffer[..length])
            .1
            .expect("an answer");
        assert!(
            Message::parse(&answer)
                .expect("well formed")
                .has_fingerprint()
        );
    }

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
