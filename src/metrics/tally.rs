//! Counters with one label.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;

/// How often each of several things has happened. They are named by words of the program, so there
/// are only so many; for what happens seldom, since it takes a lock.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// It has happened once more.
    pub fn count(&self, word: &'static str) {
        *self.words().entry(word).or_default() += 1;
    }

    /// How often it has happened.
    #[must_use]
    pub fn of(&self, word: &str) -> u64 {
        self.words().get(word).copied().unwrap_or_default()
    }

    /// How often anything has happened.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.words().values().sum()
    }

    /// Nothing panics while it is held, so it is right whoever panicked elsewhere.
    fn words(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, label): (&str, &str, &str),
    ) -> fmt::Result {
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (word, count) in self.words().iter() {
            let labels = [(label, *word)];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
