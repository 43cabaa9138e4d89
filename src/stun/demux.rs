//! Telling protocols apart that share a port (RFC 7983, RFC 9443).

/// What a datagram is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 0 to 3.
    Stun,
    /// 64 to 79: TURN ChannelData.
    ChannelData,
    /// 20 to 63.
    Dtls,
    /// Anything else, also the empty datagram: nothing that this server speaks.
    Other,
}

/// Tells what `datagram` is. Only its first byte is looked at.
#[must_use]
pub fn classify(datagram: &[u8]) -> Protocol {
    match datagram.first() {
        Some(0..=3) => Protocol::Stun,
        Some(64..=79) => Protocol::ChannelData,
        Some(20..=63) => Protocol::Dtls,
        _ => Protocol::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_the_protocol() {
        for (first, protocol) in [
            (0, Protocol::Stun),
            (3, Protocol::Stun),
            (4, Protocol::Other),
            (16, Protocol::Other),
            (20, Protocol::Dtls),
            (63, Protocol::Dtls),
            (64, Protocol::ChannelData),
            (79, Protocol::ChannelData),
            (80, Protocol::Other),
            (128, Protocol::Other),
            (255, Protocol::Other),
        ] {
            assert_eq!(classify(&[first]), protocol, "{first}");
        }
        assert_eq!(classify(&[]), Protocol::Other);
    }
}
