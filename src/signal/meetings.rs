//! Which meetings of two members go on after a restart.
//!
//! Connections between peers outlive the server. Whoever comes back says with whom it was, and
//! where both sides say the same of each other, their meeting goes on: neither throws its
//! connection away while the other keeps it.

use std::sync::Arc;
use std::time::Duration;

use super::command::Meeting;
use super::ids::SessionId;

/// The meetings of one member before a restart, by session. Most members have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Meetings(Option<Arc<Former>>);

#[derive(Debug)]
struct Former {
    meetings: Vec<Meeting>,
    /// Until when they count, since 1970: later the member has given the others up.
    until: Duration,
}

impl Meetings {
    pub(super) fn new(mut meetings: Vec<Meeting>, until: Duration) -> Self {
        meetings.sort_unstable_by_key(|meeting| meeting.session);
        Self((!meetings.is_empty()).then(|| Arc::new(Former { meetings, until })))
    }

    fn with(&self, session: SessionId) -> Option<&Meeting> {
        let meetings = &self.0.as_ref()?.meetings;
        let index = meetings.binary_search_by_key(&session, |meeting| meeting.session);
        meetings.get(index.ok()?)
    }

    /// Whether the member has given the others up by now.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.0.as_ref().is_some_and(|former| former.until < now)
    }

    /// Those that count when the member comes into its room, where some of the others, in order,
    /// have given up whom they knew before.
    pub(super) fn present(self, given_up_by: &[SessionId], now: Duration) -> Self {
        if self.is_over(now) {
            return Self::default();
        }
        match &self.0 {
            Some(former) if !given_up_by.is_empty() => {
                let mut meetings = former.meetings.clone();
                meetings.retain(|meeting| given_up_by.binary_search(&meeting.session).is_err());
                Self::new(meetings, former.until)
            }
            _ => self,
        }
    }

    /// The meeting of two sessions that both know alike: `self` are those of the first one, and
    /// so is what is given.
    pub(super) fn in_common(
        &self,
        (one, other): (SessionId, SessionId),
        others: &Self,
    ) -> Option<&Meeting> {
        let meeting = self.with(other)?;
        let theirs = others.with(one)?;
        let agree = meeting.epoch == theirs.epoch && meeting.polite != theirs.polite;
        agree.then_some(meeting)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Client, World, join};
    use super::super::{Config, Member, Message, Request};
    use super::*;

    fn meeting(with: &Client, epoch: u64, polite: bool) -> Meeting {
        Meeting {
            session: with.session,
            epoch,
            polite,
        }
    }

    fn join_with(meetings: Vec<Meeting>) -> Request {
        match join("blue") {
            Request::Join {
                room,
                name,
                data,
                knock,
                ..
            } => Request::Join {
                room,
                name,
                data,
                knock,
                meetings,
            },
            other => other,
        }
    }

    /// How the first of two is told of the second, and the second of the first, when they say
    /// this of their meetings.
    fn told(
        world: &mut World,
        ada: (&Client, &[Meeting]),
        grace: (&Client, &[Meeting]),
    ) -> [Member; 2] {
        for (client, meetings) in [ada, grace] {
            world.got(client.connection);
            world.ask(client, join_with(meetings.to_vec()));
        }
        [ada.0, grace.0].map(|client| {
            let got = world.got(client.connection);
            let member = got.iter().rev().find_map(|message| match &**message {
                Message::Joined { room, .. } => room.members.first().cloned(),
                Message::Presence { member, .. } => Some(member.clone()),
                _ => None,
            });
            member.expect("the other one")
        })
    }

    #[test]
    fn where_both_say_the_same_their_meeting_goes_on_and_the_roles_stay() {
        for ada_was_polite in [true, false] {
            let mut world = World::new(Config::default());
            let (ada, grace) = (world.client(), world.client());
            let of_ada = vec![meeting(&grace, 7, ada_was_polite)];
            let of_grace = vec![meeting(&ada, 7, !ada_was_polite)];
            let [grace_seen, ada_seen] = told(&mut world, (&ada, &of_ada), (&grace, &of_grace));
            assert_eq!(
                (grace_seen.continues, ada_seen.continues),
                (Some(7), Some(7))
            );
            assert_eq!(grace_seen.polite, ada_was_polite);
            assert_eq!(ada_seen.polite, !ada_was_polite);
            assert_eq!(grace_seen.epoch, ada_seen.epoch);
        }
    }

    #[test]
    fn where_they_differ_it_does_not() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.client(), world.client());
        let alan = world.client();
        for (of_ada, of_grace) in [
            (vec![meeting(&grace, 7, true)], vec![]),
            (
                vec![meeting(&grace, 7, true)],
                vec![meeting(&ada, 8, false)],
            ),
            (vec![meeting(&grace, 7, true)], vec![meeting(&ada, 7, true)]),
            (vec![meeting(&alan, 7, true)], vec![meeting(&ada, 7, false)]),
        ] {
            let seen = told(&mut world, (&ada, &of_ada), (&grace, &of_grace));
            assert!(seen.iter().all(|member| member.continues.is_none()));
            assert_ne!(seen[0].polite, seen[1].polite);
            for client in [&ada, &grace] {
                world.ask(client, super::super::testing::leave("blue"));
            }
        }
    }

    #[test]
    fn long_after_the_start_nobody_goes_on_any_more() {
        let mut world = World::new(Config::default());
        world.now = world.now.after(Duration::from_secs(76));
        let (ada, grace) = (world.client(), world.client());
        let of_ada = vec![meeting(&grace, 7, true)];
        let of_grace = vec![meeting(&ada, 7, false)];
        let seen = told(&mut world, (&ada, &of_ada), (&grace, &of_grace));
        assert!(seen.iter().all(|member| member.continues.is_none()));
    }
}
