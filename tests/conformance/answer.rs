//! What a client got, in parts.

use std::net::SocketAddr;

use peerage::stun::{Attribute, Class, Message, Method, decode_xor_address};

/// A datagram that a client got.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

impl Answer {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("well formed")
    }

    pub(crate) fn find(&self, kind: Attribute) -> Option<Vec<u8>> {
        self.message().find(kind).map(<[u8]>::to_vec)
    }

    /// The error code, 0 for a success.
    pub(crate) fn code(&self) -> u16 {
        let error = self.message().find(Attribute::ERROR_CODE);
        error.map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    /// Every address of this kind.
    pub(crate) fn addresses(&self, kind: Attribute) -> Vec<SocketAddr> {
        let message = self.message();
        let all = message.attributes().filter(|(found, _)| *found == kind);
        all.map(|(_, value)| {
            decode_xor_address(value, message.transaction_id()).expect("an address")
        })
        .collect()
    }

    /// What a Data indication carries: from whom, and the bytes.
    pub(crate) fn data(&self) -> (SocketAddr, Vec<u8>) {
        let message = self.message();
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, Method::DATA)
        );
        let peer = self.addresses(Attribute::XOR_PEER_ADDRESS)[0];
        (peer, self.find(Attribute::DATA).expect("DATA"))
    }
}
