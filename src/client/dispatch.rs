//! What the server says, and what follows from it.

use std::time::Duration;

use super::event::Event;
use super::member::{Broadcast, Missed, RoomMembers};
use super::message::{BroadcastReceipt, Message, Refusal, Removed};
use super::outbox::Entry;
use super::request::Request;
use super::session::{Phase, Session};
use crate::time::Instant;

impl Session {
    pub(super) fn take(&mut self, message: Message, now: Instant) {
        match message {
            Message::Welcome(welcome) => self.welcome(*welcome, now),
            Message::Pong => {}
            Message::Goaway(goaway) => self.farewell.take(goaway),
            Message::Refusal(refusal) => self.refuse(refusal, now),
            Message::IceServers(ice) => {
                self.tell_ice_servers(ice.ice_servers, ice.ice_servers_expire_in_ms);
            }
            Message::Joined { re, room } => self.take_joined(re, room, now),
            Message::Answered { re } => {
                if let Some(entry) = self.outbox.answered(re) {
                    self.settle(entry, None);
                }
            }
            Message::Snapshot { rooms } => self.take_snapshot(rooms, now),
            Message::Removed(Removed { room, reason }) => {
                self.leave(&room);
                self.events.push_back(Event::Removed { room, reason });
            }
            Message::Token(token) => self.take_token(token),
            Message::Role(role) => self.events.push_back(Event::Role {
                room: role.room,
                version: role.version,
                role: role.role,
                permissions: role.permissions,
            }),
            Message::Presence(presence) => {
                self.rooms.presence(&presence.room, &presence.member);
                self.take_back(&presence.room, &[&presence.member], now);
                self.events.push_back(Event::Presence {
                    room: presence.room,
                    version: presence.version,
                    member: presence.member,
                });
            }
            Message::Broadcast(broadcast) => self.hear_broadcast(broadcast),
            Message::BroadcastDelivered(receipt) => self.take_receipt(receipt),
            Message::TokenExpiring { expires_in } => {
                self.events.push_back(Event::AccessExpires { expires_in });
            }
            Message::Said(said) => {
                let is_new = |number| self.heard_of.take(&said.room, said.from, number);
                if said.number.is_none_or(is_new) {
                    self.events.push_back(Event::Said(said));
                }
            }
            Message::Delivered { to, through } => {
                let arrived = self.outbox.delivered(to, through).into_iter();
                let arrived = arrived.map(|entry| Event::Delivered { re: entry.re });
                self.events.extend(arrived);
            }
            Message::Undeliverable { to, reason } => {
                for entry in self.outbox.undeliverable(to) {
                    self.give_up(&entry, &reason);
                }
            }
            Message::Unknown(text) => self.events.push_back(Event::Unknown { text }),
        }
    }

    fn take_joined(&mut self, re: u64, room: RoomMembers, now: Instant) {
        if let Some(entry) = self.outbox.answered(re) {
            let members = room.clone();
            self.settle(entry, Some(room));
            self.enter_again(&members, now);
        }
    }

    fn leave(&mut self, room: &str) {
        self.rooms.leave(room);
        self.returning.forget(room);
    }

    fn take_receipt(&mut self, receipt: BroadcastReceipt) {
        let Some(entry) = self.outbox.answered(receipt.re) else {
            return;
        };
        if entry.is_copy {
            return;
        }
        let mut undeliverable = receipt.undeliverable;
        let missed = entry.missed.into_iter().map(|session| Missed {
            session,
            reason: "expired".into(),
        });
        undeliverable.extend(missed);
        self.events.push_back(Event::BroadcastDelivered {
            re: entry.re,
            delivered: receipt.delivered,
            undeliverable,
        });
    }

    fn hear_broadcast(&mut self, broadcast: Broadcast) {
        let (room, from) = (&broadcast.room, broadcast.from);
        if self.broadcasts_of.take(room, from, broadcast.number) {
            self.events.push_back(Event::Broadcast(broadcast));
        }
    }

    /// A request is applied. `room` is what its answer, or a snapshot, says of its room.
    fn settle(&mut self, entry: Entry, room: Option<RoomMembers>) {
        let re = entry.re;
        match (entry.request, room) {
            (Request::Join { profile, .. }, Some(room)) => {
                self.rooms.enter(re, &room.room, profile, &room.members);
                self.events.push_back(Event::Joined { re, room });
                return;
            }
            (Request::Update { room, profile }, _) => self.rooms.update(&room, profile),
            (Request::Leave { room }, _) => self.leave(&room),
            // A join that was undone since, or an answer to what has none.
            _ => {}
        }
        self.events.push_back(Event::Done { re });
    }

    /// A snapshot stands for the answers that were missed as well.
    fn take_snapshot(&mut self, rooms: Vec<RoomMembers>, now: Instant) {
        self.rooms.replace(&rooms);
        let unanswered = self.outbox.unanswered(self.applied);
        let listed = |name: Option<&str>| {
            let mut rooms = rooms.iter();
            rooms.find(|room| Some(&*room.room) == name).cloned()
        };
        let answers: Vec<_> = unanswered
            .into_iter()
            .map(|entry| {
                let room = listed(entry.request.room());
                (entry, room)
            })
            .collect();
        let entered = rooms.clone();
        self.events.push_back(Event::Snapshot { rooms });
        for (entry, room) in answers {
            self.settle(entry, room);
        }
        for room in &entered {
            self.enter_again(room, now);
        }
    }

    fn refuse(&mut self, refusal: Refusal, now: Instant) {
        if self.phase != Phase::Connected {
            self.farewell.said = Some(refusal.message);
            return;
        }
        if let (Some(id), "rate_limited") = (refusal.re, &*refusal.code) {
            let wait = Duration::from_millis(refusal.retry_after_ms.unwrap_or(1_000));
            self.outbox.renumber(id);
            self.pacer.pause(wait, now);
            return self.send_what_waits(now);
        }
        let entry = refusal.re.and_then(|id| self.outbox.answered(id));
        // What is settled already needs no second word.
        let is_copy = entry.as_ref().is_some_and(|entry| entry.is_copy);
        if !is_copy && (entry.is_some() || refusal.re.is_none()) {
            self.events.push_back(Event::Refused {
                re: entry.map(|entry| entry.re),
                code: refusal.code,
                message: refusal.message,
            });
        }
    }
}
