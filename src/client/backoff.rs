//! When to try again.

use std::time::Duration;

/// Exponential backoff with full jitter: each wait is drawn evenly from zero to a bound that
/// doubles every time, so that thousands of clients that lost one server come back spread out.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    ceiling: Duration,
    attempts: u32,
    state: u64,
}

impl Backoff {
    pub(super) fn new(base: Duration, ceiling: Duration, seed: u64) -> Self {
        Self {
            base,
            ceiling,
            attempts: 0,
            state: seed,
        }
    }

    pub(super) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(factor).min(self.ceiling);
        self.attempts += 1;
        bound.mul_f64(self.share())
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A number from 0 to 1 (SplitMix64): nothing depends on its being hard to guess.
    fn share(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_over_a_bound_that_doubles_up_to_the_ceiling() {
        let bounds = [500, 1_000, 2_000, 4_000, 8_000, 8_000];
        let mut longest = [0; 6];
        for seed in 0..200 {
            let base = Duration::from_millis(500);
            let mut backoff = Backoff::new(base, Duration::from_secs(8), seed);
            for longest in &mut longest {
                *longest = backoff.next().as_millis().max(*longest);
            }
        }
        for (longest, bound) in longest.into_iter().zip(bounds) {
            assert!(longest <= bound && longest > bound * 9 / 10, "{longest}");
        }
    }
}
