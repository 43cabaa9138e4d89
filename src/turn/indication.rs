//! Indications that wait to be sent.

use std::net::SocketAddr;

use super::connection_id::ConnectionId;
use super::five_tuple::FiveTuple;
use super::notice::Notice;
use crate::stun::{Attribute, Class, Full, Method, TransactionId, Writer};

/// What a client is told without having asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Indication {
    /// A datagram has not arrived.
    Icmp(Notice),
    /// A peer has connected.
    Attempt(Attempt),
}

/// A ConnectionAttempt indication (RFC 6062 section 5.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) client: FiveTuple,
    pub(super) transaction_id: TransactionId,
    pub(super) connection: ConnectionId,
    /// The peer, as the client knows it.
    pub(super) peer: SocketAddr,
}

impl Indication {
    pub(super) fn client(&self) -> FiveTuple {
        match self {
            Self::Icmp(notice) => notice.client,
            Self::Attempt(attempt) => attempt.client,
        }
    }

    pub(super) fn encode(&self, buffer: &mut [u8]) -> Result<usize, Full> {
        match self {
            Self::Icmp(notice) => notice.encode(buffer),
            Self::Attempt(attempt) => attempt.encode(buffer),
        }
    }
}

impl Attempt {
    fn encode(&self, buffer: &mut [u8]) -> Result<usize, Full> {
        let (class, method) = (Class::Indication, Method::CONNECTION_ATTEMPT);
        let mut writer = Writer::new(buffer, class, method, self.transaction_id);
        writer.attribute(Attribute::CONNECTION_ID, &self.connection.0);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, self.peer);
        writer.finish()
    }
}
