//! Writing STUN messages into a caller's buffer.

use std::net::SocketAddr;

use super::address::{Family, encode_address, encode_xor_address};
use super::attribute::{Attribute, ErrorCode};
use super::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, type_field};
use super::integrity::{self, Integrity};

/// The message did not fit the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Writes one message. Attributes go in the order of the calls; [`Writer::integrity`] and then
/// [`Writer::fingerprint`] come last. What does not fit is found out by [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    transaction_id: TransactionId,
    full: bool,
}

impl<'b> Writer<'b> {
    /// Begins a message at the front of `buffer`.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        transaction_id: TransactionId,
    ) -> Self {
        let mut writer = Self {
            buffer,
            length: 0,
            transaction_id,
            full: false,
        };
        writer.append(&header(class, method, 0, transaction_id));
        writer
    }

    /// An attribute with a value of any kind.
    pub fn attribute(&mut self, kind: Attribute, value: &[u8]) {
        let Ok(length) = u16::try_from(value.len()) else {
            self.full = true;
            return;
        };
        self.append(&kind.0.to_be_bytes());
        self.append(&length.to_be_bytes());
        self.append(value);
        self.append(&[0; 3][..padding(value.len())]);
        self.set_length();
    }

    /// An attribute whose value is text.
    pub fn text(&mut self, kind: Attribute, value: &str) {
        self.attribute(kind, value.as_bytes());
    }

    /// An attribute whose value is a 32-bit number.
    pub fn u32(&mut self, kind: Attribute, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An address attribute that is not XORed.
    pub fn address(&mut self, kind: Attribute, address: SocketAddr) {
        let mut value = [0; 20];
        let length = encode_address(address, &mut value);
        self.attribute(kind, &value[..length]);
    }

    /// An XOR address attribute.
    pub fn xor_address(&mut self, kind: Attribute, address: SocketAddr) {
        let mut value = [0; 20];
        let length = encode_xor_address(address, self.transaction_id, &mut value);
        self.attribute(kind, &value[..length]);
    }

    /// ERROR-CODE with a reason phrase, which may be empty.
    pub fn error_code(&mut self, code: ErrorCode, reason: &str) {
        let mut value = [0; 4 + 127];
        let length = 4 + reason.len().min(127);
        value[2] = (code.value() / 100) as u8;
        value[3] = (code.value() % 100) as u8;
        value[4..length].copy_from_slice(&reason.as_bytes()[..length - 4]);
        self.attribute(Attribute::ERROR_CODE, &value[..length]);
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 section 18.12), with the phrase that the RFC recommends.
    pub fn address_error_code(&mut self, family: Family, code: ErrorCode) {
        let mut value = [0; 4 + 127];
        let reason = code.reason();
        value[0] = family.number();
        value[2] = (code.value() / 100) as u8;
        value[3] = (code.value() % 100) as u8;
        value[4..4 + reason.len()].copy_from_slice(reason.as_bytes());
        self.attribute(Attribute::ADDRESS_ERROR_CODE, &value[..4 + reason.len()]);
    }

    /// UNKNOWN-ATTRIBUTES.
    pub fn unknown_attributes(&mut self, kinds: impl Iterator<Item = Attribute>) {
        let mut value = [0; 2 * 16];
        let mut length = 0;
        for (kind, place) in kinds.zip(value.chunks_exact_mut(2)) {
            place.copy_from_slice(&kind.0.to_be_bytes());
            length += 2;
        }
        self.attribute(Attribute::UNKNOWN_ATTRIBUTES, &value[..length]);
    }

    /// MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 over all that stands before it.
    pub fn integrity(&mut self, kind: Integrity, key: &[u8]) {
        if self.full {
            return;
        }
        let before = &self.buffer[..self.length];
        match kind {
            Integrity::Sha1 => {
                let value = integrity::sha1(before, key);
                self.attribute(Attribute::MESSAGE_INTEGRITY, &value);
            }
            Integrity::Sha256 => {
                let value = integrity::sha256(before, key);
                self.attribute(Attribute::MESSAGE_INTEGRITY_SHA256, &value);
            }
        }
    }

    /// FINGERPRINT over all that stands before it.
    pub fn fingerprint(&mut self) {
        if self.full {
            return;
        }
        let value = integrity::fingerprint(&self.buffer[..self.length]);
        self.attribute(Attribute::FINGERPRINT, &value);
    }

    /// The length of the whole message.
    ///
    /// # Errors
    /// If the buffer was too small; what it holds is of no use then.
    pub fn finish(self) -> Result<usize, Full> {
        if self.full {
            Err(Full)
        } else {
            Ok(self.length)
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.buffer.get_mut(self.length..end) {
            Some(place) if !self.full => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            _ => self.full = true,
        }
    }

    fn set_length(&mut self) {
        if self.full {
            return;
        }
        match u16::try_from(self.length - HEADER_LENGTH) {
            Ok(length) => self.buffer[2..4].copy_from_slice(&length.to_be_bytes()),
            Err(_) => self.full = true,
        }
    }
}

fn header(class: Class, method: Method, length: u16, id: TransactionId) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..2].copy_from_slice(&type_field(class, method).to_be_bytes());
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    header[8..].copy_from_slice(&id.0);
    header
}

/// How many bytes follow a value of `length` bytes up to the next multiple of four.
#[must_use]
pub const fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

/// What stands before the payload in a Data indication (RFC 8656 section 11.4) of `length` bytes
/// from `peer`: the STUN header, XOR-PEER-ADDRESS, and type and length of DATA. Gives how many
/// bytes of the array count, 36 or 48. Behind the payload go [`padding`] zero bytes.
#[must_use]
pub fn data_indication_header(
    peer: SocketAddr,
    length: u16,
    transaction_id: TransactionId,
) -> ([u8; 48], usize) {
    let mut bytes = [0; 48];
    let mut address = [0; 20];
    let address_length = encode_xor_address(peer, transaction_id, &mut address);
    let data_at = HEADER_LENGTH + 4 + address_length;
    let message_length = data_at + 4 + usize::from(length) + padding(usize::from(length));
    let length_field = u16::try_from(message_length - HEADER_LENGTH).unwrap_or(u16::MAX);
    let header = header(
        Class::Indication,
        Method::DATA,
        length_field,
        transaction_id,
    );
    bytes[..HEADER_LENGTH].copy_from_slice(&header);
    bytes[20..22].copy_from_slice(&Attribute::XOR_PEER_ADDRESS.0.to_be_bytes());
    bytes[23] = address_length as u8;
    bytes[24..data_at].copy_from_slice(&address[..address_length]);
    bytes[data_at..data_at + 2].copy_from_slice(&Attribute::DATA.0.to_be_bytes());
    bytes[data_at + 2..data_at + 4].copy_from_slice(&length.to_be_bytes());
    (bytes, data_at + 4)
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use proptest::prelude::*;

    const ID: TransactionId = TransactionId([3; 12]);

    #[test]
    fn an_error_code_is_class_and_number() {
        let mut buffer = [0; 100];
        let mut writer = Writer::new(&mut buffer, Class::Error, Method::REFRESH, ID);
        writer.error_code(ErrorCode::STALE_NONCE, "Stale Nonce");
        let length = writer.finish().expect("it fits");
        let message = Message::parse(&buffer[..length]).expect("well formed");
        let value = message.find(Attribute::ERROR_CODE).expect("there");
        assert_eq!(&value[..4], [0, 0, 4, 38]);
        assert_eq!(&value[4..], b"Stale Nonce");
    }

    #[test]
    fn an_address_error_code_names_the_family() {
        let mut buffer = [0; 100];
        let mut writer = Writer::new(&mut buffer, Class::Success, Method::ALLOCATE, ID);
        writer.address_error_code(Family::V6, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
        let length = writer.finish().expect("it fits");
        let message = Message::parse(&buffer[..length]).expect("well formed");
        let value = message.find(Attribute::ADDRESS_ERROR_CODE).expect("there");
        assert_eq!(&value[..4], [2, 0, 4, 40]);
        assert_eq!(&value[4..], b"Address Family not Supported");
    }

    #[test]
    fn a_buffer_too_small_is_told_at_the_end() {
        for size in 0..64 {
            let mut buffer = vec![0; size];
            let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID);
            writer.text(Attribute::SOFTWARE, "12345678");
            writer.integrity(Integrity::Sha256, b"key");
            writer.fingerprint();
            assert_eq!(writer.finish(), Err(Full), "{size}");
        }
    }

    #[test]
    fn padding_is_zero_whatever_the_buffer_held() {
        let mut buffer = [0xff; 64];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID);
        writer.text(Attribute::SOFTWARE, "x");
        let length = writer.finish().expect("it fits");
        assert_eq!(&buffer[length - 3..length], [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_data_indication_carries_peer_and_payload(
            ip: std::net::IpAddr, port: u16, payload in prop::collection::vec(any::<u8>(), 0..1_500),
        ) {
            let peer = SocketAddr::new(ip, port);
            let length = u16::try_from(payload.len()).expect("short");
            let (header, header_length) = data_indication_header(peer, length, ID);
            let mut datagram = header[..header_length].to_vec();
            datagram.extend_from_slice(&payload);
            datagram.resize(datagram.len() + padding(payload.len()), 0);
            let message = Message::parse(&datagram).expect("well formed");
            prop_assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
            prop_assert_eq!(message.find_xor_address(Attribute::XOR_PEER_ADDRESS), Some(Ok(peer)));
            prop_assert_eq!(message.find(Attribute::DATA), Some(&payload[..]));
        }
    }
}
