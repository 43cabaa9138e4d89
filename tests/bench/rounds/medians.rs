//! Figures of several rounds, and what is made of them.

use std::collections::BTreeMap;

/// The figures of each row, of each server `K`, by round.
pub(crate) struct Medians<K> {
    figures: BTreeMap<(String, K), BTreeMap<usize, f64>>,
}

impl<K> Default for Medians<K> {
    fn default() -> Self {
        Self {
            figures: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> Medians<K> {
    pub(crate) fn add(&mut self, round: usize, row: &str, of: K, figure: f64) {
        let of_row = self.figures.entry((row.to_owned(), of)).or_default();
        of_row.insert(round, figure);
    }

    pub(crate) fn median(&self, row: &str, of: K) -> Option<f64> {
        median(self.of(row, of)?.values().copied().collect())
    }

    /// What share of `theirs` the figure of `ours` is within a round: the median of the rounds.
    pub(crate) fn ratio(&self, row: &str, ours: K, theirs: K) -> Option<f64> {
        let theirs = self.of(row, theirs)?;
        let in_round = |(round, ours): (&usize, &f64)| {
            let theirs = theirs.get(round).filter(|&&theirs| theirs > 0.0)?;
            Some(ours / theirs)
        };
        median(self.of(row, ours)?.iter().filter_map(in_round).collect())
    }

    fn of(&self, row: &str, of: K) -> Option<&BTreeMap<usize, f64>> {
        self.figures.get(&(row.to_owned(), of))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        Some((values[middle - 1] + upper) / 2.0)
    } else {
        Some(upper)
    }
}
