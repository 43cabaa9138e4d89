//! The server's side of TLS on one connection, without its socket.

use std::io::{BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{ServerConfig, ServerConnection};

/// What sessions are begun with. It may be replaced at any time; those that have begun keep what
/// they have.
pub type TlsConfig = Arc<ArcSwap<ServerConfig>>;

/// The most bytes that a record adds to what is in it.
const RECORD_OVERHEAD: usize = 64;

/// The longest plaintext of a record.
const RECORD: usize = 16 << 10;

/// A TLS session. Records go in by [`TlsSession::open`], plaintext by [`TlsSession::seal`]; what
/// is to be sent comes out by [`TlsSession::take_records`] after each of them.
#[derive(Debug)]
pub struct TlsSession(Box<ServerConnection>);

/// The other side does not keep to TLS, or cannot agree with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFailed;

impl TlsSession {
    /// A session that waits for the client's first record.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, TlsFailed> {
        let connection = ServerConnection::new(config).map_err(|_| TlsFailed)?;
        Ok(Self::from(connection))
    }

    /// How much room [`TlsSession::open`] needs for the plaintext of so many bytes of records:
    /// they may end a record that has begun before.
    #[must_use]
    pub const fn room_for(records: usize) -> usize {
        records + RECORD
    }

    /// How many bytes at most [`TlsSession::seal`] makes of so many.
    #[must_use]
    pub const fn sealed_length(plaintext: usize) -> usize {
        plaintext + (plaintext / RECORD + 1) * RECORD_OVERHEAD
    }

    /// Takes records in and puts their plaintext into `buffer`, whose length is at least that of
    /// [`TlsSession::room_for`]. Gives how many bytes of it count.
    ///
    /// # Errors
    /// If the session cannot go on. There may be a last record to be sent, which says why.
    pub fn open(&mut self, mut records: &[u8], buffer: &mut [u8]) -> Result<usize, TlsFailed> {
        let mut length = self.read_plaintext(buffer);
        while !records.is_empty() && !self.is_over() {
            self.0.read_tls(&mut records).map_err(|_| TlsFailed)?;
            self.0.process_new_packets().map_err(|_| TlsFailed)?;
            length += self.read_plaintext(&mut buffer[length..]);
        }
        Ok(length)
    }

    /// Encrypts a message, which comes in parts, as one record where it is short enough.
    pub fn seal(&mut self, parts: [&[u8]; 3]) {
        let mut slices = parts.map(IoSlice::new);
        let mut rest = &mut slices[..];
        while rest.iter().any(|part| !part.is_empty()) {
            // Without a limit, the writer takes everything.
            match self.0.writer().write_vectored(rest) {
                Ok(count) if count > 0 => IoSlice::advance_slices(&mut rest, count),
                _ => return,
            }
        }
    }

    /// Puts the records that are to be sent behind `unsent`.
    pub fn take_records(&mut self, unsent: &mut Vec<u8>) {
        while self.0.wants_write() {
            if self.0.write_tls(unsent).is_err() {
                return;
            }
        }
    }

    /// Says good-bye. It is a record to be sent.
    pub fn close(&mut self) {
        self.0.send_close_notify();
    }

    /// Whether the other side has said good-bye.
    #[must_use]
    pub fn is_over(&mut self) -> bool {
        // Where there is no more plaintext, the reader tells the end of the session.
        matches!(self.0.reader().fill_buf(), Ok([]))
    }

    fn read_plaintext(&mut self, buffer: &mut [u8]) -> usize {
        let mut length = 0;
        while length < buffer.len() {
            match self.0.reader().read(&mut buffer[length..]) {
                Ok(count) if count > 0 => length += count,
                _ => break,
            }
        }
        length
    }
}

impl From<ServerConnection> for TlsSession {
    /// A session that somebody else has begun.
    fn from(mut connection: ServerConnection) -> Self {
        // Whoever seals looks how much there is; half a message would be worse than none.
        connection.set_buffer_limit(None);
        Self(Box::new(connection))
    }
}
