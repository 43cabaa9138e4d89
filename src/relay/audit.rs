//! Where workers hand what must be accounted for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::turn::Record;

/// Something that has happened to an allocation, and when.
#[derive(Clone, Debug)]
pub struct Audited {
    /// In time since 1970.
    pub at: Duration,
    /// What.
    pub record: Record,
}

/// Takes what must be accounted for, without making a worker wait.
#[derive(Clone)]
pub struct AuditSink(Arc<dyn Fn(Audited) -> bool + Send + Sync>);

impl AuditSink {
    /// `take` must not wait; it gives `false` for what it has no room for, which is counted.
    pub fn new(take: impl Fn(Audited) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(super) fn take(&self, audited: Audited) -> bool {
        (self.0)(audited)
    }
}

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSink")
    }
}
