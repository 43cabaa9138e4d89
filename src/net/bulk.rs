//! Reads in bulk for those who ask for little at a time.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once.
const BULK: usize = 16 << 10;
/// Who has room for so much reads into it without the detour.
const AMPLE: usize = 4 << 10;

thread_local! {
    /// Where all streams of a thread read to, one after the other.
    static TABLE: RefCell<Box<[u8]>> = RefCell::new(vec![0; BULK].into());
}

/// A stream whose reader may have a small buffer of its own: one call fetches all that has come,
/// up to 16 KiB, and what the reader has no room for is kept until it asks again. A stream of
/// which nothing waits keeps no memory for reading.
#[derive(Debug)]
pub struct Bulk<S> {
    stream: S,
    /// What has been read, of which this much is handed out.
    rest: (Vec<u8>, usize),
}

impl<S> Bulk<S> {
    /// Nothing is read yet.
    pub fn new(stream: S) -> Self {
        let rest = (Vec::new(), 0);
        Self { stream, rest }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bulk<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (rest, handed_out) = &mut this.rest;
        if !rest.is_empty() {
            let waiting = &rest[*handed_out..];
            let fits = waiting.len().min(room.remaining());
            room.put_slice(&waiting[..fits]);
            *handed_out += fits;
            if *handed_out == rest.len() {
                this.rest = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(()));
        }
        if room.remaining() >= AMPLE {
            return Pin::new(&mut this.stream).poll_read(cx, room);
        }
        TABLE.with_borrow_mut(|table| {
            let mut bulk = ReadBuf::new(table);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut bulk))?;
            let read = bulk.filled();
            let fits = read.len().min(room.remaining());
            room.put_slice(&read[..fits]);
            rest.extend_from_slice(&read[fits..]);
            Poll::Ready(Ok(()))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bulk<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Counts how often the stream below is asked.
    struct Counting<S>(S, usize);

    impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.1 += 1;
            Pin::new(&mut self.0).poll_read(cx, room)
        }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_reader_of_little_gets_everything_in_order_and_the_stream_is_asked_once() {
        let (mut writer, stream) = duplex(BULK);
        let sent = pattern(3_000);
        writer.write_all(&sent).await.expect("written");
        let mut bulk = Bulk::new(Counting(stream, 0));
        let mut got = Vec::new();
        let mut room = [0; 7];
        while got.len() < sent.len() {
            let read = bulk.read(&mut room).await.expect("read");
            got.extend_from_slice(&room[..read]);
        }
        assert_eq!(got, sent);
        assert_eq!(bulk.stream.1, 1);
    }

    #[tokio::test]
    async fn whatever_room_a_reader_has_it_gets_what_was_sent() {
        let (mut writer, stream) = duplex(20_000);
        let sent = pattern(1 << 20);
        let writing = tokio::spawn({
            let sent = sent.clone();
            async move { writer.write_all(&sent).await }
        });
        let mut bulk = Bulk::new(stream);
        let mut got = Vec::new();
        let mut room = vec![0; 2 * BULK];
        for length in [1, 10, AMPLE - 1, AMPLE, BULK, 2 * BULK].iter().cycle() {
            let read = bulk.read(&mut room[..*length]).await.expect("read");
            if read == 0 {
                break;
            }
            got.extend_from_slice(&room[..read]);
        }
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        writing.await.expect("ended").expect("written");
    }

    #[tokio::test]
    async fn the_end_comes_behind_what_was_read() {
        let (mut writer, stream) = duplex(BULK);
        writer.write_all(b"the last words").await.expect("written");
        drop(writer);
        let mut bulk = Bulk::new(stream);
        let mut room = [0; 4];
        assert_eq!(bulk.read(&mut room).await.expect("read"), 4);
        let mut rest = Vec::new();
        bulk.read_to_end(&mut rest).await.expect("read");
        assert_eq!(rest, b"last words");
    }

    #[tokio::test]
    async fn what_is_written_goes_through() {
        let (mut reader, stream) = duplex(64);
        let mut bulk = Bulk::new(stream);
        bulk.write_all(b"hello").await.expect("written");
        bulk.shutdown().await.expect("shut down");
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.expect("read");
        assert_eq!(got, b"hello");
    }
}
