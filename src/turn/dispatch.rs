//! From a message to the procedure that it asks for.

use super::five_tuple::FiveTuple;
use super::request::{Request, User};
use super::response::{Body, Response, UnknownAttributes};
use super::route::Route;
use super::server::{Sender, Server};
use super::siblings::Siblings;
use super::strangers::Stranger;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, Class, ErrorCode, Message, Method};
use crate::time::Now;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// A STUN message. What is malformed, of an unknown method, or of a class that a server does
    /// not take is met with silence (RFC 8489 section 6.3).
    pub(super) fn handle_message(
        &mut self,
        sender: Sender<'_>,
        datagram: &[u8],
        now: Now,
    ) -> Option<Route> {
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

    /// Whether `client` speaks to an address that is only there for behaviour discovery.
    fn answers_only_binding(&self, client: FiveTuple) -> bool {
        let discovery = self.config.nat_discovery.as_ref();
        discovery.is_some_and(|discovery| discovery.is_extra(client))
    }

    /// Whether a request claims to come from a listener or from a relayed address of this process:
    /// answers, and data after them, would go round in circles (RFC 8656 section 21.1.7).
    pub(super) fn is_our_own(&self, client: FiveTuple) -> bool {
        if client.transport.is_stream() {
            // Nobody forges where a stream comes from, and none of ours goes to a listener. A port
            // of TCP may have the number of a relayed address, and be a neighbour's.
            return false;
        }
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
    use std::net::SocketAddr;

    use super::super::five_tuple::Transport;
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::{Integrity, TransactionId, Writer};

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
}
