//! ICMP errors as a client is told them (RFC 8656 sections 11.5 and 18.13).

use std::net::SocketAddr;

use super::five_tuple::FiveTuple;
use crate::stun::{Attribute, Class, Full, Method, TransactionId, Writer};

/// An ICMP or ICMPv6 error message about a datagram that left a relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The MTU of the next link, where the datagram was too long for that.
    pub mtu: u32,
}

impl Icmp {
    /// What the error data are: the MTU, or nothing. `None` if clients are not told of such a
    /// message at all.
    pub(super) fn error_data(self, is_ipv4: bool) -> Option<u32> {
        match (is_ipv4, self.kind, self.code) {
            // Fragmentation needed; packet too big.
            (true, 3, 4) | (false, 2, _) => Some(self.mtu),
            // Destination unreachable, time exceeded.
            (true, 3 | 11, _) | (false, 1 | 3, _) => Some(0),
            _ => None,
        }
    }
}

/// A Data indication with ICMP that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice {
    pub(super) client: FiveTuple,
    pub(super) transaction_id: TransactionId,
    pub(super) peer: SocketAddr,
    /// Two reserved bytes, type, code, and error data.
    pub(super) value: [u8; 8],
}

impl Notice {
    pub(super) fn encode(&self, buffer: &mut [u8]) -> Result<usize, Full> {
        let id = self.transaction_id;
        let mut writer = Writer::new(buffer, Class::Indication, Method::DATA, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, self.peer);
        writer.attribute(Attribute::ICMP, &self.value);
        writer.finish()
    }
}
