//! What a server counts of TCP allocations and their connections to peers (RFC 6062).

/// Who has opened a connection between an allocation and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client has asked for it.
    Client,
    /// The peer.
    Peer,
}

impl Origin {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 2] = [Self::Client, Self::Peer];
}

/// How far a connection to a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The peer has not answered.
    Connecting,
    /// The client has to bind it.
    Waiting,
    /// The client has bound it: data flow.
    Bound,
}

impl Progress {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 3] = [Self::Connecting, Self::Waiting, Self::Bound];
}

/// Why there is no connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The peer does not answer, or refuses (447).
    Unreachable,
    /// The client has not bound it in time.
    Unbound,
    /// The peer has opened it without a permission.
    Permission,
    /// There are as many as there may be.
    Capacity,
}

impl Loss {
    /// All, in the order in which they are counted.
    pub const ALL: [Self; 4] = [
        Self::Unreachable,
        Self::Unbound,
        Self::Permission,
        Self::Capacity,
    ];
}

/// What has been counted since the server's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTally {
    /// TCP allocations that live now.
    pub allocations: u64,
    /// Connections to peers that live now, by [`Progress::ALL`].
    pub live: [u64; Progress::ALL.len()],
    /// Connections opened, those that came to nothing included, by [`Origin::ALL`].
    pub opened: [u64; Origin::ALL.len()],
    /// Connections that came to nothing, by [`Loss::ALL`].
    pub lost: [u64; Loss::ALL.len()],
}

impl PeerTally {
    /// A connection has come.
    pub(super) fn open(&mut self, origin: Origin, progress: Progress) {
        self.opened[origin as usize] += 1;
        self.live[progress as usize] += 1;
    }

    /// A connection has got further.
    pub(super) fn advance(&mut self, from: Progress, to: Progress) {
        self.live[from as usize] -= 1;
        self.live[to as usize] += 1;
    }

    /// A connection has gone.
    pub(super) fn close(&mut self, progress: Progress) {
        self.live[progress as usize] -= 1;
    }

    pub(super) fn lose(&mut self, why: Loss) {
        self.lost[why as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_lists() {
        assert!((0..).zip(Origin::ALL).all(|(at, it)| it as usize == at));
        assert!((0..).zip(Progress::ALL).all(|(at, it)| it as usize == at));
        assert!((0..).zip(Loss::ALL).all(|(at, it)| it as usize == at));
    }
}
