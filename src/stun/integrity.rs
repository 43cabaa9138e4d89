//! MESSAGE-INTEGRITY (RFC 8489 section 14.5) and FINGERPRINT (section 14.7).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::header::HEADER_LENGTH;

/// Length of the value of MESSAGE-INTEGRITY.
pub(super) const LENGTH: usize = 20;

const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// The HMAC-SHA1 over `before`, the message up to the attribute, with the header's length set as
/// if the message ended with the attribute.
pub(super) fn compute(before: &[u8], key: &[u8]) -> [u8; LENGTH] {
    mac(before, key).finalize().into_bytes().into()
}

/// Whether `value` is the HMAC that belongs here, compared in constant time.
pub(super) fn verify(before: &[u8], value: &[u8], key: &[u8]) -> bool {
    mac(before, key).verify_slice(value).is_ok()
}

fn mac(before: &[u8], key: &[u8]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&before[..2]);
    mac.update(&length_with(before, LENGTH).to_be_bytes());
    mac.update(&before[4..]);
    mac
}

/// The CRC-32 over `before`, the message up to the attribute, likewise.
pub(super) fn fingerprint(before: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&before[..2]);
    crc.update(&length_with(before, 4).to_be_bytes());
    crc.update(&before[4..]);
    (crc.finalize() ^ FINGERPRINT_XOR).to_be_bytes()
}

/// What the header's length field says when an attribute of `value_length` bytes ends the message.
fn length_with(before: &[u8], value_length: usize) -> u16 {
    let length = before.len() - HEADER_LENGTH + 4 + value_length;
    u16::try_from(length).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{Attribute, Message};
    use md5::{Digest, Md5};

    // RFC 5769: the sample request (2.1), IPv4 response (2.2), IPv6 response (2.3), and the
    // request with long-term authentication (2.4).
    const KEY: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |c: u8| u8::try_from((c as char).to_digit(16).expect("hex")).expect("a digit");
        digits
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }

    const REQUEST: &str = "\
        000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a6836765920202000080014\
        9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

    const RESPONSE_V4: &str = "\
        0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200008\
        0001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

    const RESPONSE_V6: &str = "\
        010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200014\
        0002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275\
        bfe3ed4180280004c8fb0b4c";

    const LONG_TERM_REQUEST: &str = "\
        000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe3\
        82b900000015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b\
        6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

    #[test]
    fn the_sample_request_verifies_and_any_other_key_does_not() {
        let datagram = bytes(REQUEST);
        let message = Message::parse(&datagram).expect("well formed");
        assert!(message.has_fingerprint());
        assert!(message.verify_integrity(KEY));
        assert!(!message.verify_integrity(b"VOkJxbRl1RmTxUk/WvJxBT"));
        assert_eq!(message.find_text(Attribute::USERNAME), Some("evtj:h6vY"));
        assert_eq!(
            message.find_text(Attribute::SOFTWARE),
            Some("STUN test client")
        );
    }

    #[test]
    fn the_sample_responses_verify_and_carry_the_mapped_address() {
        for (vector, address) in [
            (RESPONSE_V4, "192.0.2.1:32853"),
            (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ] {
            let datagram = bytes(vector);
            let message = Message::parse(&datagram).expect("well formed");
            assert!(message.has_fingerprint() && message.verify_integrity(KEY));
            let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
            assert_eq!(mapped, Some(Ok(address.parse().expect("an address"))));
        }
    }

    #[test]
    fn the_sample_request_with_long_term_credentials_verifies() {
        let datagram = bytes(LONG_TERM_REQUEST);
        let message = Message::parse(&datagram).expect("well formed");
        let username = message.find_text(Attribute::USERNAME).expect("there");
        assert_eq!(username, "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}");
        assert_eq!(message.find_text(Attribute::REALM), Some("example.org"));
        let key = Md5::digest(format!("{username}:example.org:TheMatrIX"));
        assert!(message.verify_integrity(&key));
    }

    #[test]
    fn a_message_with_one_bit_changed_does_not_verify() {
        let original = bytes(LONG_TERM_REQUEST);
        let key =
            Md5::digest("\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}:example.org:TheMatrIX");
        for bit in 0..original.len() * 8 {
            let mut datagram = original.clone();
            datagram[bit / 8] ^= 1 << (bit % 8);
            let verified =
                Message::parse(&datagram).is_ok_and(|message| message.verify_integrity(&key));
            assert!(!verified, "bit {bit}");
        }
    }
}
