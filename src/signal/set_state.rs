//! Members change what their room keeps for them.

use std::sync::Arc;

use super::message::StateChange;
use super::state::{RoomState, StateEntry, Stay};
use super::{Hub, Message, Permissions, Reject, RoomName, SessionId, SetState};
use crate::time::Now;

impl Hub {
    pub(super) fn set_state(
        &mut self,
        session: SessionId,
        re: u64,
        set: SetState,
        now: Now,
    ) -> Result<(), Reject> {
        let room = self.room_of(session, &set.room)?;
        self.check_state(session, &room, &set)?;
        let stay = Stay {
            until: set.expires_in.map(|time| now.instant + time),
            with: set.while_present.then_some(session),
        };
        let members = self.rooms.find_mut(&room).ok_or(Reject::NotInRoom)?;
        let entry = StateEntry {
            key: set.key,
            value: set.value,
            version: members.change(),
            by: Some(session),
        };
        let entry = Arc::new(entry);
        members.state.put(&entry, stay);
        self.tell_state(&room, &[entry], Some((session, re)), now);
        self.look_after_room(&room, now);
        Ok(())
    }

    fn check_state(&self, session: SessionId, room: &str, set: &SetState) -> Result<(), Reject> {
        self.check_may(session, room, Permissions::STATE)?;
        if !RoomState::is_key(&set.key) {
            return Err(Reject::InvalidKey);
        }
        let (_, members) = self.rooms.get(room).ok_or(Reject::NotInRoom)?;
        let expected = set.if_version;
        if expected.is_some_and(|version| version != members.state.version(&set.key)) {
            return Err(Reject::VersionConflict);
        }
        let Some(value) = &set.value else {
            return Ok(());
        };
        if value.get().len() > self.config.state_value_bytes {
            return Err(Reject::ValueTooLarge);
        }
        let has_room = members.state.has_room_for(&set.key, value, &self.config);
        has_room.then_some(()).ok_or(Reject::StateFull)
    }

    /// Takes entries out of a room and tells its members.
    pub(super) fn drop_state(
        &mut self,
        room: &RoomName,
        keys: Vec<Box<str>>,
        by: Option<SessionId>,
        now: Now,
    ) {
        let Some(members) = self.rooms.find_mut(room).filter(|_| !keys.is_empty()) else {
            return;
        };
        let version = members.change();
        let gone = |key| {
            Arc::new(StateEntry {
                key,
                value: None,
                version,
                by,
            })
        };
        let entries: Vec<_> = keys.into_iter().map(gone).collect();
        for entry in &entries {
            members.state.put(entry, Stay::default());
        }
        self.tell_state(room, &entries, None, now);
    }

    /// Tells all members what has changed, and the one who has asked for it also what it answers.
    fn tell_state(
        &mut self,
        room: &RoomName,
        entries: &[Arc<StateEntry>],
        asked: Option<(SessionId, u64)>,
        now: Now,
    ) {
        let version = self.rooms.get(room).map_or(0, |(_, it)| it.version());
        let change = |re| StateChange {
            re,
            room: Arc::clone(room),
            version,
            entries: entries.to_vec(),
        };
        if let Some((session, re)) = asked {
            self.post(session, Message::State(change(Some(re))), now);
        }
        let message = Arc::new(Message::State(change(None)));
        let receivers = match asked {
            Some((session, _)) => self.all_but(room, session),
            None => self.all_of(room),
        };
        for receiver in receivers {
            self.post_shared(receiver, Arc::clone(&message), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::super::testing::{Client, World, join, leave};
    use super::super::{Command, Config, Input, Offset, Request, Resumed};
    use super::*;

    fn set(key: &str, value: Option<&str>) -> SetState {
        SetState {
            room: "blue".into(),
            key: key.into(),
            value: value.map(|it| RawValue::from_string(it.to_owned()).expect("JSON")),
            expires_in: None,
            while_present: false,
            if_version: None,
        }
    }

    fn ask(world: &mut World, client: &Client, set: SetState) -> Option<Reject> {
        world.got(client.connection);
        world.ask(client, Request::SetState(set));
        world.error(client)
    }

    type Told = (String, Option<String>);

    fn told(entries: &[Arc<StateEntry>]) -> Vec<Told> {
        let value = |entry: &StateEntry| entry.value.as_ref().map(|it| it.get().to_owned());
        let told = entries.iter().map(|it| (it.key.to_string(), value(it)));
        told.collect()
    }

    /// All that a client has been told of the state, in order.
    fn heard(world: &mut World, client: &Client) -> Vec<Told> {
        let got = world.got(client.connection);
        let heard = got.iter().flat_map(|message| match &**message {
            Message::Joined { room, .. } => told(&room.state),
            Message::State(change) => told(&change.entries),
            Message::Snapshot { rooms, .. } => told(&rooms[0].state),
            _ => Vec::new(),
        });
        heard.collect()
    }

    fn entry(key: &str, value: &str) -> Told {
        (key.to_owned(), Some(value.to_owned()))
    }

    fn gone(key: &str) -> Told {
        (key.to_owned(), None)
    }

    #[test]
    fn members_hear_of_a_change_and_newcomers_get_the_whole() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.ask(&ada, Request::SetState(set("topic", Some("1"))));
        world.ask(&grace, Request::SetState(set("slide", Some("[2]"))));
        world.ask(&ada, Request::SetState(set("topic", Some("3"))));
        let all = [
            entry("topic", "1"),
            entry("slide", "[2]"),
            entry("topic", "3"),
        ];
        assert_eq!(heard(&mut world, &ada), all);
        assert_eq!(heard(&mut world, &grace), all);
        let alan = world.member("blue");
        let whole = [entry("slide", "[2]"), entry("topic", "3")];
        assert_eq!(heard(&mut world, &alan), whole);
        world.ask(&alan, Request::SetState(set("topic", None)));
        assert_eq!(heard(&mut world, &ada), [gone("topic")]);
    }

    #[test]
    fn who_expects_another_version_changes_nothing() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let expecting = |version, value| SetState {
            if_version: Some(version),
            ..set("topic", Some(value))
        };
        assert_eq!(ask(&mut world, &ada, expecting(0, "1")), None);
        let conflict = Some(Reject::VersionConflict);
        assert_eq!(ask(&mut world, &ada, expecting(0, "2")), conflict);
        assert_eq!(ask(&mut world, &ada, expecting(9, "2")), conflict);
        let grace = world.member("blue");
        let got = world.got(grace.connection);
        let Some(Message::Joined { room, .. }) = got.iter().rev().map(|it| &**it).next() else {
            panic!("not joined: {got:?}");
        };
        assert_eq!(told(&room.state), [entry("topic", "1")]);
        let version = room.state[0].version;
        assert_eq!(ask(&mut world, &grace, expecting(version, "3")), None);
    }

    #[test]
    fn an_entry_goes_when_its_time_is_over_and_members_hear_it() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        for (key, seconds) in [("late", 5), ("soon", 2)] {
            let set = SetState {
                expires_in: Some(Duration::from_secs(seconds)),
                ..set(key, Some("1"))
            };
            assert_eq!(ask(&mut world, &ada, set), None);
        }
        heard(&mut world, &grace);
        world.wait(Duration::from_millis(1_999));
        assert_eq!(heard(&mut world, &grace), []);
        world.wait(Duration::from_millis(1));
        assert_eq!(heard(&mut world, &grace), [gone("soon")]);
        // Who sets it again gives it another time, or none.
        assert_eq!(ask(&mut world, &ada, set("late", Some("2"))), None);
        heard(&mut world, &grace);
        world.wait(Duration::from_secs(9));
        assert_eq!(heard(&mut world, &grace), []);
    }

    #[test]
    fn an_entry_may_go_with_the_member_that_has_set_it() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        let mine = SetState {
            while_present: true,
            ..set("hand", Some("true"))
        };
        assert_eq!(ask(&mut world, &ada, mine), None);
        assert_eq!(ask(&mut world, &ada, set("topic", Some("1"))), None);
        world.input(ada.connection, Input::Closed);
        heard(&mut world, &grace);
        let ada = world.resume(&ada, 2);
        assert_eq!(heard(&mut world, &grace), [], "it has not left");
        world.ask(&ada, leave("blue"));
        assert_eq!(heard(&mut world, &grace), [gone("hand")]);
    }

    #[test]
    fn keys_and_values_are_bounded() {
        let config = Config {
            state_entries: 2,
            state_value_bytes: 8,
            state_bytes: 16,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.member("blue");
        let mut refused = |key: &str, value| ask(&mut world, &ada, set(key, Some(value)));
        let long = "k".repeat(65);
        for key in ["", "a\nb", &long] {
            assert_eq!(refused(key, "1"), Some(Reject::InvalidKey));
        }
        assert_eq!(refused("a", "123456789"), Some(Reject::ValueTooLarge));
        assert_eq!(refused("a", "12345678"), None);
        assert_eq!(refused("b", "12345678"), Some(Reject::StateFull));
        assert_eq!(refused("b", "1234567"), Some(Reject::StateFull));
        assert_eq!(refused("b", "123456"), None);
        assert_eq!(refused("b", "654321"), None);
        assert_eq!(refused("a", "1"), None);
        assert_eq!(refused("c", "1"), Some(Reject::StateFull));
    }

    #[test]
    fn who_has_missed_too_much_gets_the_whole() {
        let config = Config {
            mailbox_messages: 4,
            ..Config::default()
        };
        let mut world = World::new(config);
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.input(grace.connection, Input::Closed);
        for value in ["1", "2", "3", "4", "5"] {
            world.say(ada.connection, Command::Ack(Offset(99)));
            world.ask(&ada, Request::SetState(set("topic", Some(value))));
        }
        let grace = world.resume(&grace, 1);
        assert_eq!(grace.resumed, Resumed::Snapshot);
        assert_eq!(heard(&mut world, &grace), [entry("topic", "5")]);
    }

    #[test]
    fn the_state_outlives_the_last_member_for_a_while() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        assert_eq!(ask(&mut world, &ada, set("topic", Some("1"))), None);
        for (wait, kept) in [(29_999, vec![entry("topic", "1")]), (30_000, Vec::new())] {
            world.ask(&ada, leave("blue"));
            assert_eq!(world.hub.rooms(), 0);
            heard(&mut world, &ada);
            for _ in 0..3 {
                world.input(ada.connection, Input::Alive);
                world.say(ada.connection, Command::Ack(Offset(99)));
                world.wait(Duration::from_millis(wait / 3));
            }
            world.ask(&ada, join("blue"));
            assert_eq!(world.hub.rooms(), 1);
            assert_eq!(heard(&mut world, &ada), kept);
        }
    }

    #[test]
    fn rooms_that_are_kept_empty_are_bounded() {
        let config = Config {
            empty_rooms: 1,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.client();
        for room in ["blue", "green"] {
            world.ask(&ada, join(room));
            let set = SetState {
                room: room.into(),
                ..set("topic", Some("1"))
            };
            assert_eq!(ask(&mut world, &ada, set), None);
            world.ask(&ada, leave(room));
        }
        heard(&mut world, &ada);
        world.ask(&ada, join("green"));
        assert_eq!(heard(&mut world, &ada), []);
        world.ask(&ada, join("blue"));
        assert_eq!(heard(&mut world, &ada), [entry("topic", "1")]);
    }
}
