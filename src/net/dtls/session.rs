//! One association: the handshake and the records after it.

use std::time::Instant;

use dimpl::{Dtls, Output};

use super::accepted;
use super::hello::{COOKIE, ClientHello};
use super::identity::DtlsIdentity;

/// The longest plaintext of a record (RFC 5246 section 6.2.1).
const RECORD: usize = 16 << 10;

/// The most bytes that a record adds to what is in it: its header, a nonce, a tag.
const RECORD_OVERHEAD: usize = 13 + 8 + 16;

/// After how many hellos a client may show its cookie.
const MOST_HELLOS: u16 = 4;

/// How many records are made with one key where nonces come by chance: that two of their 2^64 are
/// the same is then still less likely than one in five hundred.
const MOST_BY_CHANCE: u64 = 1 << 28;

/// A DTLS session. Datagrams go in by [`DtlsSession::handle_datagram`] and, when it is time,
/// [`DtlsSession::handle_timeout`]; after each of them and after [`DtlsSession::close`],
/// [`DtlsSession::poll`] tells what there is until it has to wait. Messages go out by
/// [`DtlsSession::seal`].
#[derive(Debug)]
pub struct DtlsSession {
    dtls: Dtls,
    /// The client's random bytes, which tell a repeated hello from a new handshake.
    random: [u8; 32],
    /// By how much the numbers of its plain records are ahead of the library's.
    ahead: u64,
    has_answered: bool,
    is_established: bool,
    /// How many more records may be made.
    records_left: u64,
}

/// The other side does not keep to DTLS, or cannot agree with us, or takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsFailed;

/// What a session has; lengths are of what it has put at the beginning of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsOutput {
    /// A datagram to be sent.
    Datagram(usize),
    /// A message from the client.
    Message(usize),
    /// The handshake is done.
    Established,
    /// The client has said good-bye.
    Over,
    /// Nothing, until something arrives or this time comes.
    Wait(Instant),
}

impl DtlsSession {
    /// How many bytes at most [`DtlsSession::seal`] makes.
    pub const LONGEST_DATAGRAM: usize = RECORD + RECORD_OVERHEAD;

    /// The longest message that [`DtlsSession::seal`] takes.
    pub const LONGEST_MESSAGE: usize = RECORD;

    /// Begins a session with a hello whose cookie is good. `datagram` is what the hello was read
    /// from.
    ///
    /// # Errors
    /// If the client offers nothing that can be agreed on.
    pub fn begin(
        identity: &DtlsIdentity,
        hello: &ClientHello<'_>,
        datagram: &[u8],
        now: Instant,
    ) -> Result<Self, DtlsFailed> {
        let cookie: [u8; COOKIE] = hello.cookie().try_into().map_err(|_| DtlsFailed)?;
        let random = hello.random().try_into().map_err(|_| DtlsFailed)?;
        let (config, nonces_count) = identity.rules(hello);
        let mut this = Self {
            dtls: Dtls::new_12(config, identity.certificate(), now),
            random,
            ahead: 0,
            has_answered: false,
            is_established: false,
            records_left: if nonces_count {
                u64::MAX
            } else {
                MOST_BY_CHANCE
            },
        };
        this.dtls.handle_timeout(now).map_err(|_| DtlsFailed)?;
        accepted::expecting(cookie, || this.repeat(hello, datagram))?;
        Ok(this)
    }

    /// Plays to the library what has led to the hello: it must have seen the hellos without
    /// cookie to take the one with it. Its answers to these have been given before.
    fn repeat(&mut self, hello: &ClientHello<'_>, datagram: &[u8]) -> Result<(), DtlsFailed> {
        let hellos_before = hello.message_number();
        if hellos_before > MOST_HELLOS {
            return Err(DtlsFailed);
        }
        let mut unused = [0; super::VERIFY_REQUEST];
        for number in 0..hellos_before {
            self.take_in(&hello.without_cookie(number))?;
            while !matches!(self.dtls.poll_output(&mut unused), Output::Timeout(_)) {}
        }
        // The first record of the answer has the number of the hello's.
        let before = u64::from(hellos_before);
        self.ahead = hello.record_number().saturating_sub(before);
        self.take_in(datagram)
    }

    fn take_in(&mut self, datagram: &[u8]) -> Result<(), DtlsFailed> {
        self.dtls.handle_packet(datagram).map_err(|_| DtlsFailed)
    }

    /// Whether this hello, or one that it repeats, has begun the session.
    #[must_use]
    pub fn was_begun_by(&self, hello: &ClientHello<'_>) -> bool {
        self.random == hello.random()
    }

    /// Whether anything has been said to the client. If all of the first output brings nothing to
    /// say, there is nothing that both sides can do.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether the handshake is done.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.is_established
    }

    /// Takes in a datagram. What is no record of this session is dropped.
    ///
    /// # Errors
    /// If the session cannot go on.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), DtlsFailed> {
        self.handle_timeout(now)?;
        self.take_in(datagram)
    }

    /// The time of [`DtlsOutput::Wait`] has come.
    ///
    /// # Errors
    /// If the handshake takes too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailed> {
        self.dtls.handle_timeout(now).map_err(|_| DtlsFailed)
    }

    /// Says good-bye, where there is a session to end.
    pub fn close(&mut self) {
        // A session that cannot even be closed is over, too.
        let _ = self.dtls.close();
    }

    /// What there is next, put into `buffer`, for which the length of the longest datagram that
    /// has been taken in is enough, and [`DtlsSession::LONGEST_DATAGRAM`] always.
    pub fn poll(&mut self, buffer: &mut [u8]) -> DtlsOutput {
        loop {
            let length = match self.dtls.poll_output(buffer) {
                Output::Packet(datagram) => datagram.len(),
                Output::ApplicationData(message) => return DtlsOutput::Message(message.len()),
                Output::Connected => {
                    self.is_established = true;
                    return DtlsOutput::Established;
                }
                Output::CloseNotify | Output::BufferTooSmall { .. } => return DtlsOutput::Over,
                Output::Timeout(until) => return DtlsOutput::Wait(until),
                // Certificates and keys of the client, which are not asked for.
                _ => continue,
            };
            advance_numbers(&mut buffer[..length], self.ahead);
            self.has_answered = true;
            return DtlsOutput::Datagram(length);
        }
    }

    /// Encrypts a message, as one record in a datagram of its own: gives how many bytes of
    /// `buffer` it takes. All output must have been polled before. `None` if there is no session,
    /// or the message is too long for it.
    pub fn seal(&mut self, message: &[u8], buffer: &mut [u8]) -> Option<usize> {
        if !self.is_established || message.len() > RECORD {
            return None;
        }
        self.records_left = self.records_left.checked_sub(1)?;
        self.dtls.send_application_data(message).ok()?;
        let mut sealed = None;
        loop {
            match self.poll(buffer) {
                DtlsOutput::Datagram(length) => sealed = Some(length),
                DtlsOutput::Wait(_) => return sealed,
                _ => return None,
            }
        }
    }

    /// Whether no more messages can be sent, since there would be too many under one key.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.records_left == 0
    }
}

/// Adds `ahead` to the numbers of the plain records of a datagram. Nothing is computed from them.
fn advance_numbers(datagram: &mut [u8], ahead: u64) {
    let mut rest = datagram;
    while let Some((header, behind)) = rest.split_at_mut_checked(13) {
        if header[3..5] == [0, 0] {
            let mut number = [0; 8];
            number[2..].copy_from_slice(&header[5..11]);
            let number = u64::from_be_bytes(number).wrapping_add(ahead).to_be_bytes();
            header[5..11].copy_from_slice(&number[2..]);
        }
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let Some(next) = behind.get_mut(length..) else {
            return;
        };
        rest = next;
    }
}
