//! What a client without allocation may do that comes by a stream or an association.

use std::time::Duration;

use crate::time::Instant;

/// How long a client may take for its first message, a handshake included.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// How long a client without allocation may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// The longest message of a client without allocation.
pub(super) const STRANGERS_MESSAGE: usize = 4_096;

/// Until when a client may be silent that was last heard then; `None` if its time is over.
pub(super) fn spared_until(
    heard: Option<Instant>,
    has_allocation: bool,
    now: Instant,
) -> Option<Instant> {
    let heard = if has_allocation { Some(now) } else { heard };
    let until = heard.map(|heard| heard + SILENCE);
    until.filter(|until| *until > now)
}
