//! What waits to be sent by a connection.

use std::io::{self, Write};

/// How many bytes may wait for somebody who does not read. What finds no room is lost, as a
/// datagram may be.
const UNSENT: usize = 128 << 10;

/// How many bytes of an empty buffer are kept for the next time.
pub(super) const KEPT: usize = 16 << 10;

/// Bytes that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) bytes: Vec<u8>,
    /// How many of them have been sent.
    sent: usize,
}

impl Unsent {
    /// Whether there is room for so many bytes more.
    pub(super) fn make_room(&mut self, length: usize) -> bool {
        if self.bytes.len() - self.sent + length > UNSENT {
            return false;
        }
        // Only where much has been sent: then the rest is moved seldom.
        if self.sent >= UNSENT / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        true
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.sent >= self.bytes.len()
    }

    /// Gives what the system takes of `bytes` to `socket`, and keeps the rest. Nothing waits
    /// before.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn send(&mut self, bytes: &[u8], socket: &mut impl Write) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match socket.write(&bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Gives what the system takes to `socket`.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match socket.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes some bytes and then no more until it is emptied.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_client_that_does_not_read_loses_whole_messages_and_never_a_part() {
        let (mut unsent, mut slow) = (Unsent::default(), Slow::default());
        let message = [7; 1_000];
        let mut pushed = 0;
        for step in 0..1_000 {
            slow.room = if step % 3 == 0 { 1_333 } else { 0 };
            if unsent.make_room(1_004) {
                unsent.bytes.extend_from_slice(&[1, 2, 3, 4]);
                unsent.bytes.extend_from_slice(&message);
                pushed += 1;
            }
            unsent.write_to(&mut slow).expect("open");
            assert!(unsent.bytes.len() - unsent.sent <= UNSENT);
            assert!(unsent.bytes.capacity() <= 4 * UNSENT);
        }
        assert!(pushed < 1_000, "nothing was lost");
        slow.room = usize::MAX;
        unsent.write_to(&mut slow).expect("open");
        assert_eq!(slow.taken.len(), pushed * 1_004);
        for sent in slow.taken.chunks(1_004) {
            assert!(sent.starts_with(&[1, 2, 3, 4]) && sent.ends_with(&message));
        }
        assert_eq!(unsent.bytes.capacity(), 0, "the room is given back");
    }

    #[test]
    fn a_connection_that_takes_nothing_any_more_is_over() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut unsent = Unsent::default();
        unsent.bytes.push(b'a');
        assert!(unsent.write_to(&mut Closed).is_err());
    }
}
