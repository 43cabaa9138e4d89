//! NAT behaviour discovery (RFC 5780): a client finds out what NATs it is behind by asking for
//! answers from other addresses and ports than those that it has sent to.

use std::net::SocketAddr;

use super::five_tuple::{FiveTuple, Transport};
use crate::stun::{Attribute, ErrorCode, Family, Message, Writer};

/// The longest PADDING that is sent: what fills a packet of Ethernet, so that with the rest of the
/// answer it takes two.
const LONGEST_PADDING: usize = 1_500;

/// Two addresses and two ports, which make four places where Binding requests are answered over
/// UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatDiscovery {
    primary: SocketAddr,
    alternate: SocketAddr,
    extra: Vec<SocketAddr>,
}

impl NatDiscovery {
    /// `primary` is one of the `listeners`, which serve TURN over UDP; `alternate` has another
    /// address of its family, and another port.
    #[must_use]
    pub fn new(primary: SocketAddr, alternate: SocketAddr, listeners: &[SocketAddr]) -> Self {
        let mut this = Self {
            primary,
            alternate,
            extra: Vec::new(),
        };
        let mut extra = this.places().to_vec();
        extra.retain(|place| !listeners.contains(place));
        this.extra = extra;
        this
    }

    /// Those of the four places that are no listeners: nothing but Binding requests is answered
    /// there.
    #[must_use]
    pub fn extra(&self) -> &[SocketAddr] {
        &self.extra
    }

    fn places(&self) -> [SocketAddr; 4] {
        let Self {
            primary, alternate, ..
        } = *self;
        [
            primary,
            SocketAddr::new(primary.ip(), alternate.port()),
            SocketAddr::new(alternate.ip(), primary.port()),
            alternate,
        ]
    }

    /// Whether what `client` sends comes to one of the four places.
    pub(super) fn serves(&self, client: FiveTuple) -> bool {
        client.transport == Transport::Udp && self.places().contains(&client.server)
    }

    /// Whether what `client` sends comes where nothing but Binding requests is answered.
    pub(super) fn is_extra(&self, client: FiveTuple) -> bool {
        client.transport == Transport::Udp && self.extra.contains(&client.server)
    }

    /// The place with the other address and the other port than `place` (RFC 5780 section 6.1).
    fn other(&self, place: SocketAddr) -> SocketAddr {
        let Self {
            primary, alternate, ..
        } = self;
        SocketAddr::new(
            other_of(&place.ip(), primary.ip(), alternate.ip()),
            other_of(&place.port(), primary.port(), alternate.port()),
        )
    }

    /// Which way the answer to a request takes, and what it says of that (RFC 5780 section 6.1).
    pub(super) fn answer(&self, client: FiveTuple, wishes: Wishes) -> (FiveTuple, Behaviour) {
        let (asked, other) = (client.server, self.other(client.server));
        let ip = if wishes.change_ip { other } else { asked }.ip();
        let port = if wishes.change_port { other } else { asked }.port();
        let way = FiveTuple {
            client: SocketAddr::new(
                client.client.ip(),
                wishes.response_port.unwrap_or(client.client.port()),
            ),
            server: SocketAddr::new(ip, port),
            transport: client.transport,
        };
        let behaviour = Behaviour {
            mapped: client.client,
            origin: way.server,
            other,
            padding: wishes.padding,
        };
        (way, behaviour)
    }
}

/// Which of two it is not.
fn other_of<T: PartialEq>(this: &T, first: T, second: T) -> T {
    if *this == first { second } else { first }
}

/// Whether a request may only have this attribute where behaviour discovery is served.
pub(super) fn is_wish(kind: Attribute) -> bool {
    matches!(
        kind,
        Attribute::CHANGE_REQUEST | Attribute::RESPONSE_PORT | Attribute::PADDING
    )
}

/// What a Binding request wants beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    change_ip: bool,
    change_port: bool,
    /// To which port of its address the answer shall go.
    response_port: Option<u16>,
    /// How long the PADDING of the request is, if it has some.
    padding: Option<usize>,
}

impl Wishes {
    /// Reads them off a request.
    ///
    /// # Errors
    /// 400 if one of the attributes is malformed or asks for port 0, and for PADDING together with
    /// RESPONSE-PORT: nobody makes long answers go elsewhere.
    pub(super) fn of(message: &Message<'_>) -> Result<Self, ErrorCode> {
        let flags = match message.find(Attribute::CHANGE_REQUEST) {
            Some(value) => u32::from_be_bytes(value.try_into().or(Err(ErrorCode::BAD_REQUEST))?),
            None => 0,
        };
        let response_port = match message.find(Attribute::RESPONSE_PORT) {
            // The RFC draws two bytes of padding and does not say whether the length counts them.
            Some(&[high, low] | &[high, low, _, _]) => Some(u16::from_be_bytes([high, low])),
            Some(_) => return Err(ErrorCode::BAD_REQUEST),
            None => None,
        };
        let padding = message.find(Attribute::PADDING).map(<[u8]>::len);
        if response_port == Some(0) || response_port.is_some() && padding.is_some() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        Ok(Self {
            change_ip: flags & 0x4 != 0,
            change_port: flags & 0x2 != 0,
            response_port,
            padding,
        })
    }
}

/// What the answer to a Binding request says where behaviour discovery is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    /// Where the request came from.
    mapped: SocketAddr,
    /// Where the answer comes from.
    origin: SocketAddr,
    /// Where it would come from with the other address and the other port.
    other: SocketAddr,
    padding: Option<usize>,
}

impl Behaviour {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.address(Attribute::MAPPED_ADDRESS, self.mapped);
        writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, self.mapped);
        writer.address(Attribute::RESPONSE_ORIGIN, self.origin);
        writer.address(Attribute::OTHER_ADDRESS, self.other);
        if let Some(asked) = self.padding {
            writer.attribute(
                Attribute::PADDING,
                &[0; LONGEST_PADDING][..self.padded(asked)],
            );
        }
    }

    /// How long PADDING is in the answer to a request that has `asked` bytes of it: so long that
    /// the answer is no longer than the request, but for one that is shorter than four addresses.
    fn padded(&self, asked: usize) -> usize {
        let address = match Family::of(self.mapped.ip()) {
            Family::V4 => 12,
            Family::V6 => 24,
        };
        let length = asked.saturating_sub(4 * address).min(LONGEST_PADDING);
        length - length % 4
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use super::*;
    use crate::stun::{Class, Method, TransactionId, decode_address};
    use proptest::prelude::*;

    const PLACES: [&str; 4] = [
        "198.51.100.9:3478",
        "198.51.100.9:3479",
        "198.51.100.10:3478",
        "198.51.100.10:3479",
    ];

    fn discovery() -> NatDiscovery {
        let [primary, .., alternate] = PLACES.map(address);
        NatDiscovery::new(primary, alternate, &[primary])
    }

    fn discovering() -> World {
        discovering_at_a_rate(0)
    }

    fn discovering_at_a_rate(rate: u32) -> World {
        World::with(|config| {
            config.unauthenticated_rate = rate;
            let discovery = discovery();
            let listeners = PLACES.map(address).to_vec();
            config.policy = config.policy.clone().with_listeners(listeners);
            config.nat_discovery = Some(discovery);
        })
    }

    fn client_at(server: &str) -> FiveTuple {
        FiveTuple {
            client: address("203.0.113.1:10001"),
            server: address(server),
            transport: Transport::Udp,
        }
    }

    fn request(method: Method, attributes: &[(Attribute, &[u8])]) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let id = TransactionId([7; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        let length = writer.finish().expect("it fits");
        buffer.truncate(length);
        buffer
    }

    /// Asks; the way of the answer, and the answer.
    fn ask(
        world: &mut World,
        client: FiveTuple,
        attributes: &[(Attribute, &[u8])],
    ) -> Option<(FiveTuple, Vec<u8>)> {
        world.probe(client, &request(Method::BINDING, attributes))
    }

    fn found(answer: &[u8], kind: Attribute) -> Option<SocketAddr> {
        let message = Message::parse(answer).expect("well formed");
        message
            .find(kind)
            .map(|value| decode_address(value).expect("an address"))
    }

    fn change(flags: u8) -> [(Attribute, [u8; 4]); 1] {
        [(Attribute::CHANGE_REQUEST, [0, 0, 0, flags])]
    }

    #[test]
    fn an_answer_comes_from_where_the_request_wants_it_and_says_so() {
        let mut world = discovering();
        for asked in PLACES {
            let client = client_at(asked);
            let other = discovery().other(address(asked));
            for (flags, ip, port) in [
                (0, address(asked), address(asked)),
                (2, address(asked), other),
                (4, other, address(asked)),
                (6, other, other),
                // The other bits mean nothing.
                (0xf9, address(asked), address(asked)),
            ] {
                let [(kind, value)] = change(flags);
                let answer = ask(&mut world, client, &[(kind, &value)]);
                let (way, answer) = answer.expect("an answer");
                let origin = SocketAddr::new(ip.ip(), port.port());
                assert_eq!((way.client, way.server), (client.client, origin), "{flags}");
                for (kind, expected) in [
                    (Attribute::MAPPED_ADDRESS, client.client),
                    (Attribute::RESPONSE_ORIGIN, origin),
                    (Attribute::OTHER_ADDRESS, other),
                ] {
                    assert_eq!(found(&answer, kind), Some(expected), "{kind:?}");
                }
                let message = Message::parse(&answer).expect("well formed");
                let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
                assert_eq!(mapped, Some(Ok(client.client)));
            }
        }
    }

    #[test]
    fn without_wishes_the_other_address_is_told_all_the_same() {
        let mut world = discovering();
        let (way, answer) = ask(&mut world, client_at(PLACES[0]), &[]).expect("an answer");
        assert_eq!(way, client_at(PLACES[0]));
        let other = found(&answer, Attribute::OTHER_ADDRESS);
        assert_eq!(other, Some(address(PLACES[3])));
        assert_eq!(answer.len(), 68);
    }

    #[test]
    fn an_answer_goes_to_another_port_but_never_to_another_address() {
        let mut world = discovering();
        let client = client_at(PLACES[0]);
        let [(kind, change_both)] = change(6);
        for value in [&[0x30, 0x39][..], &[0x30, 0x39, 0, 0]] {
            let wishes = [(Attribute::RESPONSE_PORT, value), (kind, &change_both)];
            let (way, answer) = ask(&mut world, client, &wishes).expect("an answer");
            assert_eq!(way.client, address("203.0.113.1:12345"));
            assert_eq!(way.server, address(PLACES[3]));
            let mapped = found(&answer, Attribute::MAPPED_ADDRESS);
            assert_eq!(mapped, Some(client.client));
        }
    }

    #[test]
    fn what_goes_to_another_port_counts_like_every_answer_to_a_stranger() {
        let mut world = discovering_at_a_rate(2);
        let wishes = [(Attribute::RESPONSE_PORT, &[0x30, 0x39, 0, 0][..])];
        let answers = (0..20).filter_map(|_| ask(&mut world, client_at(PLACES[0]), &wishes));
        assert_eq!(answers.count(), 2);
    }

    #[test]
    fn no_answer_goes_to_the_server_itself() {
        let mut world = discovering();
        let mut client = client_at(PLACES[0]);
        client.client = address("198.51.100.10:5");
        let to_itself = 3_479_u16.to_be_bytes();
        let wishes = [(Attribute::RESPONSE_PORT, &to_itself[..])];
        assert_eq!(ask(&mut world, client, &wishes), None);
        let elsewhere = [(Attribute::RESPONSE_PORT, &[0x30, 0x39][..])];
        assert!(ask(&mut world, client, &elsewhere).is_some());
    }

    #[test]
    fn malformed_wishes_are_a_bad_request() {
        let mut world = discovering();
        for wishes in [
            &[(Attribute::CHANGE_REQUEST, &[0, 0, 6][..])][..],
            &[(Attribute::CHANGE_REQUEST, &[])],
            &[(Attribute::RESPONSE_PORT, &[])],
            &[(Attribute::RESPONSE_PORT, &[1, 2, 3])],
            &[(Attribute::RESPONSE_PORT, &[0, 0, 0, 0])],
            &[
                (Attribute::RESPONSE_PORT, &[0x30, 0x39, 0, 0]),
                (Attribute::PADDING, &[0; 100]),
            ],
        ] {
            let client = client_at(PLACES[0]);
            let (way, answer) = ask(&mut world, client, wishes).expect("an answer");
            assert_eq!(World::code(&answer), Err(400), "{wishes:?}");
            assert_eq!(way, client);
        }
    }

    #[test]
    fn who_wants_padding_gets_it_in_an_answer_that_is_no_longer_than_the_request() {
        let mut world = discovering();
        for source in ["203.0.113.1:10001", "[2001:db8::1]:10001"] {
            for length in [0, 3, 47, 48, 96, 100, 1_000, 1_500, 1_598, 9_000, 60_000] {
                let mut client = client_at(PLACES[0]);
                client.client = address(source);
                let padding = vec![0x20; length];
                let wishes = [(Attribute::PADDING, &padding[..])];
                let (_, answer) = ask(&mut world, client, &wishes).expect("an answer");
                let message = Message::parse(&answer).expect("well formed");
                let padding = message.find(Attribute::PADDING).expect("there");
                assert_eq!(padding.len() % 4, 0);
                assert!(padding.len() <= 1_500);
                let asked = request(Method::BINDING, &wishes).len();
                assert!(answer.len() <= asked || padding.is_empty(), "{length}");
            }
        }
    }

    #[test]
    fn only_the_four_places_serve_it_and_only_over_udp() {
        let mut world = discovering();
        let mut elsewhere = client_at("198.51.100.9:443");
        let mut connected = client_at(PLACES[0]);
        connected.transport = Transport::Tcp;
        for client in [&mut elsewhere, &mut connected] {
            let (_, answer) = ask(&mut world, *client, &[]).expect("an answer");
            assert_eq!(answer.len(), 32);
            for wish in [
                (Attribute::CHANGE_REQUEST, &[0; 4][..]),
                (Attribute::RESPONSE_PORT, &[0x30, 0x39, 0, 0]),
                (Attribute::PADDING, &[0; 100]),
            ] {
                let (_, answer) = ask(&mut world, *client, &[wish]).expect("an answer");
                assert_eq!(World::code(&answer), Err(420), "{wish:?}");
            }
        }
    }

    #[test]
    fn what_is_unknown_is_named_and_no_wish_is() {
        let mut world = discovering();
        let unknown = [
            (Attribute::CHANGE_REQUEST, &[0, 0, 0, 6][..]),
            (Attribute(0x7abc), b""),
        ];
        let client = client_at(PLACES[0]);
        let (way, answer) = ask(&mut world, client, &unknown).expect("an answer");
        assert_eq!(way, client);
        let message = Message::parse(&answer).expect("well formed");
        let named = message.find(Attribute::UNKNOWN_ATTRIBUTES);
        assert_eq!(named, Some(&[0x7a, 0xbc][..]));
    }

    #[test]
    fn the_extra_places_answer_nothing_but_binding_requests() {
        let mut world = discovering();
        for place in PLACES {
            let client = client_at(place);
            let allocate = request(Method::ALLOCATE, &[]);
            let is_listener = place == PLACES[0];
            assert_eq!(world.probe(client, &allocate).is_some(), is_listener);
            let mut who = world.anybody("alice");
            who.five_tuple = client;
            who.nonce = Some(vec![b'n'; 37]);
            let signed = world.request(&who, Method::REFRESH, |_| {});
            assert_eq!(signed.is_some(), is_listener);
        }
    }

    #[test]
    fn what_is_a_listener_already_needs_no_socket_and_stays_one() {
        let places = PLACES.map(address);
        let of = |listeners: &[SocketAddr]| {
            let discovery = NatDiscovery::new(places[0], places[3], listeners);
            discovery.extra().to_vec()
        };
        assert_eq!(of(&places[..1]), places[1..]);
        assert_eq!(of(&[places[0], places[2]]), [places[1], places[3]]);
        assert_eq!(of(&places), []);
    }

    proptest! {
        #[test]
        fn whatever_is_wished_the_answer_is_small_and_goes_to_who_has_asked(
            wishes in prop::collection::vec(
                (
                    prop::sample::select(vec![3_u16, 0x26, 0x27, 0x7000, 0x8000]),
                    prop::collection::vec(any::<u8>(), 0..200),
                ),
                0..5,
            ),
            place in 0..4_usize,
        ) {
            let mut world = discovering();
            let wishes = wishes.iter().map(|(kind, value)| (Attribute(*kind), &value[..]));
            let wishes: Vec<_> = wishes.collect();
            let client = client_at(PLACES[place]);
            let (way, answer) = ask(&mut world, client, &wishes).expect("an answer");
            prop_assert_eq!(way.client.ip(), client.client.ip());
            prop_assert!(PLACES.map(address).contains(&way.server));
            let request = request(Method::BINDING, &wishes);
            prop_assert!(answer.len() <= request.len().max(72));
        }
    }
}
