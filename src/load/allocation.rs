//! The client's side of an allocation: one request at a time, with long-term credentials.

use std::net::SocketAddr;

use super::error::LoadError;
use crate::auth::{Key, Secret};
use crate::stun::{
    Attribute, ChannelNumber, Class, ErrorCode, Family, HEADER_LENGTH, Integrity, Message, Method,
    PasswordAlgorithm, TransactionId, Writer,
};

/// UDP, in REQUESTED-TRANSPORT.
const UDP: u32 = 17 << 24;

/// How often a server may ask for other credentials before it is taken at its word.
const CHALLENGES: u8 = 3;

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// An allocation whose relayed address is of this family.
    Allocate(Family),
    /// A channel to a peer.
    Bind(ChannelNumber, SocketAddr),
    /// A permission for a peer.
    Permit(SocketAddr),
    /// The end of the allocation.
    Release,
}

impl Request {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allocate(_) => "Allocate",
            Self::Bind(..) => "ChannelBind",
            Self::Permit(_) => "CreatePermission",
            Self::Release => "Refresh",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Allocate(_) => Method::ALLOCATE,
            Self::Bind(..) => Method::CHANNEL_BIND,
            Self::Permit(_) => Method::CREATE_PERMISSION,
            Self::Release => Method::REFRESH,
        }
    }
}

/// What an answer means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is none.
    Ignored,
    /// The request must be sent again, changed.
    Again,
    /// Done.
    Granted,
}

/// A client that has an allocation, or wants one.
#[derive(Debug)]
pub(super) struct Allocation {
    username: String,
    password: Secret,
    challenge: Option<Challenge>,
    challenges: u8,
    request: Request,
    /// The last eight bytes are a number of its own for each request.
    id: TransactionId,
    relayed: Option<SocketAddr>,
}

#[derive(Debug)]
struct Challenge {
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    key: Key,
}

impl Allocation {
    /// A client with these credentials. `salt` must differ from client to client.
    pub(super) fn new(username: String, password: Secret, salt: u64) -> Self {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&salt.to_be_bytes());
        Self {
            username,
            password,
            challenge: None,
            challenges: 0,
            request: Request::Allocate(Family::V4),
            id: TransactionId(id),
            relayed: None,
        }
    }

    /// The relayed address, once it is there.
    pub(super) fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    pub(super) fn request(&self) -> Request {
        self.request
    }

    /// Asks for something else.
    pub(super) fn ask(&mut self, request: Request) {
        self.request = request;
        self.challenges = 0;
        self.change_id();
    }

    fn change_id(&mut self) {
        let [a, b, c, d, ..] = self.id.0;
        let next = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
        self.id.0[..4].copy_from_slice(&next.to_be_bytes());
    }

    /// Writes the request; gives its length.
    pub(super) fn write(&self, buffer: &mut [u8]) -> usize {
        let mut writer = Writer::new(buffer, Class::Request, self.request.method(), self.id);
        match self.request {
            Request::Allocate(family) => {
                writer.u32(Attribute::REQUESTED_TRANSPORT, UDP);
                if family == Family::V6 {
                    writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
                }
            }
            Request::Bind(number, peer) => {
                writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number.value()) << 16);
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            }
            Request::Permit(peer) => writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer),
            Request::Release => writer.u32(Attribute::LIFETIME, 0),
        }
        if let Some(challenge) = &self.challenge {
            writer.text(Attribute::USERNAME, &self.username);
            writer.attribute(Attribute::REALM, &challenge.realm);
            writer.attribute(Attribute::NONCE, &challenge.nonce);
            writer.integrity(Integrity::Sha1, challenge.key.as_bytes());
        }
        writer.finish().expect("requests are short")
    }

    /// A datagram that has arrived for this client.
    pub(super) fn handle(&mut self, datagram: &[u8]) -> Result<Answer, LoadError> {
        let Ok(message) = Message::parse(datagram) else {
            return Ok(Answer::Ignored);
        };
        let is_answer =
            message.transaction_id() == self.id && message.method() == self.request.method();
        match message.class() {
            Class::Success if is_answer => self.granted(&message),
            Class::Error if is_answer => self.refused(&message),
            _ => Ok(Answer::Ignored),
        }
    }

    fn granted(&mut self, message: &Message<'_>) -> Result<Answer, LoadError> {
        if let Request::Allocate(_) = self.request {
            let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
            let Some(Ok(relayed)) = relayed else {
                return Err(self.malformed("XOR-RELAYED-ADDRESS"));
            };
            self.relayed = Some(relayed);
        }
        // An answer that comes twice is for nobody.
        self.change_id();
        Ok(Answer::Granted)
    }

    fn refused(&mut self, message: &Message<'_>) -> Result<Answer, LoadError> {
        let value = message.find(Attribute::ERROR_CODE);
        let Some([_, _, class, number, reason @ ..]) = value else {
            return Err(self.malformed("ERROR-CODE"));
        };
        let code = u16::from(*class) * 100 + u16::from(*number);
        let is_first = self.challenge.is_none() && code == ErrorCode::UNAUTHENTICATED.value();
        let is_stale = code == ErrorCode::STALE_NONCE.value();
        if (is_first || is_stale) && self.challenges < CHALLENGES {
            self.challenges += 1;
            self.take_challenge(message)?;
            self.change_id();
            return Ok(Answer::Again);
        }
        Err(LoadError::Refused {
            request: self.request.name(),
            code,
            reason: String::from_utf8_lossy(reason).into_owned(),
            allocations: 0,
        })
    }

    fn take_challenge(&mut self, message: &Message<'_>) -> Result<(), LoadError> {
        let nonce = message.find(Attribute::NONCE);
        let nonce = nonce.ok_or_else(|| self.malformed("NONCE"))?.into();
        if let Some(challenge) = &mut self.challenge {
            challenge.nonce = nonce;
            return Ok(());
        }
        let realm = message.find_text(Attribute::REALM);
        let realm = realm.ok_or_else(|| self.malformed("REALM"))?;
        self.challenge = Some(Challenge {
            realm: realm.as_bytes().into(),
            nonce,
            key: Key::new(
                PasswordAlgorithm::Md5,
                &self.username,
                realm,
                self.password.expose(),
            ),
        });
        Ok(())
    }

    fn malformed(&self, missing: &'static str) -> LoadError {
        LoadError::Malformed {
            request: self.request.name(),
            missing,
        }
    }
}

/// What goes before each payload of `length` bytes in a Send indication to an IPv4 `peer`. The
/// payload's length must be a multiple of four, or padding follows.
pub(super) fn send_indication_header(peer: SocketAddr, length: usize) -> Vec<u8> {
    let mut buffer = [0; 64];
    let id = TransactionId([1; 12]);
    let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
    writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    let mut end = writer.finish().expect("it fits");
    let padded = length.next_multiple_of(4);
    buffer[end..end + 2].copy_from_slice(&Attribute::DATA.0.to_be_bytes());
    buffer[end + 2..end + 4].copy_from_slice(&(length as u16).to_be_bytes());
    end += 4;
    let message_length = (end + padded - HEADER_LENGTH) as u16;
    buffer[2..4].copy_from_slice(&message_length.to_be_bytes());
    buffer[..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_indication_is_well_formed() {
        let peer = "192.0.2.1:5000".parse().expect("an address");
        let mut datagram = send_indication_header(peer, 5);
        datagram.extend_from_slice(&[1, 2, 3, 4, 5, 0, 0, 0]);
        let message = Message::parse(&datagram).expect("well formed");
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, Method::SEND)
        );
        assert_eq!(message.find(Attribute::DATA), Some(&[1, 2, 3, 4, 5][..]));
        let found = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
        assert_eq!(found, Some(Ok(peer)));
    }

    fn answer(request: &[u8], class: Class, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let request = Message::parse(request).expect("well formed");
        let mut buffer = [0; 500];
        let mut writer = Writer::new(
            &mut buffer,
            class,
            request.method(),
            request.transaction_id(),
        );
        fill(&mut writer);
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    fn challenge(writer: &mut Writer<'_>) {
        writer.error_code(ErrorCode::UNAUTHENTICATED, "");
        writer.text(Attribute::REALM, "realm");
        writer.text(Attribute::NONCE, "nonce");
    }

    #[test]
    fn a_challenge_is_answered_once() {
        let mut client = Allocation::new("user".to_owned(), Secret::new("pass"), 1);
        let mut buffer = [0; 500];
        let length = client.write(&mut buffer);
        let first = answer(&buffer[..length], Class::Error, challenge);
        assert_eq!(client.handle(&first).expect("a challenge"), Answer::Again);
        assert_eq!(client.handle(&first).expect("old"), Answer::Ignored);
        let length = client.write(&mut buffer);
        let request = Message::parse(&buffer[..length]).expect("well formed");
        let key = Key::new(PasswordAlgorithm::Md5, "user", "realm", "pass");
        assert!(request.verify_integrity(key.as_bytes()));
        let second = answer(&buffer[..length], Class::Error, challenge);
        assert!(matches!(
            client.handle(&second),
            Err(LoadError::Refused { code: 401, .. })
        ));
        let relayed = "192.0.2.1:50000".parse().expect("an address");
        let granted = answer(&buffer[..length], Class::Success, |writer| {
            writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, relayed);
        });
        assert_eq!(client.handle(&granted).expect("granted"), Answer::Granted);
        assert_eq!(client.relayed(), Some(relayed));
    }
}
