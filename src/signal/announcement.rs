//! What the relay is told: who is in which room, and at which addresses its members say that they
//! are.

use std::net::IpAddr;

use super::ids::{RoomName, SessionId};

/// How many candidates of one message are read.
const CANDIDATES: usize = 64;
/// How far the address of a candidate may be from its beginning, in bytes.
const REACH: usize = 256;
/// What every candidate begins with, in a session description and alone (RFC 8839 section 5.1).
const BEGINNING: &str = "candidate:";
/// Before the address come the rest of the foundation, the component, the transport and the
/// priority.
const FIELDS_BEFORE_ADDRESS: usize = 4;

/// Something that the relay is to know where allocations talk only within rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A session is a member of a room from now on.
    Entered {
        /// The session.
        session: SessionId,
        /// The room.
        room: RoomName,
    },
    /// A session is a member of a room no more.
    Left {
        /// The session.
        session: SessionId,
        /// The room.
        room: RoomName,
    },
    /// A member of a room has told another one where it can be reached.
    Addresses {
        /// The member.
        session: SessionId,
        /// The room.
        room: RoomName,
        /// Where.
        addresses: Vec<IpAddr>,
    },
}

/// The addresses that candidates name, wherever in `body` these stand: alone, as a line of a session
/// description, or within whatever form a client gives them. Names (mDNS) are no addresses. In JSON
/// nothing of a candidate is written in another way.
pub(super) fn addresses_in(body: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (at, _) in body.match_indices(BEGINNING).take(CANDIDATES) {
        let rest = &body.as_bytes()[at + BEGINNING.len()..];
        let rest = &rest[..rest.len().min(REACH)];
        let found = address_of(rest).map(|address| address.to_canonical());
        addresses.extend(found.filter(|address| !addresses.contains(address)));
    }
    addresses
}

/// The address of a candidate, given from its foundation on.
fn address_of(candidate: &[u8]) -> Option<IpAddr> {
    let mut fields = candidate.split(|byte| *byte == b' ');
    let address = fields.nth(FIELDS_BEFORE_ADDRESS)?;
    // Without a port behind it, it is something else, or has been cut off.
    let port = str::from_utf8(fields.next()?).ok()?;
    port.parse::<u16>().ok()?;
    str::from_utf8(address).ok()?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(crate) fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        let parsed = texts.iter().map(|text| text.parse().expect("an address"));
        parsed.collect()
    }

    pub(crate) fn candidate(address: &str) -> String {
        format!(
            "candidate:842163049 1 udp 1677729535 {address} 46154 typ srflx raddr 0.0.0.0 rport 0"
        )
    }

    #[test]
    fn candidates_are_read_alone_and_in_descriptions() {
        let alone = json!({"candidate": candidate("192.0.2.1"), "sdpMid": "0"});
        assert_eq!(addresses_in(&alone.to_string()), addresses(&["192.0.2.1"]));
        let sdp = format!(
            "v=0\r\nc=IN IP4 198.51.100.77\r\na={}\r\na={}\r\na={}\r\na=end-of-candidates\r\n",
            candidate("192.0.2.1"),
            candidate("2001:db8::7"),
            candidate("192.0.2.1"),
        );
        let offer = json!({"type": "offer", "sdp": sdp});
        let expected = addresses(&["192.0.2.1", "2001:db8::7"]);
        assert_eq!(addresses_in(&offer.to_string()), expected);
        let mapped = candidate("::ffff:192.0.2.1");
        assert_eq!(addresses_in(&mapped), addresses(&["192.0.2.1"]));
    }

    #[test]
    fn what_names_no_address_announces_none() {
        for body in [
            "null",
            "\"candidate:\"",
            "\"candidate:1 1 udp 5\"",
            "\"candidate:1 1 udp 5 192.0.2.1\"",
            "\"candidate:1 1 udp 5 192.0.2.1 99999 typ host\"",
            "\"candidate:1 udp 5 192.0.2.1 5000 typ host\"",
        ] {
            assert_eq!(addresses_in(body), [] as [IpAddr; 0], "{body}");
        }
        let name = candidate("0f3c8ca5-7a1c-4bb0-9ac0-5c2d5f1a3c77.local");
        assert_eq!(addresses_in(&name), [] as [IpAddr; 0]);
        let far = format!(
            "candidate:{} 1 udp 5 192.0.2.1 5 typ host",
            "1".repeat(REACH)
        );
        assert_eq!(addresses_in(&far), [] as [IpAddr; 0]);
    }

    #[test]
    fn of_a_message_full_of_candidates_the_first_are_read() {
        let all =
            (0..2_000_u32).map(|n| candidate(&IpAddr::from((n + 1).to_be_bytes()).to_string()));
        let all: String = all.collect();
        assert_eq!(addresses_in(&all).len(), 64);
        // Those that name nothing count, too: they are work.
        let names = candidate("somebody.local").repeat(CANDIDATES);
        let behind = format!("{names} {}", candidate("192.0.2.1"));
        assert_eq!(addresses_in(&behind), [] as [IpAddr; 0]);
    }

    #[test]
    fn the_longest_candidates_and_those_of_connections_are_read() {
        let address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff";
        let foundation = "f".repeat(32);
        let longest = format!(
            "candidate:{foundation} 256 sctp/dtls/udp 4294967295 {address} 65535 typ relay"
        );
        assert_eq!(addresses_in(&longest), addresses(&[address]));
        let tcp = "candidate:1 1 TCP 2105524479 192.0.2.1 9 typ host tcptype active";
        assert_eq!(addresses_in(tcp), addresses(&["192.0.2.1"]));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, pieces in prop::collection::vec("[ :0-9a-fé]{0,9}", 0..20)) {
            addresses_in(&text);
            addresses_in(&format!("candidate:{}", pieces.join(" ")));
        }
    }
}
