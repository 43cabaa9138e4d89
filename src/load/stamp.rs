//! What stands at the front of every payload: who sent it, as which one, and when.

use std::time::Duration;

/// A tick of the stamps' clock.
const TICK: u64 = 256;

/// The front of a payload. Ticks wrap after 18 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) flow: u32,
    pub(super) sequence: u32,
    pub(super) ticks: u32,
}

impl Stamp {
    pub(super) const LENGTH: usize = 12;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&self.flow.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ticks.to_be_bytes());
        bytes
    }

    /// The stamp, and the bytes behind it.
    pub(super) fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (bytes, rest) = payload.split_first_chunk::<{ Self::LENGTH }>()?;
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let stamp = Self {
            flow: number(0),
            sequence: number(4),
            ticks: number(8),
        };
        Some((stamp, rest))
    }

    /// The stamps' clock, from the time since the start of the load.
    pub(super) fn ticks(since_start: Duration) -> u32 {
        (since_start.as_nanos() as u64 / TICK) as u32
    }

    /// Nanoseconds from the stamp until `ticks`.
    pub(super) fn age(self, ticks: u32) -> u64 {
        u64::from(ticks.wrapping_sub(self.ticks)) * TICK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_and_its_clock_wraps() {
        let stamp = Stamp {
            flow: 7,
            sequence: 0x0102_0304,
            ticks: u32::MAX,
        };
        let mut payload = stamp.to_bytes().to_vec();
        payload.push(9);
        assert_eq!(Stamp::read(&payload), Some((stamp, &[9][..])));
        assert_eq!(Stamp::read(&payload[..11]), None);
        assert_eq!(stamp.age(1), 2 * TICK);
    }
}
