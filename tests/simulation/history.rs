//! What happens in a world: what clients do, what breaks, and how time passes.

use std::time::Duration;

use peerage::signal::{Command, ConnectionId, Drain};

use crate::person::Person;
use crate::world::{CLIENTS, ROOMS, World};

impl World {
    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let client = self.random.below(CLIENTS);
            match self.current[client] {
                Some(connection) if self.random.one_in(14) => self.break_wire(client, connection),
                Some(_) => self.act(client),
                None => {}
            }
            if self.random.one_in(120) {
                self.stop_server();
            }
            if self.random.one_in(40) {
                self.steal(client);
            }
            self.carry_some();
            self.pass_some_time();
            self.check();
        }
    }

    /// Something goes wrong between a client and the server.
    fn break_wire(&mut self, client: usize, connection: ConnectionId) {
        let now = self.now.instant;
        match self.random.below(9) {
            8 => self.forget_to_acknowledge(client),
            0 => self.half_open(connection),
            1 | 2 => {
                let seconds = [1, 5, 20, 40, 100][self.random.below(5)];
                self.note("a stall");
                self.wire(connection).stalled_until = now + Duration::from_secs(seconds);
            }
            3 => {
                let seconds = [3, 30, 58, 70][self.random.below(4)];
                self.note("an absence");
                self.away_until[client] = now + Duration::from_secs(seconds);
                self.cut(client);
            }
            _ => self.cut(client),
        }
    }

    /// A client takes everything in and says nothing of it: for the server it does not keep up.
    fn forget_to_acknowledge(&mut self, client: usize) {
        let seconds = [10, 40, 100][self.random.below(3)];
        if let Person::Strict(client) = &mut self.people[client] {
            client.forgetful_until = self.now.instant + Duration::from_secs(seconds);
            self.note("a client that forgets to acknowledge");
        }
    }

    fn half_open(&mut self, connection: ConnectionId) {
        self.note("a half-open link");
        let directions = self.random.below(3);
        let wire = self.wire(connection);
        wire.swallows_up |= directions != 0;
        wire.swallows_down |= directions != 1;
    }

    fn cut(&mut self, client: usize) {
        let is_seen = self.random.one_in(2);
        self.leave_wire(client, is_seen);
        self.people[client].end(None, self.now.instant);
        self.attend(client, Vec::new());
    }

    /// The server is stopped, or dies; and begins anew.
    fn stop_server(&mut self) {
        if self.random.one_in(2) {
            let drain = Drain {
                within: Duration::from_secs(1),
                elsewhere: None,
            };
            self.hub.handle_drain(drain, self.now);
            self.take_events();
        }
        self.restart();
    }

    fn act(&mut self, client: usize) {
        if !self.people[client].is_welcome() {
            return;
        }
        let room = ROOMS[self.random.below(ROOMS.len())];
        if self.random.one_in(20) {
            return self.talk(client, room);
        }
        let commands = match self.people[client] {
            Person::Strict(_) => self.act_strictly(client, room),
            Person::Library(_) => {
                self.act_by_library(client, room);
                None
            }
        };
        self.attend(client, commands.into_iter().collect());
    }

    /// A client says much to one other, all at once.
    fn talk(&mut self, client: usize, room: &str) {
        let Some(to) = self.someone(client, room) else {
            return;
        };
        self.note("much said at once");
        let mut commands = Vec::new();
        for _ in 0..3 + self.random.below(12) {
            self.numbers += 1;
            let (number, now) = (self.numbers, self.now.instant);
            match &mut self.people[client] {
                Person::Strict(client) => commands.extend(client.say(room, Some(to), number)),
                Person::Library(library) => {
                    library.say(room, to, number, now);
                    commands.append(&mut library.commands());
                }
            }
        }
        self.attend(client, commands);
    }

    fn act_by_library(&mut self, client: usize, room: &str) {
        let choice = self.random.below(16);
        let to = self.someone(client, room);
        self.numbers += 1;
        let (number, now) = (self.numbers, self.now.instant);
        let Person::Library(library) = &mut self.people[client] else {
            return;
        };
        match (choice, to) {
            (0, _) => library.leave(room, now),
            (1..=3, _) if !library.views.contains_key(room) => library.join(room, now),
            (_, Some(to)) => library.say(room, to, number, now),
            _ => {}
        }
        let commands = library.commands();
        self.attend(client, commands);
    }

    fn act_strictly(&mut self, client: usize, room: &str) -> Option<Command> {
        let choice = self.random.below(16);
        let other = self.random.below(60);
        let to = self.someone(client, room);
        self.numbers += 1;
        let (number, now) = (self.numbers, self.now.instant);
        let Person::Strict(client) = &mut self.people[client] else {
            return None;
        };
        let is_inside = client.rooms.views.contains_key(room);
        match choice {
            0 => Some(client.leave(room)),
            1 => Some(client.update(room)),
            2 | 3 => client.ack_early(now),
            4..=6 if !is_inside => Some(client.join(room)),
            12 | 13 if is_inside => Some(client.set_state(room, other)),
            14 | 15 => match other {
                0..=4 => client.remove(room),
                5..=19 if is_inside => Some(client.set_room(room, other < 10)),
                _ => client.answer_knock(room, other > 30),
            },
            10 | 11 if is_inside => client.say(room, None, number),
            _ => client.say(room, Some(to?), number),
        }
    }

    /// A member of the room, as the client sees it.
    fn someone(&mut self, client: usize, room: &str) -> Option<peerage::signal::SessionId> {
        let choice = self.random.below(CLIENTS);
        let members = self.people[client].views(room)?;
        let index = choice % members.len().max(1);
        members.keys().nth(index).copied()
    }

    /// Carries some of what is on its way, in either direction.
    fn carry_some(&mut self) {
        let connections: Vec<_> = self.wires.keys().copied().collect();
        for connection in connections {
            for _ in 0..self.random.below(5) {
                if self.wires.contains_key(&connection) {
                    self.carry_up(connection);
                }
                if self.wires.contains_key(&connection) {
                    self.carry_down(connection);
                }
            }
        }
    }

    /// Carries everything that comes through; says whether anything did.
    fn carry_all(&mut self) -> bool {
        let connections: Vec<_> = self.wires.keys().copied().collect();
        let mut has_carried = false;
        for connection in connections {
            while self.wires.contains_key(&connection) && self.carry_up(connection)
                || self.wires.contains_key(&connection) && self.carry_down(connection)
            {
                has_carried = true;
            }
        }
        has_carried
    }

    fn pass_some_time(&mut self) {
        if self.random.one_in(25) {
            let seconds = [3, 10, 25, 62][self.random.below(4)];
            self.pass(Duration::from_secs(seconds), true);
        } else {
            let milliseconds = 10 + self.random.below(300) as u64;
            self.pass(Duration::from_millis(milliseconds), false);
        }
    }

    /// Rings every timer at its time. Where the network is quick, everything is carried at once.
    fn pass(&mut self, time: Duration, is_quick: bool) {
        let until = self.now.after(time);
        loop {
            while is_quick && self.carry_all() {}
            let due = (0..CLIENTS).filter_map(|it| self.people[it].due(self.is_connected(it)));
            let stalls = self.wires.values().map(|wire| wire.stalled_until);
            let stalls = stalls.filter(|&at| at > self.now.instant);
            let next = due.chain(stalls).chain(self.hub.poll_timeout()).min();
            let next = next.filter(|&at| at <= until.instant);
            let Some(next) = next else { break };
            let least = Duration::from_millis(1);
            let rest = next.saturating_since(self.now.instant).max(least);
            self.now = self.now.after(rest);
            self.ring();
        }
        self.now = until;
        self.ring();
        while is_quick && self.carry_all() {}
    }

    fn is_connected(&self, client: usize) -> bool {
        self.current[client].is_some()
    }

    fn ring(&mut self) {
        self.note_trouble();
        self.check_wires();
        if self
            .hub
            .poll_timeout()
            .is_some_and(|at| at <= self.now.instant)
        {
            self.hub.handle_timeout(self.now);
            self.take_events();
        }
        for client in 0..CLIENTS {
            let is_connected = self.is_connected(client);
            let commands = self.people[client].tick(is_connected, self.now.instant);
            self.attend(client, commands);
        }
    }

    /// From now on nothing breaks, and what is broken is seen. After five seconds all agree on who
    /// is there; after some more than a minute everybody knows what became of its words.
    pub(crate) fn heal(&mut self) {
        self.away_until = [self.now.instant; CLIENTS];
        for person in &mut self.people {
            if let Person::Strict(client) = person {
                client.forgetful_until = self.now.instant;
            }
        }
        for wire in self.wires.values_mut() {
            wire.stalled_until = self.now.instant;
        }
        let connections: Vec<_> = self.wires.keys().copied().collect();
        for connection in connections {
            let wire = self.wire(connection);
            if wire.answers() {
                continue;
            }
            let client = wire.client;
            wire.swallows_up = false;
            if self.current[client] == Some(connection) {
                self.leave_wire(client, true);
                self.people[client].end(None, self.now.instant);
                self.attend(client, Vec::new());
            } else {
                self.input(connection, peerage::signal::Input::Closed);
                self.wires.remove(&connection);
            }
        }
        self.ring();
        self.pass(Duration::from_secs(5), true);
        self.check();
        self.check_views();
        self.pass(Duration::from_secs(110), true);
        self.check();
        self.check_views();
        assert_eq!(self.ledger.open().count(), 0, "everything has its fate");
    }
}
