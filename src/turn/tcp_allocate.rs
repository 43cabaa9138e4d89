//! Allocate for TCP (RFC 6062 section 5.1), and listeners at relayed addresses.

use std::net::SocketAddr;

use super::action::Action;
use super::request::Request;
use super::server::Server;
use super::siblings::Siblings;
use super::tcp_action::TcpAction;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode};

/// The numbers in the IP header, as REQUESTED-TRANSPORT names them.
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What belongs to relayed addresses for UDP.
const FOR_UDP: [Attribute; 3] = [
    Attribute::DONT_FRAGMENT,
    Attribute::EVEN_PORT,
    Attribute::RESERVATION_TOKEN,
];

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Whether an Allocate request is for TCP rather than UDP: REQUESTED-TRANSPORT must be there
    /// and be one of them.
    pub(super) fn wants_tcp(&self, request: &Request<'_>) -> Result<bool, ErrorCode> {
        match request.message.find(Attribute::REQUESTED_TRANSPORT) {
            Some([UDP, _, _, _]) => Ok(false),
            Some([TCP, _, _, _]) if self.tcp.is_some() => {
                // Only over a connection, and without what is for datagrams.
                let has = |kind| request.message.find(kind).is_some();
                if !request.client.transport.is_stream() || FOR_UDP.into_iter().any(has) {
                    return Err(ErrorCode::BAD_REQUEST);
                }
                Ok(true)
            }
            Some([_, _, _, _]) => Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL),
            _ => Err(ErrorCode::BAD_REQUEST),
        }
    }

    /// No more connections are taken at a relayed address.
    pub(super) fn unlisten(&mut self, relayed: SocketAddr) {
        self.siblings.set_listening(relayed, false);
        self.siblings.set_party(relayed, None);
        let action = TcpAction::Unlisten { relayed };
        self.actions.push_back(Action::Tcp(action));
    }
}

#[cfg(test)]
mod tests {
    use super::super::five_tuple::Transport;
    use super::super::world::{World, address};
    use super::*;
    use crate::stun::Method;

    #[test]
    fn without_tcp_allocations_other_transports_than_udp_are_not_supported() {
        for (mut world, code) in [(World::new(), 442), (World::relaying_tcp(), 400)] {
            let client = world.client("alice");
            assert_eq!(world.allocate_tcp(&client, &[]), Err(code));
        }
        let mut world = World::new();
        let client = world.connected_client("alice");
        assert_eq!(world.allocate_tcp(&client, &[]), Err(442));
        for method in [Method::CONNECT, Method::CONNECTION_BIND] {
            assert_eq!(world.request(&client, method, |_| {}), None);
        }
        let mut portless = World::portless();
        portless.server = portless.server.with_tcp_relay();
        let client = portless.connected_client("alice");
        assert_eq!(portless.allocate_tcp(&client, &[]), Err(442));
    }

    #[test]
    fn a_tcp_allocation_is_made_over_tcp_and_tls_and_listens_at_once() {
        for transport in [Transport::Tcp, Transport::Tls] {
            let mut world = World::relaying_tcp();
            let mut client = world.connected_client("alice");
            client.five_tuple.transport = transport;
            client.relayed = world.allocate_tcp(&client, &[]).expect("allocated");
            assert_eq!(world.bound_sockets(), 1);
            assert!(world.server.siblings.is_listening(client.relayed));
            assert_eq!(world.server.tally().peers.allocations, 1);
            assert_eq!(world.allocate_tcp(&client, &[]), Err(437));
            assert_eq!(world.refresh(&client, Some(900)), Ok(900));
            world.release(&client);
            assert_eq!(world.left_behind(), 0);
            assert_eq!(world.server.tally().peers.allocations, 0);
        }
    }

    #[test]
    fn no_tcp_allocation_is_to_be_had_over_udp_or_dtls() {
        for transport in [Transport::Udp, Transport::Dtls] {
            let mut world = World::relaying_tcp();
            let mut client = world.connected_client("alice");
            client.five_tuple.transport = transport;
            assert_eq!(world.allocate_tcp(&client, &[]), Err(400));
        }
    }

    #[test]
    fn what_belongs_to_datagrams_spoils_a_request_for_tcp() {
        let mut world = World::relaying_tcp();
        let client = world.connected_client("alice");
        for (attribute, value) in [
            (Attribute::DONT_FRAGMENT, &[][..]),
            (Attribute::EVEN_PORT, &[0]),
            (Attribute::EVEN_PORT, &[0x80]),
            (Attribute::RESERVATION_TOKEN, &[1; 8]),
        ] {
            let refused = world.allocate_tcp(&client, &[(attribute, value)]);
            assert_eq!(refused, Err(400), "{attribute:?}");
        }
        let v6 = (Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
        let relayed = world.allocate_tcp(&client, &[v6]).expect("allocated");
        assert!(relayed.is_ipv6());
    }

    #[test]
    fn a_tcp_allocation_does_not_move() {
        let mut world = World::with(|config| config.mobility_key = Some([9; 32]));
        world.server = world.server.with_tcp_relay();
        let client = world.connected_client("alice");
        let ticket = (Attribute::MOBILITY_TICKET, &[][..]);
        assert_eq!(world.allocate_tcp(&client, &[ticket]), Err(405));
    }

    #[test]
    fn tcp_allocations_count_on_the_quota() {
        let mut world = World::relaying_tcp();
        world.set_quota(1);
        let client = world.allocated_for_tcp("alice");
        let another = world.connected_client("alice");
        assert_eq!(world.allocate_tcp(&another, &[]), Err(486));
        assert_eq!(world.allocate(&another), Err(486));
        world.server.handle_disconnect(client.five_tuple);
        world.pass(0);
        assert!(world.allocate_tcp(&another, &[]).is_ok());
    }

    #[test]
    fn a_tcp_allocation_relays_no_datagrams() {
        let mut world = World::relaying_tcp();
        let (client, other) = (world.allocated_for_tcp("alice"), world.allocated("bob"));
        let peer = address("8.8.8.8:2000");
        world.permit(&client, peer);
        world.permit(&client, other.relayed);
        world.permit(&other, client.relayed);
        assert_eq!(world.send(&client, peer, b"no"), None);
        assert_eq!(world.send(&client, other.relayed, b"no"), None);
        assert_eq!(world.try_bind_channel(&client, 0x4000, peer), Err(400));
        assert_eq!(world.channel(&client, 0x4000, b"no"), None);
        // Nor does anybody reach it by datagrams.
        assert_eq!(world.send(&other, client.relayed, b"no"), None);
        assert_eq!(
            world.try_bind_channel(&other, 0x4000, client.relayed),
            Err(403)
        );
    }

    #[test]
    fn a_dual_tcp_allocation_listens_on_both_families_until_one_is_given_back() {
        let mut world = World::relaying_tcp();
        let mut client = world.connected_client("alice");
        let both = [(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
        client.relayed = world.allocate_tcp(&client, &both).expect("allocated");
        assert_eq!(world.bound_sockets(), 2);
        let answer = world.request(&client, Method::REFRESH, |writer| {
            writer.u32(Attribute::LIFETIME, 0);
            writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
        });
        assert_eq!(World::code(&answer.expect("an answer")), Ok(()));
        assert_eq!(world.bound_sockets(), 1);
        assert!(world.server.siblings.is_listening(client.relayed));
    }
}
