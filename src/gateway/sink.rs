//! Where signaling hands on what concerns others: the relay, or the disk.

use std::fmt;
use std::sync::Arc;

/// Takes what signaling says outside. Signaling goes on only when it has been taken, so taking must
/// not wait for anything.
pub struct Sink<T>(Arc<dyn Fn(T) + Send + Sync>);

impl<T> Sink<T> {
    /// Hands each thing to `take`, which must not wait.
    pub fn new(take: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands `thing` on.
    pub fn take(&self, thing: T) {
        (self.0)(thing);
    }
}

impl<T> Clone for Sink<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}
