//! How many relay ports are free.

use std::sync::atomic::{AtomicU64, Ordering};

/// The relay ports of one address.
#[derive(Debug)]
pub struct Ports {
    /// A value of the label `family`.
    family: &'static str,
    all: u64,
    taken: AtomicU64,
}

impl Ports {
    /// So many ports of a `family`, all of them free.
    #[must_use]
    pub fn new(family: &'static str, all: u64) -> Self {
        Self {
            family,
            all,
            taken: AtomicU64::new(0),
        }
    }

    /// One is taken.
    pub fn take(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// One is free again.
    pub fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.all.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// The value of the label `family`.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.family
    }
}
