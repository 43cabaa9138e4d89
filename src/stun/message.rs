//! A checked view of a STUN message.

use super::address::{AddressError, decode_xor_address};
use super::attribute::Attribute;
use super::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, split_type_field};
use super::integrity::{self, Integrity};
use std::net::SocketAddr;

/// Why bytes are no STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Shorter than a header, or the first two bits or the cookie are not STUN's.
    NotStun,
    /// The length field is no multiple of four or not that of the datagram.
    Length,
    /// An attribute reaches beyond the end of the message.
    Attribute,
    /// FINGERPRINT is not last, not four bytes long, or wrong.
    Fingerprint,
}

/// A message whose structure has been checked. Its attributes are those that the integrity
/// attribute covers, if there is one: what somebody has put behind it is left out
/// (RFC 8489 sections 14.5 and 14.6).
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Where the attributes end that a reader sees.
    end: usize,
    /// The integrity attribute that counts, and where it begins.
    integrity: Option<(Integrity, usize)>,
    has_fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Checks the header and the chain of attributes, and FINGERPRINT where there is one.
    ///
    /// # Errors
    /// If `datagram` is not exactly one well-formed message.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let header = datagram
            .first_chunk::<HEADER_LENGTH>()
            .ok_or(ParseError::NotStun)?;
        let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        if header[0] & 0xc0 != 0 || cookie != MAGIC_COOKIE {
            return Err(ParseError::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if !length.is_multiple_of(4) || datagram.len() != HEADER_LENGTH + length {
            return Err(ParseError::Length);
        }
        let mut message = Self {
            bytes: datagram,
            end: datagram.len(),
            integrity: None,
            has_fingerprint: false,
        };
        message.check_attributes()?;
        Ok(message)
    }

    /// Walks all attributes once, and notes where the covered ones end.
    fn check_attributes(&mut self) -> Result<(), ParseError> {
        let all = self.bytes;
        let mut at = HEADER_LENGTH;
        while at < all.len() {
            let (kind, value, next) = split_attribute(all, at).ok_or(ParseError::Attribute)?;
            if self.has_fingerprint {
                return Err(ParseError::Fingerprint);
            }
            match kind {
                // Behind the SHA-256 one it does not count (RFC 8489 section 14.6).
                Attribute::MESSAGE_INTEGRITY if self.integrity.is_none() => {
                    self.integrity = Some((Integrity::Sha1, at));
                    self.end = at;
                }
                // Of both, the SHA-256 one counts (section 9.2.4).
                Attribute::MESSAGE_INTEGRITY_SHA256
                    if self.integrity() != Some(Integrity::Sha256) =>
                {
                    self.integrity = Some((Integrity::Sha256, at));
                    self.end = self.end.min(at);
                }
                Attribute::FINGERPRINT => {
                    if value != integrity::fingerprint(&all[..at]) {
                        return Err(ParseError::Fingerprint);
                    }
                    self.has_fingerprint = true;
                    self.end = self.end.min(at);
                }
                _ => {}
            }
            at = next;
        }
        Ok(())
    }

    /// Request, indication, success or error.
    #[must_use]
    pub fn class(&self) -> Class {
        split_type_field(self.type_field()).0
    }

    /// What is asked or answered.
    #[must_use]
    pub fn method(&self) -> Method {
        split_type_field(self.type_field()).1
    }

    fn type_field(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The transaction id.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        let id = self.bytes[8..HEADER_LENGTH].try_into();
        TransactionId(id.expect("bytes 8 to 19 are twelve"))
    }

    /// The attributes in their order, up to the integrity attribute or FINGERPRINT.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            bytes: &self.bytes[..self.end],
            at: HEADER_LENGTH,
        }
    }

    /// The value of the first attribute of this type.
    #[must_use]
    pub fn find(&self, kind: Attribute) -> Option<&'a [u8]> {
        self.attributes()
            .find(|&(found, _)| found == kind)
            .map(|(_, value)| value)
    }

    /// The value of the first attribute of this type, where it is four bytes long.
    #[must_use]
    pub fn find_u32(&self, kind: Attribute) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// The value of the first attribute of this type, where it is UTF-8.
    #[must_use]
    pub fn find_text(&self, kind: Attribute) -> Option<&'a str> {
        std::str::from_utf8(self.find(kind)?).ok()
    }

    /// The address in the first attribute of this type.
    #[must_use]
    pub fn find_xor_address(&self, kind: Attribute) -> Option<Result<SocketAddr, AddressError>> {
        Some(decode_xor_address(self.find(kind)?, self.transaction_id()))
    }

    /// The integrity attribute that the message carries; of both, the SHA-256 one.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        self.integrity.map(|(kind, _)| kind)
    }

    /// Whether the message carries FINGERPRINT (which is right then: [`Message::parse`] looked).
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Whether the attribute of [`Message::integrity`] is there and made with `key`. One that is
    /// cut short is not. Takes the same time for every wrong value.
    #[must_use]
    pub fn verify_integrity(&self, key: &[u8]) -> bool {
        let Some((kind, at)) = self.integrity else {
            return false;
        };
        split_attribute(self.bytes, at)
            .is_some_and(|(_, value, _)| integrity::verify(kind, &self.bytes[..at], value, key))
    }
}

/// Iterator over attributes: type and value, without padding.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (Attribute, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value, next) = split_attribute(self.bytes, self.at)?;
        self.at = next;
        Some((kind, value))
    }
}

/// The attribute that begins at `at`: its type, its value, and where the next one begins. `None`
/// at the end, and where it reaches beyond the end.
fn split_attribute(bytes: &[u8], at: usize) -> Option<(Attribute, &[u8], usize)> {
    let (&[k0, k1, l0, l1], rest) = bytes.get(at..)?.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let padded = length.next_multiple_of(4);
    if rest.len() < padded {
        return None;
    }
    Some((
        Attribute(u16::from_be_bytes([k0, k1])),
        &rest[..length],
        at + 4 + padded,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    const ID: TransactionId = TransactionId([7; 12]);

    fn written(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut buffer = [0xff; 1_500];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::ALLOCATE, ID);
        fill(&mut writer);
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    #[test]
    fn what_is_no_stun_is_told_apart() {
        let good = written(|_| {});
        assert!(Message::parse(&good).is_ok());
        assert_eq!(Message::parse(&good[..19]).err(), Some(ParseError::NotStun));
        let mut wrong_cookie = good.clone();
        wrong_cookie[4] ^= 1;
        assert_eq!(
            Message::parse(&wrong_cookie).err(),
            Some(ParseError::NotStun)
        );
        let mut top_bits = good;
        top_bits[0] |= 0x40;
        assert_eq!(Message::parse(&top_bits).err(), Some(ParseError::NotStun));
    }

    #[test]
    fn the_length_must_be_that_of_the_datagram() {
        let mut datagram = written(|w| w.text(Attribute::SOFTWARE, "four"));
        datagram.push(0);
        assert_eq!(Message::parse(&datagram).err(), Some(ParseError::Length));
        datagram[3] += 1;
        assert_eq!(Message::parse(&datagram).err(), Some(ParseError::Length));
    }

    #[test]
    fn an_attribute_beyond_the_end_is_refused() {
        let mut datagram = written(|w| w.text(Attribute::SOFTWARE, "four"));
        datagram[23] = 5;
        assert_eq!(Message::parse(&datagram).err(), Some(ParseError::Attribute));
    }

    #[test]
    fn the_first_of_two_equal_attributes_counts() {
        let datagram = written(|w| {
            w.text(Attribute::REALM, "first");
            w.text(Attribute::REALM, "second");
        });
        let message = Message::parse(&datagram).expect("well formed");
        assert_eq!(message.find_text(Attribute::REALM), Some("first"));
    }

    #[test]
    fn attributes_behind_the_integrity_are_not_seen() {
        let mut datagram = written(|w| {
            w.u32(Attribute::LIFETIME, 1);
            w.integrity(Integrity::Sha1, b"key");
        });
        // Somebody on the way appends an attribute and mends the length.
        datagram.extend_from_slice(&[0x00, 0x19, 0, 4, 17, 0, 0, 0]);
        let length = u16::try_from(datagram.len() - HEADER_LENGTH).expect("short");
        datagram[2..4].copy_from_slice(&length.to_be_bytes());
        let message = Message::parse(&datagram).expect("well formed");
        assert!(message.verify_integrity(b"key"));
        assert_eq!(message.find_u32(Attribute::LIFETIME), Some(1));
        assert_eq!(message.find(Attribute::REQUESTED_TRANSPORT), None);
    }

    #[test]
    fn of_two_integrity_attributes_the_stronger_one_decides() {
        let both = |sha1: &[u8], sha256: &[u8]| {
            written(|w| {
                w.integrity(Integrity::Sha1, sha1);
                w.integrity(Integrity::Sha256, sha256);
                w.fingerprint();
            })
        };
        for (datagram, right) in [
            (both(b"key", b"key"), true),
            (both(b"other", b"key"), true),
            (both(b"key", b"other"), false),
        ] {
            let message = Message::parse(&datagram).expect("well formed");
            assert_eq!(message.integrity(), Some(Integrity::Sha256));
            assert_eq!(message.verify_integrity(b"key"), right);
        }
        let reversed = written(|w| {
            w.integrity(Integrity::Sha256, b"key");
            w.integrity(Integrity::Sha1, b"other");
        });
        let message = Message::parse(&reversed).expect("well formed");
        assert!(message.verify_integrity(b"key"));
    }

    #[test]
    fn an_integrity_that_is_cut_short_does_not_verify() {
        let whole = written(|w| w.integrity(Integrity::Sha256, b"key"));
        assert!(
            Message::parse(&whole)
                .expect("well formed")
                .verify_integrity(b"key")
        );
        for kept in (0..32).step_by(4) {
            // What a sender writes that cuts the HMAC off: its length is in what is covered.
            let mut before = written(|_| {});
            before[3] = 4 + kept as u8;
            let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length");
            mac.update(&before);
            let value = mac.finalize().into_bytes();
            let mut datagram = before;
            datagram.extend_from_slice(&[0x00, 0x1c, 0, kept as u8]);
            datagram.extend_from_slice(&value[..kept]);
            let message = Message::parse(&datagram).expect("well formed");
            assert_eq!(message.integrity(), Some(Integrity::Sha256));
            assert!(!message.verify_integrity(b"key"), "{kept}");
        }
    }

    #[test]
    fn a_wrong_or_early_fingerprint_is_refused() {
        let good = written(|w| w.fingerprint());
        assert!(Message::parse(&good).is_ok());
        let mut wrong = good;
        wrong[27] ^= 1;
        assert_eq!(Message::parse(&wrong).err(), Some(ParseError::Fingerprint));
        let early = written(|w| {
            w.fingerprint();
            w.u32(Attribute::LIFETIME, 1);
        });
        assert_eq!(Message::parse(&early).err(), Some(ParseError::Fingerprint));
    }

    fn read_everything(datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else {
            return;
        };
        let _ = (
            message.class(),
            message.method(),
            message.verify_integrity(b"key"),
        );
        for (kind, _) in message.attributes() {
            let _ = (message.find_u32(kind), message.find_text(kind));
            let _ = message.find_xor_address(kind);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(datagram: Vec<u8>) {
            read_everything(&datagram);
        }

        #[test]
        fn no_attributes_make_the_parser_panic(
            attributes in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u32>()), 0..8),
            cut: usize,
        ) {
            let mut datagram = written(|_| {});
            for (kind, length, value) in attributes {
                datagram.extend_from_slice(&kind.to_be_bytes());
                datagram.extend_from_slice(&(length % 9).to_be_bytes());
                datagram.extend_from_slice(&value.to_be_bytes());
            }
            let length = u16::try_from(datagram.len() - HEADER_LENGTH).expect("short");
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
            read_everything(&datagram);
            read_everything(&datagram[..cut % (datagram.len() + 1)]);
        }
    }
}
