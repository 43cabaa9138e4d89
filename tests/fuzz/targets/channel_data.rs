//! ChannelData, read and written again.

use peerage::stun::{ChannelData, Protocol, classify};

pub(crate) fn run(input: &[u8]) {
    let Some(data) = ChannelData::parse(input) else {
        return;
    };
    assert_eq!(classify(input), Protocol::ChannelData);
    let length = u16::try_from(data.payload.len()).expect("the field has 16 bits");
    let header = ChannelData::header(data.number, length);
    let written = [&header[..], data.payload].concat();
    assert!(input.starts_with(&written));
    assert_eq!(ChannelData::parse(&written), Some(data));
}
