//! What a client asks of the server, as it means it and as bytes.

use std::net::SocketAddr;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Family, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
    decode_xor_address,
};

use super::host::{REALM, USERS};

/// Milliseconds since the world began.
pub(crate) type Time = u64;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Allocate(Wanted),
    Refresh {
        family: Option<Family>,
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

/// An allocation that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) family: Option<Family>,
    /// Whether an address of IPv6 is wanted in addition.
    pub(crate) both: bool,
    pub(crate) port: Port,
    pub(crate) token: Option<Token>,
    pub(crate) lifetime: Option<u32>,
}

/// Which port the relayed address shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Any,
    Even,
    /// An even one, and the next higher one reserved.
    Pair,
}

/// What stands for a reservation.
pub(crate) type Token = [u8; 8];

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
    pub(crate) relayed: Vec<SocketAddr>,
    /// The family that ADDRESS-ERROR-CODE names.
    pub(crate) refused: Option<Family>,
    pub(crate) token: Option<Token>,
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
            What::Allocate(_) => Method::ALLOCATE,
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
        let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
        let relayed = message
            .attributes()
            .filter(|(kind, _)| *kind == Attribute::XOR_RELAYED_ADDRESS)
            .map(|(_, value)| decode_xor_address(value, message.transaction_id()));
        let refused = message.find(Attribute::ADDRESS_ERROR_CODE);
        let token = message.find(Attribute::RESERVATION_TOKEN);
        let code = message
            .find(Attribute::ERROR_CODE)
            .map(|value| u16::from(value[2]) * 100 + u16::from(value[3]));
        assert_eq!(code.is_some(), message.class() == Class::Error);
        Answer {
            id: number(message.transaction_id()),
            code,
            nonce: message.find(Attribute::NONCE).map(<[u8]>::to_vec),
            relayed: relayed.map(|it| it.expect("an address")).collect(),
            refused: refused.map(|value| Family::from_number(value[0]).expect("a family")),
            token: token.map(|value| value.try_into().expect("eight bytes")),
            mapped: mapped.map(|address| address.expect("an address")),
            lifetime: message.find_u32(Attribute::LIFETIME),
            is_signed: message.verify_integrity(self.key().as_bytes()),
        }
    }
}

impl What {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Allocate(wanted) => wanted.write(writer),
            Self::Refresh { family, lifetime } => {
                write_family(*family, writer);
                write_lifetime(*lifetime, writer);
            }
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

impl Wanted {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        write_family(self.family, writer);
        if self.both {
            writer.attribute(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
        }
        match self.port {
            Port::Any => {}
            Port::Even => writer.attribute(Attribute::EVEN_PORT, &[0]),
            Port::Pair => writer.attribute(Attribute::EVEN_PORT, &[0x80]),
        }
        if let Some(token) = &self.token {
            writer.attribute(Attribute::RESERVATION_TOKEN, token);
        }
        write_lifetime(self.lifetime, writer);
    }
}

fn write_family(family: Option<Family>, writer: &mut Writer<'_>) {
    if let Some(family) = family {
        let value = [family.number(), 0, 0, 0];
        writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &value);
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
