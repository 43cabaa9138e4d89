//! What clients ask for, and the outcome.

use std::net::SocketAddr;

use super::client::{Client, Granted};
use super::served::World;
use crate::stun::{Attribute, Class, Message, Method, TransactionId, Writer};
use crate::turn::FiveTuple;

impl World {
    pub(crate) fn next_transaction(&mut self) -> TransactionId {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        self.transactions += 1;
        TransactionId(id)
    }

    /// A request without credentials.
    pub(crate) fn unsigned(&mut self, client: &Client, method: Method) -> Option<Vec<u8>> {
        let mut buffer = [0; 1_500];
        let writer = Writer::new(&mut buffer, Class::Request, method, self.next_transaction());
        let length = writer.finish().expect("it fits");
        self.deliver(client.five_tuple, &buffer[..length]).1
    }

    /// A signed request with some attributes.
    pub(crate) fn request(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Option<Vec<u8>> {
        let request = self.signed(client, method, fill);
        self.deliver(client.five_tuple, &request).1
    }

    /// All that anybody is told after a signed request.
    pub(crate) fn request_that_tells_many(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<(FiveTuple, Vec<u8>)> {
        let request = self.signed(client, method, fill);
        self.server
            .handle_client(client.five_tuple, &request, self.now);
        self.carry_out();
        self.told()
    }

    fn signed(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<u8> {
        let mut buffer = [0; 1_500];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, self.next_transaction());
        fill(&mut writer);
        client.sign(&mut writer);
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    /// The outcome in an answer.
    pub(crate) fn code(answer: &[u8]) -> Result<(), u16> {
        let message = Message::parse(answer).expect("well formed");
        match message.find(Attribute::ERROR_CODE) {
            Some(value) => Err(u16::from(value[2]) * 100 + u16::from(value[3])),
            None => Ok(()),
        }
    }

    pub(crate) fn allocate(&mut self, client: &Client) -> Result<SocketAddr, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let message = Message::parse(&answer).expect("well formed");
        let relayed = message
            .find_xor_address(Attribute::XOR_RELAYED_ADDRESS)
            .expect("there");
        Ok(relayed.expect("an address"))
    }

    /// Allocates with these attributes beside REQUESTED-TRANSPORT.
    pub(crate) fn allocate_with(
        &mut self,
        client: &Client,
        attributes: &[(Attribute, &[u8])],
    ) -> Result<Granted, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        Ok(Granted::read(&answer))
    }

    /// Allocates an address of each family.
    pub(crate) fn allocate_both(&mut self, client: &Client) -> Result<Granted, u16> {
        let both = (Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
        self.allocate_with(client, &[both])
    }

    pub(crate) fn refresh(&mut self, client: &Client, lifetime: Option<u32>) -> Result<u32, u16> {
        let answer = self.request(client, Method::REFRESH, |writer| {
            if let Some(lifetime) = lifetime {
                writer.u32(Attribute::LIFETIME, lifetime);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let message = Message::parse(&answer).expect("well formed");
        Ok(message.find_u32(Attribute::LIFETIME).expect("there"))
    }

    /// Ends the allocation of a client.
    pub(crate) fn release(&mut self, client: &Client) {
        assert_eq!(self.refresh(client, Some(0)), Ok(0));
    }

    pub(crate) fn create_permission(
        &mut self,
        client: &Client,
        peers: &[SocketAddr],
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CREATE_PERMISSION, |writer| {
            for &peer in peers {
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            }
        });
        Self::code(&answer.expect("an answer"))
    }

    pub(crate) fn permit(&mut self, client: &Client, peer: SocketAddr) {
        assert_eq!(self.create_permission(client, &[peer]), Ok(()));
    }

    pub(crate) fn try_bind_channel(
        &mut self,
        client: &Client,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CHANNEL_BIND, |writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number) << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        Self::code(&answer.expect("an answer"))
    }

    pub(crate) fn bind_channel(&mut self, client: &Client, number: u16, peer: SocketAddr) {
        assert_eq!(self.try_bind_channel(client, number, peer), Ok(()));
    }
}
