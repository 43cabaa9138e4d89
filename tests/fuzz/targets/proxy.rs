//! What a proxy says before a connection. However much of it has come, what is understood stays
//! the same, and nothing behind its end counts.

use peerage::relay::{NoHeader, ProxyHeader};

/// Longer ones are refused.
const LONGEST: usize = 16 + 1_024;

pub(crate) fn run(input: &[u8]) {
    let whole = ProxyHeader::parse(input);
    let end = match whole {
        Ok(Some(header)) => header.length,
        Ok(None) => {
            assert!(input.len() < LONGEST, "somebody may wait for ever");
            input.len()
        }
        Err(NoHeader) => return is_refused_for_good(input),
    };
    for come in 0..end {
        assert_eq!(ProxyHeader::parse(&input[..come]), Ok(None), "{come} bytes");
    }
    assert_eq!(ProxyHeader::parse(&input[..end]), whole);
}

/// Once it is refused, nothing that comes makes it good.
fn is_refused_for_good(input: &[u8]) {
    let mut outcomes = (0..=input.len()).map(|come| ProxyHeader::parse(&input[..come]));
    outcomes.find(|outcome| *outcome == Err(NoHeader));
    assert!(outcomes.all(|outcome| outcome == Err(NoHeader)));
}
