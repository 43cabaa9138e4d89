//! What is relayed.

use std::net::SocketAddr;

use super::client::Client;
use super::served::{Relayed, World, with_header};
use crate::stun::{Attribute, Class, Method, Writer};
use crate::turn::{FiveTuple, Icmp};

impl World {
    /// A Send indication: what leaves the relayed address, and where to.
    pub(crate) fn send(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        data: &[u8],
    ) -> Option<Relayed> {
        let mut buffer = [0; 1_500];
        let id = self.next_transaction();
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(Attribute::DATA, data);
        let length = writer.finish().expect("it fits");
        self.deliver(client.five_tuple, &buffer[..length]).0
    }

    /// ChannelData: what leaves the relayed address, and where to.
    pub(crate) fn channel(&mut self, client: &Client, number: u16, data: &[u8]) -> Option<Relayed> {
        let length = u16::try_from(data.len()).expect("short");
        let datagram = [&number.to_be_bytes(), &length.to_be_bytes(), data].concat();
        self.deliver(client.five_tuple, &datagram).0
    }

    /// What `client` gets when a datagram that it had relayed to `peer` brings `icmp`.
    pub(crate) fn icmp(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        icmp: Icmp,
    ) -> Option<(FiveTuple, Vec<u8>)> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        self.server.handle_icmp(id, peer, icmp, self.now);
        let mut buffer = [0xee; 1_500];
        let transmit = self.server.poll_transmit(&mut buffer)?;
        Some((transmit.client, buffer[..transmit.length].to_vec()))
    }

    /// How many indications wait after `count` such messages; they are taken out.
    pub(crate) fn icmp_flood(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        icmp: Icmp,
        count: usize,
    ) -> usize {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        for _ in 0..count {
            self.server.handle_icmp(id, peer, icmp, self.now);
        }
        let mut buffer = [0xee; 1_500];
        std::iter::from_fn(|| self.server.poll_transmit(&mut buffer)).count()
    }

    /// A peer's datagram at a client's relayed address: what the client gets.
    pub(crate) fn at_relayed(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        data: &[u8],
    ) -> Option<(FiveTuple, Vec<u8>)> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        let route = self.server.handle_peer(id, peer, data.len(), self.now)?;
        Some((route.client, with_header(route.header, data)))
    }
}
