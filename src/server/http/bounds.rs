//! How much and how long, for every version of HTTP.

use std::time::Duration;

/// How long a client may take for the headers of a request, the wait for it included.
pub(super) const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection without a WebSocket may live: a client that does not read what it
/// asked for would otherwise keep its place for ever.
pub(super) const LIFE: Duration = Duration::from_secs(300);
/// How long a request may still take when the connection is to end.
pub(super) const LAST_REQUEST: Duration = Duration::from_secs(5);
/// Bytes of a request's headers.
pub(super) const HEADER_BYTES: usize = 16 * 1024;
