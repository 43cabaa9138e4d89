//! Messages in a stream. Whatever pieces it comes in, they are the same messages, and so is
//! whether it can go on after them.

use peerage::stun::{ChannelData, Frame, Message, ParseError, Protocol, classify};

use super::bytes::Bytes;

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    let longest = 4 * usize::from(input.u8());
    let cuts = input.short();
    let stream = input.0;
    let whole = frames(stream, &[], longest);
    assert_eq!(frames(stream, cuts, longest), whole);
    let bytewise = vec![1; stream.len()];
    assert_eq!(frames(stream, &bytewise, longest), whole);
}

/// The messages of a stream that comes in pieces of the lengths `cuts` and then all at once; and
/// whether it can go on. Of two things that are wrong, which one is told may depend on the pieces.
fn frames(stream: &[u8], cuts: &[u8], longest: usize) -> (Vec<Frame>, bool) {
    let mut found = Vec::new();
    let (mut start, mut end) = (0, 0);
    for cut in cuts.iter().map(|&cut| usize::from(cut)).chain([usize::MAX]) {
        end = stream.len().min(cut.saturating_add(end));
        loop {
            match Frame::first(&stream[start..end], longest) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    check(frame, &stream[start..end], longest);
                    start += frame.taken;
                    found.push(frame);
                }
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}

fn check(frame: Frame, stream: &[u8], longest: usize) {
    assert!(frame.length <= frame.taken && frame.taken < frame.length + 4);
    assert!(frame.taken <= longest && frame.taken.is_multiple_of(4));
    let message = &stream[..frame.length];
    match classify(message) {
        Protocol::ChannelData => {
            let data = ChannelData::parse(message).expect("whole");
            assert_eq!(
                data.payload.len() + ChannelData::HEADER_LENGTH,
                frame.length
            );
        }
        Protocol::Stun => {
            let error = Message::parse(message).err();
            let is_cut_wrong = matches!(error, Some(ParseError::NotStun | ParseError::Length));
            assert!(!is_cut_wrong, "{error:?}");
        }
        Protocol::Dtls | Protocol::Other => panic!("no message begins so"),
    }
}
