//! Access tokens that let in one session only, and which session that was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::ids::SessionId;

/// How many are remembered at a time.
const MOST: usize = 65_536;

/// By the ids of the tokens: who has shown it first, and until when it could be shown, since 1970.
#[derive(Debug, Default)]
pub(super) struct Redeemed(BTreeMap<Arc<str>, (SessionId, Duration)>);

impl Redeemed {
    /// Whether the token belongs to this session, or does from now on.
    pub(super) fn redeem(
        &mut self,
        id: &str,
        session: SessionId,
        until: Duration,
        now: Duration,
    ) -> Answer {
        if let Some((known, _)) = self.0.get(id) {
            return if *known == session {
                Answer::Own
            } else {
                Answer::Used
            };
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, until)| *until >= now);
        }
        if self.0.len() >= MOST {
            return Answer::Full;
        }
        self.0.insert(id.into(), (session, until));
        Answer::Own
    }
}

/// What becomes of showing such a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is this session's.
    Own,
    /// It is another session's.
    Used,
    /// As many are remembered as may be, and each could still be shown.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(100);

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_it_is_no_use() {
        let owner = SessionId::from_random([1; 16]);
        let mut redeemed = Redeemed::default();
        let mut redeem = |id: usize, now| redeemed.redeem(&id.to_string(), owner, SOON, now);
        for id in 0..MOST {
            assert_eq!(redeem(id, Duration::ZERO), Answer::Own);
        }
        assert_eq!(redeem(MOST, Duration::ZERO), Answer::Full);
        assert_eq!(redeem(0, Duration::ZERO), Answer::Own, "it is known");
        let later = SOON + Duration::from_secs(1);
        assert_eq!(redeem(MOST, later), Answer::Own);
        assert_eq!(redeemed.0.len(), 1);
    }
}
