//! A client, and what it is told.

use std::net::SocketAddr;

use crate::auth::{Key, userhash};
use crate::stun::{Attribute, Integrity, Message, PasswordAlgorithm, Writer, decode_xor_address};
use crate::turn::FiveTuple;

pub(crate) const REALM: &str = "example.org";

/// A client as the tests see it; each field may be spoilt.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) five_tuple: FiveTuple,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) nonce: Option<Vec<u8>>,
    /// `None`: a client that knows no password algorithms.
    pub(crate) algorithm: Option<PasswordAlgorithm>,
    pub(crate) integrity: Integrity,
    /// Whether it sends USERHASH in place of USERNAME.
    pub(crate) is_anonymous: bool,
    /// Once it has an allocation.
    pub(crate) relayed: SocketAddr,
}

impl Client {
    pub(crate) fn key(&self) -> Key {
        let algorithm = self.algorithm.unwrap_or(PasswordAlgorithm::Md5);
        Key::new(algorithm, &self.username, REALM, &self.password)
    }

    pub(crate) fn sign(&self, writer: &mut Writer<'_>) {
        if self.is_anonymous {
            writer.attribute(Attribute::USERHASH, &userhash(&self.username, REALM));
        } else {
            writer.text(Attribute::USERNAME, &self.username);
        }
        writer.text(Attribute::REALM, REALM);
        if let Some(nonce) = &self.nonce {
            writer.attribute(Attribute::NONCE, nonce);
        }
        if let Some(algorithm) = self.algorithm {
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &algorithm.value());
        }
        writer.integrity(self.integrity, self.key().as_bytes());
    }
}

/// What an Allocate success says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) relayed: Vec<SocketAddr>,
    /// The value of ADDRESS-ERROR-CODE: family and code.
    pub(crate) refused: Option<(u8, u16)>,
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) lifetime: Option<u32>,
}

impl Granted {
    /// Of each relayed address, whether it is of IPv4.
    pub(crate) fn families(&self) -> Vec<bool> {
        self.relayed.iter().map(SocketAddr::is_ipv4).collect()
    }

    pub(crate) fn read(answer: &[u8]) -> Self {
        let message = Message::parse(answer).expect("well formed");
        let id = message.transaction_id();
        let all = message.attributes();
        let relayed = all.filter(|(kind, _)| *kind == Attribute::XOR_RELAYED_ADDRESS);
        let refused = message.find(Attribute::ADDRESS_ERROR_CODE);
        Self {
            relayed: relayed
                .map(|(_, value)| decode_xor_address(value, id).expect("an address"))
                .collect(),
            refused: refused
                .map(|value| (value[0], u16::from(value[2]) * 100 + u16::from(value[3]))),
            token: message
                .find(Attribute::RESERVATION_TOKEN)
                .map(<[u8]>::to_vec),
            lifetime: message.find_u32(Attribute::LIFETIME),
        }
    }
}
