//! How far a server has got with holding what it has granted against new terms.

/// Which allocations have not been looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Review {
    /// The place in the table that comes next.
    pub(super) next: usize,
    /// Whether the users may have changed.
    pub(super) of_users: bool,
}
