//! ChannelData messages (RFC 8656 section 12.4).

/// The number of a channel, 0x4000 to 0x4FFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The smallest number.
    pub const MIN: u16 = 0x4000;
    /// The largest number. RFC 5766 went up to 0x7FFF; RFC 8656 reserves what is above.
    pub const MAX: u16 = 0x4FFF;

    /// `number` as a channel, if it may be one.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (Self::MIN..=Self::MAX)
            .contains(&number)
            .then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

/// A view of a ChannelData message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// The channel.
    pub number: ChannelNumber,
    /// The application's bytes, without padding.
    pub payload: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Length of the header: the channel's number and the payload's length.
    pub const HEADER_LENGTH: usize = 4;

    /// Reads a datagram. Bytes behind the payload are padding and ignored. `None` if it is
    /// shorter than it says or the number is no channel's.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, rest) = datagram.split_first_chunk::<4>()?;
        let number = ChannelNumber::new(u16::from_be_bytes([header[0], header[1]]))?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        Some(Self {
            number,
            payload: rest.get(..length)?,
        })
    }

    /// The four bytes that go before a payload of `length` bytes.
    #[must_use]
    pub fn header(number: ChannelNumber, length: u16) -> [u8; 4] {
        let ([a, b], [c, d]) = (number.value().to_be_bytes(), length.to_be_bytes());
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_behind_the_payload_is_ignored() {
        let parsed = ChannelData::parse(&[0x40, 0x01, 0, 2, 7, 8, 0, 0]).expect("well formed");
        assert_eq!(parsed.number.value(), 0x4001);
        assert_eq!(parsed.payload, [7, 8]);
    }

    #[test]
    fn a_payload_may_be_empty() {
        let parsed = ChannelData::parse(&[0x4f, 0xff, 0, 0]).expect("well formed");
        assert!(parsed.payload.is_empty());
    }

    #[test]
    fn a_datagram_shorter_than_it_says_is_refused() {
        assert_eq!(ChannelData::parse(&[0x40, 0, 0, 3, 1, 2]), None);
        assert_eq!(ChannelData::parse(&[0x40, 0, 0]), None);
        assert_eq!(ChannelData::parse(&[]), None);
    }

    #[test]
    fn numbers_outside_the_range_are_refused() {
        assert_eq!(ChannelData::parse(&[0x50, 0, 0, 0]), None);
        assert_eq!(ChannelData::parse(&[0x3f, 0xff, 0, 0]), None);
    }

    #[test]
    fn the_header_is_what_parse_reads() {
        let number = ChannelNumber::new(0x4abc).expect("in range");
        let mut datagram = ChannelData::header(number, 1).to_vec();
        datagram.push(9);
        let parsed = ChannelData::parse(&datagram).expect("well formed");
        assert_eq!((parsed.number, parsed.payload), (number, &[9][..]));
    }
}
