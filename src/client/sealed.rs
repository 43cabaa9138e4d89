//! What goes through the server sealed: what the session says in sealed rooms, and what it hears
//! there.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::member::{Member, MemberState, RoomMembers, optional_body};
use super::message::Message;
use super::outbox::Entry;
use super::request::{Body, Profile, Request};
use super::seal::Seal;
use super::session::Session;

/// What a member says of itself, under its seal.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(
        default,
        deserialize_with = "optional_body",
        serialize_with = "write_body",
        skip_serializing_if = "Option::is_none"
    )]
    data: Option<Body>,
}

fn write_body<S: serde::Serializer>(body: &Option<Body>, to: S) -> Result<S::Ok, S::Error> {
    body.as_ref().map(|body| &body.0).serialize(to)
}

impl Session {
    /// From now on, what is said in the room [`Seal::room`] is sealed, and what does not open there
    /// is not heard. To be called before the room is joined.
    pub fn seal(&mut self, seal: Seal) {
        self.seals.insert(seal.room().into(), seal);
    }

    /// A request as the server gets it.
    pub(super) fn sealed<'a>(&self, entry: &'a Entry) -> Cow<'a, Request> {
        let request = &entry.request;
        let seal = request.room().and_then(|room| self.seals.get(room));
        let (Some(seal), Some((session, _))) = (seal, &self.identity) else {
            return Cow::Borrowed(request);
        };
        let own = session.to_string();
        let mut request = request.clone();
        match &mut request {
            Request::Join { profile, .. } => *profile = seal_profile(seal, &own, profile),
            Request::Update { room, profile } => {
                let whole = self.profile_with(room, entry.id);
                *profile = seal_profile(seal, &own, &whole);
            }
            Request::Say { to, kind, body, .. } => {
                let about = [kind.name(), &own, &to.to_string()];
                *body = Body(seal.seal(&about, &*body.0));
            }
            Request::Broadcast { body, .. } => {
                *body = Body(seal.seal(&["broadcast", &own], &*body.0));
            }
            Request::Leave { .. } | Request::Authorize { .. } => {}
        }
        Cow::Owned(request)
    }

    /// What this member says of itself with the request of this id and all before it.
    fn profile_with(&self, room: &str, id: u64) -> Profile {
        let mut profile = self.rooms.profile(room).unwrap_or_default();
        for request in self.outbox.through(id) {
            match request {
                Request::Join {
                    room: of,
                    profile: said,
                } if &**of == room => {
                    profile = said.clone();
                }
                Request::Update {
                    room: of,
                    profile: said,
                } if &**of == room => {
                    profile.change(said.clone());
                }
                _ => {}
            }
        }
        profile
    }

    /// What the server says, opened; `None` if it is nobody's who has the key.
    pub(super) fn opened(&self, mut message: Message) -> Option<Message> {
        if self.seals.is_empty() {
            return Some(message);
        }
        match &mut message {
            Message::Joined { room, .. } => self.open_members(room),
            Message::Snapshot { rooms } => rooms.iter_mut().for_each(|it| self.open_members(it)),
            Message::Presence(presence) => {
                if let Some(seal) = self.seals.get(&presence.room) {
                    open_member(seal, &mut presence.member)?;
                }
            }
            Message::Said(said) => {
                if let (Some(seal), Some(own)) = (self.seals.get(&said.room), self.id()) {
                    let (from, to) = (said.from.to_string(), own.to_string());
                    said.body.0 = seal.open(&[said.kind.name(), &from, &to], &said.body.0)?;
                }
            }
            Message::Broadcast(said) => {
                if let Some(seal) = self.seals.get(&said.room) {
                    let from = said.from.to_string();
                    said.body.0 = seal.open(&["broadcast", &from], &said.body.0)?;
                }
            }
            _ => {}
        }
        Some(message)
    }

    fn open_members(&self, room: &mut RoomMembers) {
        if let Some(seal) = self.seals.get(&room.room) {
            let members = &mut room.members;
            members.retain_mut(|member| open_member(seal, member).is_some());
        }
    }
}

/// The name is sealed with the data.
fn seal_profile(seal: &Seal, own: &str, profile: &Profile) -> Profile {
    let sealed = Sealed {
        name: profile.name.as_deref().map(Cow::Borrowed),
        data: profile.data.clone(),
    };
    Profile {
        name: None,
        data: Some(Body(seal.seal(&["member", own], &sealed))),
    }
}

/// Opens what a member says of itself, and drops what the server could have made up.
fn open_member(seal: &Seal, member: &mut Member) -> Option<()> {
    let (data, session) = (member.data.take(), member.session.to_string());
    member.name = None;
    let json = data.and_then(|data| seal.open(&["member", &session], &data.0));
    if let Some(sealed) = json.as_deref().and_then(read_profile) {
        member.name = sealed.name.map(|name| name.into());
        member.data = sealed.data;
        return Some(());
    }
    // Who leaves need not be who it is said to be.
    (member.state == MemberState::Left).then_some(())
}

fn read_profile(json: &RawValue) -> Option<Sealed<'_>> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::event::Event;
    use super::super::request::Kind;
    use super::super::testing::World;
    use super::*;
    use crate::signal::{Config, Hub};

    const KEY: &str = "wq3xR0b2Yk9uPz5sLd7TgA";

    fn seal() -> Seal {
        Seal::new("blue-heron", KEY).expect("a key")
    }

    fn named(name: &str) -> Profile {
        Profile {
            name: Some(name.into()),
            data: Some(Body::new(&[1, 2]).expect("JSON")),
        }
    }

    fn ask(world: &mut World, index: usize, request: Request) {
        let now = world.instant();
        let asked = world.people[index].session.ask(request, now);
        asked.expect("room");
    }

    /// Two with the key, and one who has got the room's name and no key.
    fn world() -> World {
        let mut world = World::new(3);
        for index in [2, 0, 1] {
            if index < 2 {
                world.people[index].session.seal(seal());
            }
            ask(
                &mut world,
                index,
                Request::join(seal().room(), named("Ada")),
            );
            world.wait(Duration::ZERO);
        }
        world
    }

    /// The names and data of members, as they were told of.
    fn seen(events: &[Event]) -> Vec<(Option<&str>, Option<&str>)> {
        let members = events.iter().flat_map(|event| match event {
            Event::Joined { room, .. } => &room.members[..],
            Event::Presence { member, .. } => std::slice::from_ref(member),
            _ => &[],
        });
        let seen = members.map(|it| (it.name.as_deref(), it.data.as_ref().map(Body::json)));
        seen.collect()
    }

    fn bodies(events: &[Event]) -> Vec<&str> {
        let bodies = events.iter().filter_map(|event| match event {
            Event::Said(said) => Some(said.body.json()),
            Event::Broadcast(said) => Some(said.body.json()),
            _ => None,
        });
        bodies.collect()
    }

    #[test]
    fn only_who_has_the_key_is_seen_and_hears_what_is_said() {
        let mut world = world();
        let grace = world.session(1);
        let body = Body::new("hello").expect("JSON");
        let room = seal().room().to_owned();
        let say = Request::say(&room, grace, Kind::Offer, body.clone());
        ask(&mut world, 0, say);
        ask(&mut world, 0, Request::broadcast(&room, body.clone()));
        // What is not sealed is heard by nobody who has the key.
        ask(&mut world, 2, Request::broadcast(&room, body.clone()));
        ask(&mut world, 2, Request::say(&room, grace, Kind::Offer, body));
        world.wait(Duration::ZERO);
        assert_eq!(
            seen(&world.people[0].events),
            [(Some("Ada"), Some("[1,2]"))]
        );
        assert_eq!(
            seen(&world.people[1].events),
            [(Some("Ada"), Some("[1,2]"))]
        );
        assert_eq!(bodies(&world.people[1].events), ["\"hello\"", "\"hello\""]);
        let told = format!("{:?}", world.people[2].events);
        assert!(!told.contains("Ada") && !told.contains("hello"), "{told}");
        assert_eq!(bodies(&world.people[2].events).len(), 1);
    }

    #[test]
    fn an_update_says_again_what_stays() {
        let mut world = world();
        let room = seal().room().to_owned();
        world.people[1].events.clear();
        let data = Profile {
            name: None,
            data: Some(Body::new(&3).expect("JSON")),
        };
        ask(
            &mut world,
            0,
            Request::update(&room, Profile::named("Lovelace")),
        );
        ask(&mut world, 0, Request::update(&room, data));
        world.wait(Duration::ZERO);
        let expected = [
            (Some("Lovelace"), Some("[1,2]")),
            (Some("Lovelace"), Some("3")),
        ];
        assert_eq!(seen(&world.people[1].events), expected);
    }

    #[test]
    fn a_sealed_room_stays_sealed_through_cuts_restarts_and_new_sessions() {
        let mut world = world();
        for is_forgotten in [false, true] {
            world.cut(0);
            world.restart();
            if is_forgotten {
                // Another one, which takes no tickets of the one before.
                world.hub = Hub::new(Config::default(), [5; 32]);
            }
            for person in &mut world.people {
                person.events.clear();
            }
            for _ in 0..100 {
                world.wait(Duration::from_millis(100));
            }
            let grace = world.session(1);
            let (body, room) = (Body::new("hello").expect("JSON"), seal().room().to_owned());
            ask(&mut world, 0, Request::say(&room, grace, Kind::Offer, body));
            world.wait(Duration::ZERO);
            let seen = seen(&world.people[1].events);
            assert!(!seen.is_empty(), "nobody has come back");
            assert!(
                seen.iter().all(|it| *it == (Some("Ada"), Some("[1,2]"))),
                "{seen:?}"
            );
            assert_eq!(bodies(&world.people[1].events), ["\"hello\""]);
        }
    }
}
