//! The first message of a handshake, as far as it takes to answer it without remembering it.

use std::ops::Range;

/// Length of the header of a record (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
/// Length of the header of a message of the handshake (section 4.2.2).
const MESSAGE_HEADER: usize = 12;

/// The content type of the handshake, and its messages.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// The content type of alerts, and the one that is given.
const ALERT: u8 = 21;
const FATAL: u8 = 2;
const REFUSAL: usize = RECORD_HEADER + 2;

/// Why a client is refused (RFC 5246 section 7.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing that both sides can do.
    HandshakeFailure = 40,
    /// Its version is too old.
    ProtocolVersion = 70,
}

/// Versions as they are written.
const DTLS_1_0: [u8; 2] = [254, 255];
const DTLS_1_2: [u8; 2] = [254, 253];

/// Where the random bytes of the client are in the message.
const RANDOM: Range<usize> = 2..34;

/// Length of the cookies that are given out.
pub(super) const COOKIE: usize = 32;

/// Length of the answer to a ClientHello without a good cookie. No ClientHello is as short, so
/// nobody can have more sent to somebody else than they send themselves.
pub const VERIFY_REQUEST: usize = RECORD_HEADER + MESSAGE_HEADER + 3 + COOKIE;

/// A ClientHello (RFC 6347 section 4.2.1) that fills a datagram alone. Those in
/// several pieces are not taken: to put them together would need a memory of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    record_number: u64,
    message_number: u16,
    /// What follows behind the headers.
    body: &'a [u8],
    /// Parts of the body: the cookie, the cipher suites, and where the extensions begin.
    cookie: Range<usize>,
    suites: Range<usize>,
    extensions: usize,
}

impl<'a> ClientHello<'a> {
    /// Reads a datagram; `None` if it is anything else.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut record = Reader::new(datagram);
        let [kind, version @ ..] = record.array::<3>()?;
        let epoch = record.array::<2>()?;
        let record_number = record.number(6)?;
        let length = record.number(2)?;
        let is_plain = kind == HANDSHAKE
            && matches!(version, DTLS_1_0 | DTLS_1_2)
            && epoch == [0; 2]
            && length == record.rest().len() as u64;
        if !is_plain {
            return None;
        }
        let [kind] = record.array()?;
        let length = record.number(3)?;
        let message_number = u16::from_be_bytes(record.array()?);
        let (offset, fragment) = (record.number(3)?, record.number(3)?);
        let body = record.rest();
        let is_whole = offset == 0 && fragment == length && length == body.len() as u64;
        if kind != CLIENT_HELLO || !is_whole {
            return None;
        }
        Self::of_body(record_number, message_number, body)
    }

    fn of_body(record_number: u64, message_number: u16, body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = reader.array::<2>()?;
        reader.array::<32>()?;
        let session = reader.vector(1)?;
        let cookie = reader.vector(1)?;
        let suites = reader.vector(2)?;
        let compression = reader.vector(1)?;
        let extensions = reader.at;
        // There may be none at all.
        if !reader.rest().is_empty() {
            reader.vector(2)?;
        }
        let is_sound = matches!(version, DTLS_1_0 | DTLS_1_2)
            && session.len() <= 32
            && !suites.is_empty()
            && suites.len().is_multiple_of(2)
            && !compression.is_empty()
            && reader.rest().is_empty();
        is_sound.then_some(Self {
            record_number,
            message_number,
            body,
            cookie,
            suites,
            extensions,
        })
    }

    /// Whether the client speaks DTLS 1.2, perhaps among others.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.body[..2] == DTLS_1_2
    }

    /// The number of its record.
    #[must_use]
    pub fn record_number(&self) -> u64 {
        self.record_number
    }

    /// How many messages of this handshake the client has sent before.
    #[must_use]
    pub fn message_number(&self) -> u16 {
        self.message_number
    }

    /// What tells one handshake of a client from another.
    #[must_use]
    pub fn random(&self) -> &'a [u8] {
        &self.body[RANDOM]
    }

    /// The cookie that it shows; empty if it shows none.
    #[must_use]
    pub fn cookie(&self) -> &'a [u8] {
        &self.body[self.cookie.clone()]
    }

    /// Whether the client can use this cipher suite.
    #[must_use]
    pub fn offers(&self, suite: u16) -> bool {
        let mut suites = self.body[self.suites.clone()].chunks_exact(2);
        suites.any(|offered| offered == suite.to_be_bytes())
    }

    /// What must stay as it is when the client comes again with a cookie: the version, its random
    /// bytes, the session, the suites and the ways of compression.
    pub(super) fn constant(&self) -> [&'a [u8]; 2] {
        [
            &self.body[..self.cookie.start - 1],
            &self.body[self.cookie.end..self.extensions],
        ]
    }

    /// The HelloVerifyRequest that asks to come again with `cookie`. Its record has the number of
    /// the client's, and the message likewise.
    #[must_use]
    pub fn verify_request(&self, cookie: &[u8; COOKIE]) -> [u8; VERIFY_REQUEST] {
        let mut body = [0; 3 + COOKIE];
        // The version says nothing here; that of DTLS 1.0 is what clients know.
        body[..2].copy_from_slice(&DTLS_1_0);
        body[2] = COOKIE as u8;
        body[3..].copy_from_slice(cookie);
        let mut datagram = [0; VERIFY_REQUEST];
        let (headers, place) = datagram.split_at_mut(RECORD_HEADER + MESSAGE_HEADER);
        headers.copy_from_slice(&self.headers(
            DTLS_1_0,
            HELLO_VERIFY_REQUEST,
            self.message_number,
            body.len(),
        ));
        place.copy_from_slice(&body);
        datagram
    }

    /// The fatal alert that refuses it.
    #[must_use]
    pub fn refusal(&self, why: Refusal) -> [u8; REFUSAL] {
        let mut datagram = [0; REFUSAL];
        datagram[..3].copy_from_slice(&[ALERT, DTLS_1_2[0], DTLS_1_2[1]]);
        datagram[5..11].copy_from_slice(&self.record_number.to_be_bytes()[2..]);
        datagram[11..].copy_from_slice(&[0, 2, FATAL, why as u8]);
        datagram
    }

    /// The message number `message_number` of this handshake as it was, or would have been, before
    /// there was a cookie.
    pub(super) fn without_cookie(&self, message_number: u16) -> Vec<u8> {
        let [before, after] = [
            &self.body[..self.cookie.start - 1],
            &self.body[self.cookie.end..],
        ];
        let length = before.len() + 1 + after.len();
        let headers = self.headers(DTLS_1_2, CLIENT_HELLO, message_number, length);
        [&headers[..], before, &[0], after].concat()
    }

    /// The headers of a record with one message in it, of `length` bytes.
    fn headers(
        &self,
        version: [u8; 2],
        kind: u8,
        message_number: u16,
        length: usize,
    ) -> [u8; RECORD_HEADER + MESSAGE_HEADER] {
        let record_number = &self.record_number.to_be_bytes()[2..];
        let record_length = ((MESSAGE_HEADER + length) as u16).to_be_bytes();
        let length = &(length as u32).to_be_bytes()[1..];
        let mut headers = [0; RECORD_HEADER + MESSAGE_HEADER];
        headers[0] = HANDSHAKE;
        headers[1..3].copy_from_slice(&version);
        headers[5..11].copy_from_slice(record_number);
        headers[11..13].copy_from_slice(&record_length);
        headers[13] = kind;
        headers[14..17].copy_from_slice(length);
        headers[17..19].copy_from_slice(&message_number.to_be_bytes());
        headers[22..25].copy_from_slice(length);
        headers
    }
}

/// Bytes, and how many of them have been read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.rest().first_chunk()?;
        self.at += N;
        Some(array)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let digits = self.rest().get(..bytes)?;
        self.at += bytes;
        let append = |number, &digit| number << 8 | u64::from(digit);
        Some(digits.iter().fold(0, append))
    }

    /// What stands behind a length of so many bytes, by its place.
    fn vector(&mut self, bytes: usize) -> Option<Range<usize>> {
        let length = usize::try_from(self.number(bytes)?).ok()?;
        self.rest().get(..length)?;
        self.at += length;
        Some(self.at - length..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hello as OpenSSL might send it.
    fn body(cookie: &[u8], extensions: &[u8]) -> Vec<u8> {
        let mut body = DTLS_1_2.to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.push(cookie.len() as u8);
        body.extend(cookie);
        body.extend([0, 4, 0xc0, 0x2b, 0xcc, 0xa9, 1, 0]);
        body.extend(extensions);
        body
    }

    fn datagram(number: u16, body: &[u8]) -> Vec<u8> {
        let place = ClientHello {
            record_number: 3,
            message_number: 0,
            body: &[],
            cookie: 0..0,
            suites: 0..0,
            extensions: 0,
        };
        let headers = place.headers(DTLS_1_0, CLIENT_HELLO, number, body.len());
        [&headers[..], body].concat()
    }

    #[test]
    fn a_hello_is_read_with_its_cookie_and_suites() {
        let datagram = datagram(1, &body(b"cookie", &[0, 4, 0, 23, 0, 0]));
        let hello = ClientHello::parse(&datagram).expect("a hello");
        assert_eq!(hello.cookie(), b"cookie");
        assert_eq!(hello.random(), [7; 32]);
        assert_eq!((hello.record_number(), hello.message_number()), (3, 1));
        assert!(hello.offers(0xc02b) && hello.offers(0xcca9) && !hello.offers(0x2bcc));
    }

    #[test]
    fn what_is_cut_short_or_has_something_behind_it_is_no_hello() {
        let whole = datagram(0, &body(b"", &[0, 4, 0, 23, 0, 0]));
        assert!(ClientHello::parse(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(ClientHello::parse(&whole[..length]), None, "{length}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(ClientHello::parse(&longer), None);
    }

    #[test]
    fn a_hello_of_dtls_1_0_is_known_as_such() {
        let mut old = datagram(0, &body(b"", b""));
        assert!(ClientHello::parse(&old).is_some_and(|hello| hello.is_current()));
        old[26] = 255;
        let old = ClientHello::parse(&old).expect("a hello");
        assert!(!old.is_current());
        let refusal = old.refusal(Refusal::ProtocolVersion);
        assert_eq!(refusal, [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 3, 0, 2, 2, 70]);
    }

    #[test]
    fn other_messages_epochs_versions_and_fragments_are_not_taken() {
        let whole = datagram(0, &body(b"", b""));
        // The content type, the record's version, the epoch, the message, its length, the
        // fragment's offset and length, and the version of the hello.
        for at in [0, 1, 2, 4, 13, 16, 21, 24, 25, 26] {
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert_eq!(ClientHello::parse(&other), None, "{at}");
        }
    }

    #[test]
    fn the_answer_is_never_longer_than_the_shortest_hello() {
        let mut shortest = body(b"", b"");
        // One suite.
        shortest.drain(39..41);
        shortest[37] = 2;
        let shortest = datagram(0, &shortest);
        let hello = ClientHello::parse(&shortest).expect("a hello");
        let answer = hello.verify_request(&[9; COOKIE]);
        assert!(answer.len() < shortest.len());
        assert_eq!(answer[..13], [22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 3, 0, 47]);
        assert_eq!(
            answer[13..28],
            [3, 0, 0, 35, 0, 0, 0, 0, 0, 0, 0, 35, 254, 255, 32]
        );
        assert_eq!(answer[28..], [9; COOKIE]);
    }

    #[test]
    fn a_hello_without_its_cookie_is_the_one_before() {
        let [with, without] = [&b"cookie"[..], b""].map(|cookie| body(cookie, &[0, 0]));
        let second = datagram(1, &with);
        let second = ClientHello::parse(&second).expect("a hello");
        let first = second.without_cookie(0);
        let first = ClientHello::parse(&first).expect("a hello");
        assert_eq!(first.body, without);
        assert_eq!(first.message_number(), 0);
        assert_eq!(first.constant(), second.constant());
    }
}
