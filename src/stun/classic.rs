//! Classic STUN (RFC 3489), which must not be spoken over DTLS (RFC 7350 section 3).

use super::attribute::Attribute;
use super::header::{HEADER_LENGTH, MAGIC_COOKIE};

/// Length of the answer: the header and ERROR-CODE without a reason.
const LENGTH: usize = HEADER_LENGTH + 8;

/// The answer to a request without the magic cookie: error 500, under the same 128 bits that tie
/// it to the request. `None` if the message is anything else.
#[must_use]
pub fn refuse_classic(message: &[u8]) -> Option<[u8; LENGTH]> {
    let header = message.first_chunk::<HEADER_LENGTH>()?;
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // Two zero bits, and the class of requests.
    let is_request = kind & 0xc110 == 0;
    let is_whole = length.is_multiple_of(4) && length == message.len() - HEADER_LENGTH;
    let has_cookie = header[4..8] == MAGIC_COOKIE.to_be_bytes();
    if !is_request || !is_whole || has_cookie {
        return None;
    }
    let mut answer = [0; LENGTH];
    answer[..2].copy_from_slice(&(kind | 0x0110).to_be_bytes());
    answer[2..4].copy_from_slice(&8_u16.to_be_bytes());
    answer[4..HEADER_LENGTH].copy_from_slice(&header[4..]);
    let [high, low] = Attribute::ERROR_CODE.0.to_be_bytes();
    answer[HEADER_LENGTH..].copy_from_slice(&[high, low, 0, 4, 0, 0, 5, 0]);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: [u8; 2], cookie: [u8; 4]) -> [u8; HEADER_LENGTH] {
        let mut message = [7; HEADER_LENGTH];
        message[..2].copy_from_slice(&kind);
        message[2..4].copy_from_slice(&[0, 0]);
        message[4..8].copy_from_slice(&cookie);
        message
    }

    #[test]
    fn a_classic_request_gets_a_500_under_its_own_id() {
        let answer = refuse_classic(&message([0, 1], [1, 2, 3, 4])).expect("an answer");
        assert_eq!(answer[..8], [1, 0x11, 0, 8, 1, 2, 3, 4]);
        assert_eq!(answer[8..20], [7; 12]);
        assert_eq!(answer[20..], [0, 9, 0, 4, 0, 0, 5, 0]);
    }

    #[test]
    fn indications_and_what_has_the_cookie_or_is_no_message_are_left_alone() {
        let classic = [1, 2, 3, 4];
        assert_eq!(refuse_classic(&message([0, 0x11], classic)), None);
        assert_eq!(refuse_classic(&message([1, 1], classic)), None);
        assert_eq!(refuse_classic(&message([0x40, 1], classic)), None);
        assert_eq!(
            refuse_classic(&message([0, 1], MAGIC_COOKIE.to_be_bytes())),
            None
        );
        assert_eq!(refuse_classic(&message([0, 1], classic)[..19]), None);
        assert_eq!(refuse_classic(&[0; 24]), None);
    }
}
