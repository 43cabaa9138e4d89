//! What lives as long as a WebSocket does.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// Keeps something for as long as a WebSocket lives. A request brings it among its extensions
/// where the connection below carries more than this one WebSocket, and has to know.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<OnceLock<Kept>>);

type Kept = Box<dyn Any + Send + Sync>;

impl Lease {
    /// Keeps `kept` until every clone of this is gone.
    pub fn keep(&self, kept: Kept) {
        // A lease is for one thing: a second one is dropped at once.
        drop(self.0.set(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_goes_with_the_last_clone() {
        let kept = Arc::new(());
        let lease = Lease::default();
        let other = lease.clone();
        lease.keep(Box::new(Arc::clone(&kept)));
        drop(lease);
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(other);
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
