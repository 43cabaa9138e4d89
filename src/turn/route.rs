//! Which way relayed bytes go that the caller already holds, and what goes before them.

use std::net::SocketAddr;
use std::ops::Range;

use super::five_tuple::FiveTuple;
use super::table::AllocationId;
use crate::stun::{ChannelData, ChannelNumber, TransactionId, data_indication_header, padding};

/// Bytes of a client's datagram go out of the allocation's relayed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToPeer {
    /// Whose relayed address.
    pub via: AllocationId,
    /// Where to.
    pub peer: SocketAddr,
    /// Which bytes of the datagram.
    pub payload: Range<usize>,
}

/// A peer's datagram goes to a client, with a header before it.
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

    /// Writes the header into the end of `headroom`, which must hold [`Header::MAX_LENGTH`] bytes,
    /// for a payload of `length` bytes. Gives how many bytes go before the payload, and how many
    /// zero bytes behind it.
    pub fn write(&self, headroom: &mut [u8], length: u16) -> (usize, usize) {
        let mut place = |header: &[u8]| {
            let start = headroom.len() - header.len();
            headroom[start..].copy_from_slice(header);
            header.len()
        };
        match *self {
            Self::Channel(number) => (place(&ChannelData::header(number, length)), 0),
            Self::Indication {
                peer,
                transaction_id,
            } => {
                let (header, end) = data_indication_header(peer, length, transaction_id);
                (place(&header[..end]), padding(usize::from(length)))
            }
        }
    }
}
