//! What hosts decide about a room.

/// What hosts have decided about a room, as members are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether who wants to come in has to knock.
    pub locked: bool,
    /// How many members the room may have.
    pub limit: usize,
    /// What becomes of a second session of a subject that is there.
    pub duplicates: Duplicates,
}

/// What a room does when a subject comes in with another session than the one that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Both are members.
    #[default]
    Allow,
    /// The newer takes the place of the older.
    Replace,
    /// The newer is refused, as long as the connection of the older lives.
    Reject,
}

impl Duplicates {
    /// The word on the wire and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Replace => "replace",
            Self::Reject => "reject",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Allow, Self::Replace, Self::Reject];
        all.into_iter().find(|it| it.name() == name)
    }
}
