//! What hosts decide about a room.

/// What hosts have decided about a room, as members are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether who wants to come in has to knock.
    pub locked: bool,
    /// How many members the room may have.
    pub limit: usize,
}
