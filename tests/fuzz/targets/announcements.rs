//! What a member says to another one, of which the relay is told the addresses of candidates. Each
//! line is a message. Only what stands there is told, once and in one form, and nothing is left
//! out of what a browser would write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use peerage::dialect::native;
use peerage::signal::{Announcement, Config, ConnectionId, Event, Hub, Input, Message};
use peerage::time::Now;
use serde_json::{Value, json};

use super::bytes::Bytes;

/// So many candidates of a message are read.
const MOST: usize = 64;

pub(crate) fn run(input: &[u8]) {
    let mut room = Room::new();
    for line in input.split(|&byte| byte == b'\n').take(16) {
        let (which, rest) = line.split_first().unwrap_or((&0, line));
        let text = String::from_utf8_lossy(rest);
        match which % 4 {
            0 => room.says(&json!(text)),
            1 => room.says(&json!({"candidate": text, "sdpMid": "0"})),
            2 => room.says(&serde_json::from_str(&text).unwrap_or_default()),
            _ => {
                let named = addresses(rest);
                let expected: Vec<_> = named.iter().take(MOST).map(IpAddr::to_canonical).collect();
                let told = room.told_of(&json!({"type": "offer", "sdp": description(&named)}));
                let is_told = |address| told.contains(address);
                assert!(expected.iter().all(is_told), "{told:?} of {expected:?}");
                assert!(told.iter().all(|it| expected.contains(it)), "{told:?}");
            }
        }
    }
}

/// Two members of a room, one of whom speaks.
struct Room {
    hub: Hub,
    now: Now,
    from: String,
    to: String,
    /// The number of the last message.
    id: u64,
}

impl Room {
    fn new() -> Self {
        let config = Config {
            announces: true,
            ..Config::default()
        };
        let mut room = Self {
            hub: Hub::new(config, [1; 32]),
            now: Now::default(),
            from: String::new(),
            to: String::new(),
            id: 1,
        };
        room.from = room.enter(ConnectionId(1));
        room.to = room.enter(ConnectionId(2));
        while room.hub.poll_announcement().is_some() {}
        room
    }

    /// Lets somebody into the room; gives the session.
    fn enter(&mut self, connection: ConnectionId) -> String {
        self.hub.handle(connection, Input::Open, self.now);
        let told = self.say(connection, &json!({"type": "hello", "version": 1}));
        self.say(
            connection,
            &json!({"type": "join", "id": 1, "room": "blue"}),
        );
        let session = told.iter().find_map(|message| match &**message {
            Message::Welcome(welcome) => Some(welcome.session.to_string()),
            _ => None,
        });
        session.expect("a welcome")
    }

    /// Hands the hub a message; gives what it sends to all.
    fn say(&mut self, connection: ConnectionId, message: &Value) -> Vec<Arc<Message>> {
        let text = message.to_string();
        let input = Input::Message {
            length: text.len(),
            command: native::decode(text.as_bytes()).map_err(Into::into),
        };
        self.now = self.now.after(Duration::from_millis(20));
        self.hub.handle(connection, input, self.now);
        let events = std::iter::from_fn(|| self.hub.poll_event());
        let sent = events.filter_map(|event| match event {
            Event::Send { message, .. } => Some(message),
            _ => None,
        });
        sent.collect()
    }

    fn says(&mut self, body: &Value) {
        self.told_of(body);
    }

    /// Of which addresses the relay is told when this is said.
    fn told_of(&mut self, body: &Value) -> Vec<IpAddr> {
        self.id += 1;
        let offer = json!({"type": "offer", "id": self.id, "room": "blue", "to": self.to, "epoch": 2,
            "body": body});
        let sent = self.say(ConnectionId(1), &offer);
        let is_delivered = |message: &Arc<Message>| matches!(**message, Message::Delivery(_));
        assert!(sent.iter().any(is_delivered), "{offer}: {sent:?}");
        let told: Vec<_> = std::iter::from_fn(|| self.hub.poll_announcement()).collect();
        assert!(told.len() <= 1, "{told:?}");
        let Some(Announcement::Addresses {
            session,
            room,
            addresses,
        }) = told.into_iter().next()
        else {
            return Vec::new();
        };
        assert_eq!((session.to_string(), &*room), (self.from.clone(), "blue"));
        assert!((1..=MOST).contains(&addresses.len()));
        assert_told(&body.to_string(), &addresses);
        addresses
    }
}

/// Each of the addresses stands in the text, in one form or another, and is told once.
fn assert_told(text: &str, told: &[IpAddr]) {
    assert!(text.contains("candidate:"));
    let words = text.split(' ').filter_map(|word| word.parse().ok());
    let named: Vec<_> = words
        .map(|address: IpAddr| address.to_canonical())
        .collect();
    for (index, address) in told.iter().enumerate() {
        assert!(named.contains(address), "{address} of {text}");
        assert!(!told[..index].contains(address), "{address} twice");
    }
}

/// As many addresses as there are bytes for.
fn addresses(bytes: &[u8]) -> Vec<IpAddr> {
    let mut bytes = Bytes(bytes);
    let mut addresses = Vec::new();
    while !bytes.is_empty() {
        let kind = bytes.u8();
        let four = Ipv4Addr::from([bytes.u8(), bytes.u8(), bytes.u8(), bytes.u8()]);
        addresses.push(match kind % 3 {
            0 => four.into(),
            1 => four.to_ipv6_mapped().into(),
            _ => Ipv6Addr::from(u128::from(four.to_bits()) << 64 | 0x2001 << 112 | 1).into(),
        });
    }
    addresses
}

/// A description with a candidate for each, as browsers write it.
fn description(addresses: &[IpAddr]) -> String {
    let candidates = addresses.iter().zip(1..).map(|(address, number)| {
        format!("a=candidate:{number} 1 udp 2122260223 {address} 9 typ host generation 0\r\n")
    });
    let lines: String = candidates.collect();
    format!("v=0\r\nc=IN IP4 0.0.0.0\r\n{lines}a=end-of-candidates\r\n")
}
