//! Access tokens that let in one session only, and which session that was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::ids::SessionId;

/// How many are remembered at a time.
const MOST: usize = 65_536;

/// A token that lets in one session only has been shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// The id of the token.
    pub token_id: Arc<str>,
    /// Who has shown it first, and may show it again.
    pub session: SessionId,
    /// Until when it could be shown, in time since 1970.
    pub until: Duration,
}

/// By the ids of the tokens: who has shown it first, and until when it could be shown, since 1970.
#[derive(Debug, Default)]
pub(super) struct Redeemed(BTreeMap<Arc<str>, (SessionId, Duration)>);

impl Redeemed {
    /// Whether the token belongs to this session, or does from now on.
    pub(super) fn redeem(&mut self, shown: &Redemption, now: Duration) -> Answer {
        if let Some((known, _)) = self.0.get(&shown.token_id) {
            return if *known == shown.session {
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
        let id = Arc::clone(&shown.token_id);
        self.0.insert(id, (shown.session, shown.until));
        Answer::First
    }
}

/// What becomes of showing such a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody has shown it before: it is this session's from now on.
    First,
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
        let session = SessionId::from_random([1; 16]);
        let mut redeemed = Redeemed::default();
        let mut redeem = |id: usize, now| {
            let shown = Redemption {
                token_id: id.to_string().into(),
                session,
                until: SOON,
            };
            redeemed.redeem(&shown, now)
        };
        for id in 0..MOST {
            assert_eq!(redeem(id, Duration::ZERO), Answer::First);
        }
        assert_eq!(redeem(MOST, Duration::ZERO), Answer::Full);
        assert_eq!(redeem(0, Duration::ZERO), Answer::Own, "it is known");
        let later = SOON + Duration::from_secs(1);
        assert_eq!(redeem(MOST, later), Answer::First);
        assert_eq!(redeemed.0.len(), 1);
    }
}
