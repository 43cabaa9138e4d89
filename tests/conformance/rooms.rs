//! Allocations that talk within rooms only (`turn.peer_policy = "room"`), from signaling through to
//! the relay of the real binary.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use peerage::stun::{Attribute, Method};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::http::{get, post};
use crate::peers::receive_from;
use crate::prober::Prober;
use crate::process::{Process, configuration};
use crate::relay::{SECRET, time_limited_for};

const CHANNEL: u16 = 0x4000;

const REFUSED: &str = "peerage_turn_peers_outside_rooms_total";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose allocations talk within rooms only, where loopback is no network of its own.
fn server(turn: &str) -> Process {
    let turn = format!("peer_policy = \"room\"\nallow_peers = [\"127.0.0.0/8\"]\n{turn}");
    let text = configuration(&turn);
    Process::start_with(&text.replacen("listen = []", "listen = [\"127.0.0.1:0\"]", 1))
}

/// A session, and its client of the relay.
struct Session {
    server: SocketAddr,
    authorization: String,
    id: String,
    /// Its name and password for the relay.
    credentials: [String; 2],
    relay: Prober,
    sent: u64,
}

impl Session {
    fn new(server: &Process) -> Self {
        Self::at([127, 0, 0, 1], server)
    }

    /// One whose client of the relay has this address.
    fn at(ip: impl Into<IpAddr>, server: &Process) -> Self {
        let hello = json!({"type": "hello", "version": 1});
        let (status, answer) = post(server.http_at(), "/v1/connect", "", &hello);
        assert_eq!(status, 200, "{answer}");
        let welcome = &answer["messages"][0];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let servers = welcome["ice_servers"].as_array().expect("servers");
        let turn = servers.iter().find(|it| it["username"].is_string());
        let turn = turn.expect("a relay");
        let credentials = ["username", "credential"].map(|field| text(&turn[field]));
        Self {
            server: server.http_at(),
            authorization: format!("authorization: Bearer {}\r\n", text(&answer["connection"])),
            id: text(&welcome["session"]),
            relay: signed_in(ip.into(), server, &credentials),
            credentials,
            sent: 0,
        }
    }

    /// Says something; once this returns, the server has taken it in.
    fn say(&mut self, mut message: Value) {
        self.sent += 1;
        message["id"] = json!(self.sent);
        let (status, answer) = post(self.server, "/v1/messages", &self.authorization, &message);
        assert_eq!(status, 204, "{answer}");
    }

    fn join(mut self, room: &str) -> Self {
        self.say(json!({"type": "join", "room": room}));
        self
    }

    /// The epoch of the two, as the one who came later was told when it joined.
    fn epoch_with(&self, earlier: &Self) -> u64 {
        let path = "/v1/poll?cursor=0&wait=0";
        let (status, answer) = get(self.server, path, &self.authorization);
        assert_eq!(status, 200, "{answer}");
        let messages = answer["messages"].as_array().expect("messages").iter();
        let mut members = messages.filter_map(|it| it["members"].as_array()).flatten();
        let known = members.find(|member| member["session"] == earlier.id);
        let epoch = known.map(|member| member["epoch"].as_u64().expect("a number"));
        epoch.unwrap_or_else(|| panic!("not there: {answer}"))
    }

    /// Tells another member where it can be reached.
    fn announce(&mut self, to: &Self, at: SocketAddr) {
        let (ip, port) = (at.ip(), at.port());
        let candidate = format!("candidate:1 1 udp 2122260223 {ip} {port} typ host");
        let epoch = self.epoch_with(to);
        self.say(json!({
            "type": "candidate", "room": "blue", "to": to.id, "epoch": epoch,
            "body": {"candidate": candidate, "sdpMid": "0"},
        }));
    }
}

fn signed_in(ip: IpAddr, server: &Process, [username, password]: &[String; 2]) -> Prober {
    let mut relay = Prober::at(ip, server.turn);
    relay.learn_nonce();
    relay.sign_in_as(username, password);
    relay
}

/// Whether what `from` says to `peer` arrives at `to`.
fn arrives(from: &Session, peer: SocketAddr, to: &Session) -> bool {
    from.relay.indicate(peer, b"hello");
    from.relay.settle();
    !to.relay.settle().is_empty()
}

/// What `from` sends on its channel arrives at `peer` no more: the workers are told that somebody has
/// left, and look at once.
fn cannot_be_reached_soon(from: &Session, peer: &UdpSocket) {
    let began = Instant::now();
    let soon = Duration::from_millis(300);
    let is_reached = || {
        from.relay.channel(CHANNEL, b"still there?");
        from.relay.settle();
        receive_from(peer, soon).is_some()
    };
    while is_reached() {
        assert!(began.elapsed() < PATIENCE, "it goes on");
    }
}

#[test]
fn who_is_in_another_room_cannot_be_reached_though_all_have_one_address() {
    let server = server("");
    let [mut ada, grace] = [(); 2].map(|()| Session::new(&server).join("blue"));
    let [mallory, trudy] = [(); 2].map(|()| Session::new(&server).join("green"));
    let all = [&ada, &grace, &mallory, &trudy];
    let [of_ada, of_grace, of_mallory, of_trudy] =
        all.map(|session| session.relay.allocate().expect("allocated"));
    for peer in [of_ada, of_grace] {
        assert_eq!(mallory.relay.permit(&[peer]), Err(403));
        assert_eq!(mallory.relay.bind_channel(CHANNEL, peer), Err(403));
    }
    server.wait_for_metric(REFUSED, 4);
    // Permissions of their own, for the same address of the server:
    for (session, peer) in [
        (&ada, of_grace),
        (&grace, of_ada),
        (&mallory, of_trudy),
        (&trudy, of_mallory),
    ] {
        assert_eq!(session.relay.permit(&[peer]), Ok(()));
    }
    for (from, peer, to, expected) in [
        (&ada, of_grace, &grace, true),
        (&trudy, of_mallory, &mallory, true),
        (&mallory, of_ada, &ada, false),
        (&ada, of_mallory, &mallory, false),
        (&grace, of_trudy, &trudy, false),
    ] {
        assert_eq!(arrives(from, peer, to), expected, "to {peer}");
    }
    ada.say(json!({"type": "leave", "room": "blue"}));
    assert!(!arrives(&grace, of_ada, &ada));
    assert!(!arrives(&ada, of_grace, &grace));
    assert_eq!(ada.relay.permit(&[of_grace]), Err(403));
}

#[test]
fn what_a_member_has_announced_can_be_reached_until_it_leaves() {
    let server = server("");
    let [mut ada, mut grace] = [(); 2].map(|()| Session::new(&server).join("blue"));
    let mallory = Session::new(&server).join("green");
    for session in [&ada, &grace, &mallory] {
        session.relay.allocate().expect("allocated");
    }
    let peer = UdpSocket::bind("127.0.0.2:0").expect("a free port");
    let place = peer.local_addr().expect("bound");
    assert_eq!(ada.relay.permit(&[place]), Err(403));
    grace.announce(&ada, place);
    assert_eq!(ada.relay.bind_channel(CHANNEL, place), Ok(()));
    assert_eq!(mallory.relay.permit(&[place]), Err(403));
    assert_eq!(grace.relay.permit(&[place]), Err(403));
    ada.relay.channel(CHANNEL, b"hello");
    assert!(receive_from(&peer, PATIENCE).is_some());
    grace.say(json!({"type": "leave", "room": "blue"}));
    cannot_be_reached_soon(&ada, &peer);
    assert_eq!(ada.relay.bind_channel(CHANNEL, place), Err(403));
    ada.say(json!({"type": "leave", "room": "blue"}));
}

/// Nobody here can read what is said in a room that is sealed.
#[test]
fn members_can_be_reached_where_their_relay_clients_are_without_an_announcement() {
    let server = server("");
    let ada = Session::new(&server).join("blue");
    let grace = Session::at([127, 0, 0, 3], &server).join("blue");
    let mallory = Session::new(&server).join("green");
    for session in [&ada, &grace, &mallory] {
        session.relay.allocate().expect("allocated");
    }
    let place = "127.0.0.3:4000".parse().expect("an address");
    assert_eq!(ada.relay.permit(&[place]), Ok(()));
    assert_eq!(mallory.relay.permit(&[place]), Err(403));
}

#[test]
fn an_allocation_that_moves_reaches_and_is_reached_by_the_same_people_as_before() {
    let server = server("mobility = true");
    let [mut ada, mut grace] = [(); 2].map(|()| Session::new(&server).join("blue"));
    let mallory = Session::new(&server).join("green");
    let [of_grace, of_mallory] =
        [&grace, &mallory].map(|session| session.relay.allocate().expect("allocated"));
    let answer = ada
        .relay
        .allocate_with(&[(Attribute::MOBILITY_TICKET, &[])]);
    let of_ada = answer.addresses(Attribute::XOR_RELAYED_ADDRESS)[0];
    let mut ticket = answer.find(Attribute::MOBILITY_TICKET).expect("a ticket");
    let peer = UdpSocket::bind("127.0.0.2:0").expect("a free port");
    let place = peer.local_addr().expect("bound");
    grace.announce(&ada, place);
    assert_eq!(ada.relay.bind_channel(CHANNEL, place), Ok(()));
    assert_eq!(ada.relay.permit(&[of_grace]), Ok(()));
    assert_eq!(grace.relay.permit(&[of_ada]), Ok(()));
    // So many moves that it surely comes from where another worker hears it.
    for place_of_ada in 10..20 {
        let ip = IpAddr::from([127, 0, 0, place_of_ada]);
        let moved = signed_in(ip, &server, &ada.credentials);
        let answer = Answer(moved.request(Method::REFRESH, |writer| {
            writer.attribute(Attribute::MOBILITY_TICKET, &ticket);
        }));
        assert_eq!(answer.code(), 0);
        ticket = answer.find(Attribute::MOBILITY_TICKET).expect("a ticket");
        ada.relay = moved;
        assert!(arrives(&ada, of_grace, &grace), "after a move to {ip}");
        assert!(arrives(&grace, of_ada, &ada), "after a move to {ip}");
        assert_eq!(ada.relay.permit(&[of_mallory]), Err(403));
        assert_eq!(mallory.relay.permit(&[of_ada]), Err(403));
        let there = SocketAddr::new(ip, 4000);
        assert_eq!(grace.relay.permit(&[there]), Ok(()));
        assert_eq!(mallory.relay.permit(&[there]), Err(403));
        ada.relay.channel(CHANNEL, b"hello");
        assert!(receive_from(&peer, PATIENCE).is_some());
    }
    grace.say(json!({"type": "leave", "room": "blue"}));
    assert!(!arrives(&grace, of_ada, &ada));
    cannot_be_reached_soon(&ada, &peer);
    assert_eq!(ada.relay.bind_channel(CHANNEL, place), Err(403));
}

#[test]
fn credentials_of_no_session_reach_nobody() {
    let server = server(&format!("secret = \"{SECRET}\""));
    let ada = Session::new(&server).join("blue");
    let of_ada = ada.relay.allocate().expect("allocated");
    let listed = Prober::new(server.turn);
    let mut made = Prober::new(server.turn);
    let credentials = time_limited_for(600, "ada");
    made.sign_in_as(&credentials.username, credentials.password.expose());
    for client in [&listed, &made] {
        let own = client.allocate().expect("allocated");
        for peer in [of_ada, own, "127.0.0.2:4000".parse().expect("an address")] {
            assert_eq!(client.permit(&[peer]), Err(403), "{peer}");
        }
    }
}
