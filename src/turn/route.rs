//! Which way relayed bytes go that the caller already holds, and what goes before them.

use std::net::SocketAddr;
use std::ops::Range;

use super::five_tuple::FiveTuple;
use super::table::AllocationId;
use crate::stun::{ChannelData, ChannelNumber, TransactionId, data_indication_header, padding};

/// Which bytes of a client's datagram go on, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Destination,
    /// Which bytes of the datagram.
    pub payload: Range<usize>,
}

/// Where a client's payload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Out of the relayed address of an allocation.
    Peer {
        /// Whose relayed address.
        via: AllocationId,
        /// Where to.
        peer: SocketAddr,
        /// Whether it must leave with DF, where the peer is of IPv4.
        dont_fragment: bool,
    },
    /// To another client of this process, whose relayed address the peer is: no relay socket is
    /// in between.
    Client(ToClient),
}

/// A payload goes to a client, with a header before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToClient {
    /// Where to, and from which address of ours.
    pub client: FiveTuple,
    /// What goes before the payload.
    pub header: Header,
}

/// What goes before a payload on its way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// ChannelData: four bytes.
    Channel(ChannelNumber),
    /// A Data indication: up to 48 bytes, and padding behind the payload.
    Indication {
        /// The peer, as the client knows it.
        peer: SocketAddr,
        /// Of the indication.
        transaction_id: TransactionId,
    },
}

impl Header {
    /// The most bytes that go before a payload.
    pub const MAX_LENGTH: usize = 48;

    /// The header for a payload of `length` bytes.
    #[must_use]
    pub fn encode(&self, length: u16) -> EncodedHeader {
        match *self {
            Self::Channel(number) => {
                let mut bytes = [0; Self::MAX_LENGTH];
                bytes[..ChannelData::HEADER_LENGTH]
                    .copy_from_slice(&ChannelData::header(number, length));
                EncodedHeader {
                    bytes,
                    length: ChannelData::HEADER_LENGTH,
                    padding: 0,
                }
            }
            Self::Indication {
                peer,
                transaction_id,
            } => {
                let (bytes, end) = data_indication_header(peer, length, transaction_id);
                EncodedHeader {
                    bytes,
                    length: end,
                    padding: padding(usize::from(length)),
                }
            }
        }
    }
}

/// The bytes of a [`Header`].
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; Header::MAX_LENGTH],
    length: usize,
    /// How many zero bytes go behind the payload.
    pub padding: usize,
}

impl EncodedHeader {
    /// What goes before the payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
