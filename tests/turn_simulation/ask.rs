//! What a client asks of the server, as it means it and as bytes.

use std::net::SocketAddr;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Family, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};

use super::host::{REALM, USERS};

/// Milliseconds since the world began.
pub(crate) type Time = u64;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Allocate {
        family: Option<Family>,
        even: bool,
        lifetime: Option<u32>,
    },
    Refresh {
        lifetime: Option<u32>,
    },
    CreatePermission {
        peers: Vec<SocketAddr>,
    },
    ChannelBind {
        number: u16,
        peer: SocketAddr,
    },
}

/// A request and who makes it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) what: What,
    /// Index into [`USERS`].
    pub(crate) user: usize,
    pub(crate) knows_password: bool,
    /// Without one, the request is not signed.
    pub(crate) nonce: Option<Vec<u8>>,
}

/// An answer, as a client reads it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    /// `None` for success.
    pub(crate) code: Option<u16>,
    pub(crate) nonce: Option<Vec<u8>>,
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) lifetime: Option<u32>,
    pub(crate) is_signed: bool,
}

impl Ask {
    pub(crate) fn key(&self) -> Key {
        let (name, password) = USERS[self.user];
        let password = if self.knows_password {
            password
        } else {
            "a guess"
        };
        Key::new(PasswordAlgorithm::Md5, name, REALM, password)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let method = match self.what {
            What::Allocate { .. } => Method::ALLOCATE,
            What::Refresh { .. } => Method::REFRESH,
            What::CreatePermission { .. } => Method::CREATE_PERMISSION,
            What::ChannelBind { .. } => Method::CHANNEL_BIND,
        };
        let mut buffer = [0; 1_000];
        let id = transaction_id(self.id);
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        self.what.write(&mut writer);
        if let Some(nonce) = &self.nonce {
            writer.text(Attribute::USERNAME, USERS[self.user].0);
            writer.text(Attribute::REALM, REALM);
            writer.attribute(Attribute::NONCE, nonce);
            writer.integrity(Integrity::Sha1, self.key().as_bytes());
        }
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    /// Reads the answer to this request.
    pub(crate) fn read(&self, bytes: &[u8]) -> Answer {
        let message = Message::parse(bytes).expect("well formed");
        assert!(matches!(message.class(), Class::Success | Class::Error));
        let address = |kind| {
            let found = message.find_xor_address(kind);
            found.map(|address| address.expect("an address"))
        };
        let code = message
            .find(Attribute::ERROR_CODE)
            .map(|value| u16::from(value[2]) * 100 + u16::from(value[3]));
        assert_eq!(code.is_some(), message.class() == Class::Error);
        Answer {
            id: number(message.transaction_id()),
            code,
            nonce: message.find(Attribute::NONCE).map(<[u8]>::to_vec),
            relayed: address(Attribute::XOR_RELAYED_ADDRESS),
            mapped: address(Attribute::XOR_MAPPED_ADDRESS),
            lifetime: message.find_u32(Attribute::LIFETIME),
            is_signed: message.verify_integrity(self.key().as_bytes()),
        }
    }
}

impl What {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Allocate {
                family,
                even,
                lifetime,
            } => {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                if let Some(family) = family {
                    let value = [family.number(), 0, 0, 0];
                    writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &value);
                }
                if *even {
                    writer.attribute(Attribute::EVEN_PORT, &[0]);
                }
                write_lifetime(*lifetime, writer);
            }
            Self::Refresh { lifetime } => write_lifetime(*lifetime, writer),
            Self::CreatePermission { peers } => {
                for &peer in peers {
                    writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
                }
            }
            Self::ChannelBind { number, peer } => {
                writer.u32(Attribute::CHANNEL_NUMBER, u32::from(*number) << 16);
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, *peer);
            }
        }
    }
}

fn write_lifetime(lifetime: Option<u32>, writer: &mut Writer<'_>) {
    if let Some(lifetime) = lifetime {
        writer.u32(Attribute::LIFETIME, lifetime);
    }
}

/// The number of the transaction that `bytes` answers.
pub(crate) fn answered(bytes: &[u8]) -> u64 {
    number(Message::parse(bytes).expect("well formed").transaction_id())
}

pub(crate) fn transaction_id(number: u64) -> TransactionId {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    TransactionId(id)
}

fn number(id: TransactionId) -> u64 {
    u64::from_be_bytes(id.0[4..].try_into().expect("eight bytes"))
}
