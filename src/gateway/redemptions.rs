//! Where it is noted that a token is used which lets in one session only.

use std::fmt;
use std::sync::Arc;

use crate::signal::Redemption;

/// Takes what must not be forgotten, without making anybody wait.
#[derive(Clone)]
pub struct RedemptionSink(Arc<dyn Fn(Redemption) + Send + Sync>);

impl RedemptionSink {
    /// `take` must not wait.
    pub fn new(take: impl Fn(Redemption) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Notes that a token has been used.
    pub fn take(&self, redemption: Redemption) {
        (self.0)(redemption);
    }
}

impl fmt::Debug for RedemptionSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedemptionSink")
    }
}
