//! To whom an allocation belongs, where it may only talk to those whom it is in a room with.

use std::fmt;
use std::net::IpAddr;

/// Somebody who is in rooms with others: all allocations of a session are of one party. What it may
/// reach changes while it has them.
pub trait Party: fmt::Debug + Send + Sync {
    /// Whether `other` is the same party, or in a room with it. If so, the same is true the other
    /// way round. Asked for every packet that both are to have.
    fn meets(&self, other: &dyn Party) -> bool;

    /// Whether it is in the room of this number.
    fn is_in(&self, room: u64) -> bool;

    /// Whether somebody else has announced `peer` in a room that it is in.
    fn may_reach(&self, peer: IpAddr) -> bool;
}
