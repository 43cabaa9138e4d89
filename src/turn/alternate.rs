//! Other servers, for clients that this one has no room for (RFC 8489 section 10).

use std::net::SocketAddr;

use super::five_tuple::FiveTuple;
use super::response::Body;
use crate::stun::{ErrorCode, TransactionId};

/// Servers with the same users, by the family of their address.
#[derive(Clone, Debug, Default)]
pub(super) struct Alternates {
    v4: Vec<SocketAddr>,
    v6: Vec<SocketAddr>,
}

impl Alternates {
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let (v4, v6) = servers.iter().partition(|server| server.is_ipv4());
        Self { v4, v6 }
    }

    /// The answer to a client whose Allocate request would be refused with `code`: where there is
    /// no capacity, another server, if one can be reached from where the client is. A
    /// retransmission is told the same server, another client perhaps another.
    pub(super) fn or_elsewhere(
        &self,
        code: ErrorCode,
        client: FiveTuple,
        request: TransactionId,
    ) -> Body {
        let (own, other) = if client.client.is_ipv4() {
            (&self.v4, &self.v6)
        } else {
            (&self.v6, &self.v4)
        };
        match pick(own, request) {
            Some(first) if code == ErrorCode::INSUFFICIENT_CAPACITY => Body::Elsewhere {
                first,
                second: pick(other, request),
            },
            _ => Body::Error(code),
        }
    }
}

/// One of `servers`; clients make their transaction ids at random.
fn pick(servers: &[SocketAddr], request: TransactionId) -> Option<SocketAddr> {
    let number = usize::from(u16::from_be_bytes([request.0[10], request.0[11]]));
    servers.get(number.checked_rem(servers.len())?).copied()
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
    use crate::stun::{Attribute, Class, Family, Message, Method, decode_address};

    fn full(alternates: &[&str]) -> World {
        let mut world = World::with(|config| {
            config.alternate_servers = alternates.iter().map(|text| address(text)).collect();
        });
        world.fail_binds(&[Family::V4, Family::V6]);
        world
    }

    /// The code of the answer to an Allocate request, and the servers that it names.
    fn refused(world: &mut World, client: &Client) -> (u16, Vec<std::net::SocketAddr>) {
        let answer = world.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        let answer = answer.expect("an answer");
        let message = Message::parse(&answer).expect("well formed");
        assert_eq!(message.class(), Class::Error);
        assert!(message.verify_integrity(client.key().as_bytes()));
        let named = message.attributes();
        let named = named.filter(|(kind, _)| *kind == Attribute::ALTERNATE_SERVER);
        let named = named.map(|(_, value)| decode_address(value).expect("an address"));
        (World::code(&answer).expect_err("refused"), named.collect())
    }

    #[test]
    fn a_server_that_is_full_sends_clients_elsewhere_their_own_family_first() {
        let (v4, v6) = ("203.0.113.9:3478", "[2001:db8::7]:3478");
        let mut world = full(&[v6, v4]);
        let mut client = world.client("alice");
        assert_eq!(
            refused(&mut world, &client),
            (300, vec![address(v4), address(v6)])
        );
        client.five_tuple.client = address("[2001:db8::99]:1000");
        client.nonce = world.nonce(&client);
        assert_eq!(
            refused(&mut world, &client),
            (300, vec![address(v6), address(v4)])
        );
        assert_eq!(world.allocations(), 0);
    }

    #[test]
    fn a_client_is_sent_nowhere_that_it_cannot_reach() {
        let mut world = full(&["[2001:db8::7]:3478"]);
        let client = world.client("alice");
        assert_eq!(refused(&mut world, &client), (508, vec![]));
    }

    #[test]
    fn clients_are_spread_over_all_servers() {
        let servers = ["203.0.113.1:1", "203.0.113.2:1", "203.0.113.3:1"];
        let mut world = full(&servers);
        let client = world.client("alice");
        let mut seen: Vec<_> = (0..30)
            .flat_map(|_| refused(&mut world, &client).1)
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, servers.map(address));
    }

    #[test]
    fn nobody_is_sent_elsewhere_without_having_signed() {
        let mut world = full(&["203.0.113.9:3478"]);
        let mut client = world.client("alice");
        client.password = "wrong".to_owned();
        assert_eq!(world.allocate(&client), Err(401));
        let answer = world.unsigned(&client, Method::ALLOCATE);
        assert_eq!(World::code(&answer.expect("a challenge")), Err(401));
        let answer = world.unsigned(&client, Method::BINDING);
        assert_eq!(World::code(&answer.expect("an answer")), Ok(()));
    }

    #[test]
    fn who_has_used_up_a_quota_is_not_sent_elsewhere() {
        let mut world = full(&["203.0.113.9:3478"]);
        world.fail_binds(&[]);
        world.set_quota(1);
        world.allocated("alice");
        let client = world.client("alice");
        assert_eq!(refused(&mut world, &client), (486, vec![]));
    }
}
