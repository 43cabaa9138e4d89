//! A request, and who made it.

use std::time::Duration;

use super::five_tuple::FiveTuple;
use crate::auth::Key;
use crate::stun::{Integrity, Message};
use crate::time::Now;

/// A request while it is handled.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) client: FiveTuple,
    pub(super) message: Message<'a>,
    pub(super) now: Now,
}

/// Who made a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct User<'a> {
    pub(super) name: &'a str,
    pub(super) signer: Signer,
    /// When the credentials end, in time since 1970.
    pub(super) expires: Option<Duration>,
}

/// What the answers to a request are signed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signer {
    pub(super) key: Key,
    /// One attribute after the other.
    pub(super) integrity: &'static [Integrity],
}
