//! What can go wrong before there is a session.

use std::fmt;

/// As much waits already as may wait ([`super::Settings::outbox`]). Room comes with answers and
/// receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as many requests wait for the server as may wait")
    }
}

impl std::error::Error for Full {}

/// Settings that no client can be made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError(pub(super) String);

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}
