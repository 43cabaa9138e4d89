//! MESSAGE-INTEGRITY (RFC 8489 section 14.5), MESSAGE-INTEGRITY-SHA256 (section 14.6) and
//! FINGERPRINT (section 14.7).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::header::HEADER_LENGTH;

/// Which attribute protects a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY, an HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256, an HMAC-SHA256.
    Sha256,
}

/// Length of the value of MESSAGE-INTEGRITY.
const SHA1_LENGTH: usize = 20;

/// Length of the value of MESSAGE-INTEGRITY-SHA256. TURN allows no shorter one.
const SHA256_LENGTH: usize = 32;

const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// The HMAC-SHA1 over `before`, the message up to the attribute, with the header's length set as
/// if the message ended with the attribute.
pub(super) fn sha1(before: &[u8], key: &[u8]) -> [u8; SHA1_LENGTH] {
    mac::<Hmac<Sha1>>(before, SHA1_LENGTH, key)
        .finalize()
        .into_bytes()
        .into()
}

/// The HMAC-SHA256 over `before`, likewise.
pub(super) fn sha256(before: &[u8], key: &[u8]) -> [u8; SHA256_LENGTH] {
    mac::<Hmac<Sha256>>(before, SHA256_LENGTH, key)
        .finalize()
        .into_bytes()
        .into()
}

/// Whether `value` is the whole HMAC that belongs here, compared in constant time.
pub(super) fn verify(kind: Integrity, before: &[u8], value: &[u8], key: &[u8]) -> bool {
    match kind {
        Integrity::Sha1 => mac::<Hmac<Sha1>>(before, SHA1_LENGTH, key).verify_slice(value),
        Integrity::Sha256 => mac::<Hmac<Sha256>>(before, SHA256_LENGTH, key).verify_slice(value),
    }
    .is_ok()
}

fn mac<M: Mac + KeyInit>(before: &[u8], length: usize, key: &[u8]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&before[..2]);
    mac.update(&length_with(before, length).to_be_bytes());
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
    use super::super::{Attribute, Integrity, Message};
    use md5::{Digest, Md5};
    use sha2::Sha256;

    // RFC 5769: the sample request (2.1), IPv4 response (2.2), IPv6 response (2.3), and the
    // request with long-term authentication (2.4). RFC 8489: the request with USERHASH and
    // MESSAGE-INTEGRITY-SHA256 (B.1), as erratum 6268 corrects it.
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

    const SHA256_REQUEST: &str = "\
        000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f\
        24819415569e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b\
        39353464364f4c33346f4c394653547679363473410000000014000b6578616d706c652e6f726700\
        001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278c\
        c6518e65";

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
    fn the_sample_request_with_sha256_and_a_hash_for_a_name_verifies() {
        let datagram = bytes(SHA256_REQUEST);
        let message = Message::parse(&datagram).expect("well formed");
        assert_eq!(message.integrity(), Some(Integrity::Sha256));
        let username = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
        let hash = Sha256::digest(format!("{username}:example.org"));
        assert_eq!(message.find(Attribute::USERHASH), Some(&hash[..]));
        let key = Sha256::digest(format!("{username}:example.org:TheMatrIX"));
        assert!(message.verify_integrity(&key));
        let other = Md5::digest(format!("{username}:example.org:TheMatrIX"));
        assert!(!message.verify_integrity(&other));
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
