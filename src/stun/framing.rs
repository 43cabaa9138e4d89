//! Where messages end in a stream (RFC 8489 section 6.2.2, RFC 8656 section 12.5).
//!
//! A stream carries nothing but STUN messages and ChannelData, one behind the other, each padded to
//! a multiple of four bytes. There is no way back into step, so whoever gets out of it is cut off.

use super::channel_data::{ChannelData, ChannelNumber};
use super::demux::{Protocol, classify};
use super::header::{HEADER_LENGTH, MAGIC_COOKIE};

/// The first message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How many bytes the message has.
    pub length: usize,
    /// How many bytes of the stream it takes: the length, and padding behind ChannelData.
    pub taken: usize,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// Neither a STUN message nor ChannelData begins here.
    Garbage,
    /// The message is longer than may be.
    TooLong,
}

impl Frame {
    /// The most bytes that a message may take: those of a STUN message, the length field of which
    /// is a multiple of four.
    pub const LONGEST: usize = HEADER_LENGTH + 65_532;

    /// The message at the start of `stream`, or `None` as long as its end has not come. Messages
    /// that take more than `longest` bytes are refused before they are there.
    ///
    /// # Errors
    /// If no message can come any more. What is wrong is told as early as it can be seen.
    pub fn first(stream: &[u8], longest: usize) -> Result<Option<Self>, FramingError> {
        let length = match classify(stream) {
            Protocol::Stun => stun_length(stream)?,
            Protocol::ChannelData => channel_data_length(stream)?,
            Protocol::Other if stream.is_empty() => return Ok(None),
            Protocol::Dtls | Protocol::Other => return Err(FramingError::Garbage),
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let taken = length.next_multiple_of(4);
        if taken > longest {
            return Err(FramingError::TooLong);
        }
        Ok((stream.len() >= taken).then_some(Self { length, taken }))
    }
}

/// `None` as long as the header does not tell.
fn stun_length(stream: &[u8]) -> Result<Option<usize>, FramingError> {
    let cookie = MAGIC_COOKIE.to_be_bytes();
    let begun = stream.get(4..).unwrap_or_default();
    if begun.iter().zip(cookie).any(|(byte, due)| *byte != due) {
        return Err(FramingError::Garbage);
    }
    let Some(length) = length_field(stream) else {
        return Ok(None);
    };
    if !length.is_multiple_of(4) {
        return Err(FramingError::Garbage);
    }
    Ok(Some(HEADER_LENGTH + length))
}

/// `None` as long as the header does not tell.
fn channel_data_length(stream: &[u8]) -> Result<Option<usize>, FramingError> {
    let number = stream.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    if number.is_some_and(|number| ChannelNumber::new(number).is_none()) {
        return Err(FramingError::Garbage);
    }
    Ok(length_field(stream).map(|length| ChannelData::HEADER_LENGTH + length))
}

/// Both kinds of messages have it in the same place.
fn length_field(stream: &[u8]) -> Option<usize> {
    let field = stream.get(2..4)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*field)))
}

#[cfg(test)]
mod tests {
    use super::super::{Attribute, Class, Message, Method, ParseError, TransactionId, Writer};
    use super::*;
    use proptest::prelude::*;

    fn first(stream: &[u8]) -> Result<Option<Frame>, FramingError> {
        Frame::first(stream, Frame::LONGEST)
    }

    fn stun(software: &str) -> Vec<u8> {
        let mut buffer = [0; 1_500];
        let id = TransactionId([7; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
        writer.text(Attribute::SOFTWARE, software);
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    fn channel_data(payload: &[u8]) -> Vec<u8> {
        let number = ChannelNumber::new(0x4001).expect("in range");
        let length = u16::try_from(payload.len()).expect("short");
        let mut bytes = ChannelData::header(number, length).to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    fn padded(mut message: Vec<u8>) -> Vec<u8> {
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn a_message_is_whole_with_its_padding_and_not_before() {
        let stream = padded(channel_data(b"hello"));
        assert_eq!(stream.len(), 12);
        for end in 0..12 {
            assert_eq!(first(&stream[..end]), Ok(None), "{end}");
        }
        let frame = Frame {
            length: 9,
            taken: 12,
        };
        assert_eq!(first(&stream), Ok(Some(frame)));
    }

    #[test]
    fn garbage_is_told_at_the_first_byte_that_shows_it() {
        for (stream, seen) in [
            (&b"POST / HTTP/1.1"[..], 1),
            (b"\x16\x03\x01", 1),
            (b"\x50\x00", 1),
            (b"\x04", 1),
            (b"\x00\x01\x00\x00\x21\x12\xa4\x43", 8),
            (b"\x00\x01\x00\x00\x22", 5),
            (b"\x00\x01\x00\x03", 4),
        ] {
            assert_ne!(
                first(&stream[..seen - 1]),
                Err(FramingError::Garbage),
                "{stream:?}"
            );
            assert_eq!(
                first(&stream[..seen]),
                Err(FramingError::Garbage),
                "{stream:?}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_header() {
        let header = &channel_data(&[0; 1_000])[..4];
        assert_eq!(Frame::first(header, 1_004), Ok(None));
        assert_eq!(Frame::first(header, 1_003), Err(FramingError::TooLong));
        // What looks like ChannelData and is none.
        assert_eq!(Frame::first(b"GET /", 4_096), Err(FramingError::TooLong));
    }

    #[test]
    fn the_longest_messages_of_both_kinds_pass() {
        let longest_data = padded(channel_data(&[1; 65_535]));
        assert_eq!(
            first(&longest_data).map(|frame| frame.map(|frame| frame.taken)),
            Ok(Some(65_540))
        );
        let mut longest_message = stun("");
        longest_message[2..4].copy_from_slice(&65_532_u16.to_be_bytes());
        longest_message.resize(65_552, 0);
        assert_eq!(
            first(&longest_message).map(|frame| frame.map(|frame| frame.taken)),
            Ok(Some(65_552))
        );
    }

    /// Takes the messages out of a stream that comes in pieces.
    fn reassemble(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FramingError> {
        let (mut kept, mut messages) = (Vec::new(), Vec::new());
        for piece in pieces {
            kept.extend_from_slice(piece);
            while let Some(frame) = first(&kept)? {
                messages.push(kept[..frame.length].to_vec());
                kept.drain(..frame.taken);
            }
        }
        Ok(messages)
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let message = prop_oneof![
            "[a-z]{0,40}".prop_map(|text| stun(&text)),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(|payload| channel_data(&payload)),
        ];
        prop::collection::vec(message, 1..6)
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_wherever_the_stream_is_cut(messages in messages()) {
            let stream: Vec<u8> = messages.iter().cloned().flat_map(padded).collect();
            for at in 0..=stream.len() {
                let (a, b) = stream.split_at(at);
                let reassembled = reassemble(&[a, b]);
                prop_assert_eq!(reassembled.as_ref(), Ok(&messages));
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(reassemble(&bytes), Ok(messages));
        }

        #[test]
        fn any_bytes_give_messages_or_an_error_and_never_more_than_there_are(
            stream in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            if let Ok(Some(frame)) = first(&stream) {
                prop_assert!(frame.length <= frame.taken && frame.taken <= stream.len());
                prop_assert!(frame.taken.is_multiple_of(4));
                let parsed = Message::parse(&stream[..frame.length]);
                let is_framed = !matches!(parsed, Err(ParseError::NotStun | ParseError::Length));
                prop_assert!(is_framed || classify(&stream) == Protocol::ChannelData);
            }
        }
    }
}
