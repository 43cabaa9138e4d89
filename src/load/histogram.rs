//! Durations, counted in buckets that are at most three per cent wide.

/// Buckets of each power of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Enough for every `u64`.
const BUCKETS: usize = ((64 - STEP_BITS + 1) as u64 * STEPS) as usize;

/// How often which duration was seen. It takes the same memory however many there are.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into(),
            count: 0,
        }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.buckets[bucket(value)] += 1;
        self.count += 1;
    }

    /// Counts all that `other` has.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// The value that a share of `quantile` (0 to 1) is not above, as the upper end of its
    /// bucket; `None` if nothing was counted.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (number, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(upper_end(number));
            }
        }
        None
    }
}

fn bucket(value: u64) -> usize {
    let exponent = value.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    let row = u64::from(exponent) * STEPS;
    // In the first row the steps are 0 to 31, in all others 32 to 63 of twice the width.
    (row + (value >> exponent)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let exponent = (bucket / STEPS).saturating_sub(1);
    let step = bucket - exponent * STEPS;
    let end = u128::from(step + 1) << exponent;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bucket_and_buckets_are_narrow() {
        let values = (0..1_000).chain((0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 3]
        }));
        for value in values.chain([u64::MAX]) {
            let end = upper_end(bucket(value));
            assert!(end >= value, "{value} is beyond {end}");
            assert!((end - value) as f64 <= value as f64 / 31.0, "{value} {end}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=20).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile(0.5), Some(10));
        assert_eq!(histogram.quantile(0.99), Some(20));
        assert_eq!(histogram.quantile(0.0), Some(1));
        let mut both = Histogram::default();
        both.add(&histogram);
        both.add(&histogram);
        assert_eq!(both.quantile(0.5), Some(10));
    }
}
