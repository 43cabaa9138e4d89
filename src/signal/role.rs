//! What members of a room may do.

/// What a member is in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// Looks after the room.
    Host,
    /// Takes part.
    #[default]
    Member,
    /// Has been let in: talks to the others, and leaves the room as it is.
    Guest,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Host, Self::Member, Self::Guest];

    /// The role's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What who has this role may do where nothing else is said.
    #[must_use]
    pub const fn permissions(self) -> Permissions {
        match self {
            Self::Host => Permissions::ALL,
            Self::Member => Permissions::SPEAK
                .union(Permissions::BROADCAST)
                .union(Permissions::STATE),
            Self::Guest => Permissions::SPEAK,
        }
    }
}

/// A set of things that a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// To be there, and nothing more.
    pub const NONE: Self = Self(0);
    /// To say something to one other member: offers, answers, candidates.
    pub const SPEAK: Self = Self(1);
    /// To say something to all others at once.
    pub const BROADCAST: Self = Self(1 << 1);
    /// To change the room's state.
    pub const STATE: Self = Self(1 << 2);
    /// To look after the room: lock it, let in, remove, give roles.
    pub const MODERATE: Self = Self(1 << 3);
    /// All of them.
    pub const ALL: Self = Self((1 << 4) - 1);

    const NAMES: [(&'static str, Self); 4] = [
        ("speak", Self::SPEAK),
        ("broadcast", Self::BROADCAST),
        ("state", Self::STATE),
        ("moderate", Self::MODERATE),
    ];

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The one permission of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names.find(|(known, _)| *known == name).map(|(_, it)| it)
    }

    /// The names of what is in this, always in the same order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let held = Self::NAMES
            .into_iter()
            .filter(move |it| self.contains(it.1));
        held.map(|(name, _)| name)
    }
}

/// A role, and what comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Standing {
    /// What others see.
    pub role: Role,
    /// What its bearer may do.
    pub permissions: Permissions,
}

impl From<Role> for Standing {
    /// The role with what it comes with where nothing else is said.
    fn from(role: Role) -> Self {
        Self {
            role,
            permissions: role.permissions(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_and_a_permission_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        for (name, permission) in Permissions::NAMES {
            assert_eq!(Permissions::parse(name), Some(permission));
            assert_eq!(permission.names().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(Role::parse("Host"), None);
        assert_eq!(Permissions::parse("all"), None);
    }

    #[test]
    fn a_lesser_role_may_nothing_that_a_mightier_one_may_not() {
        for pair in Role::ALL.windows(2) {
            let (mightier, lesser) = (pair[0].permissions(), pair[1].permissions());
            assert!(mightier.contains(lesser));
            assert!(!lesser.contains(mightier));
        }
    }

    #[test]
    fn only_a_host_looks_after_the_room() {
        let may = |role: Role| role.permissions().contains(Permissions::MODERATE);
        assert_eq!(Role::ALL.map(may), [true, false, false]);
    }

    #[test]
    fn a_set_contains_its_parts_and_nothing_else() {
        let both = Permissions::SPEAK.union(Permissions::STATE);
        assert!(both.contains(Permissions::SPEAK));
        assert!(both.contains(Permissions::NONE));
        assert!(!both.contains(Permissions::BROADCAST));
        assert!(!both.contains(Permissions::SPEAK.union(Permissions::BROADCAST)));
        assert_eq!(both.names().collect::<Vec<_>>(), ["speak", "state"]);
        assert_eq!(Permissions::ALL.names().count(), 4);
    }
}
