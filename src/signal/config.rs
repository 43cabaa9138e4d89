//! What the operator decides.

use std::time::Duration;

use super::access::AccessConfig;
use super::settings::Duplicates;
use crate::auth::Secret;

/// The longest message that a client may send, in bytes.
pub const MESSAGE_BYTES: usize = 65_536;

/// The bounds and times of a hub. The defaults are those that `docs/protocol.md` names.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a suspended session is kept. 60 s.
    pub resume_window: Duration,
    /// For how long a lost connection is kept from the others, since most come back. 2 s.
    pub presence_grace: Duration,
    /// How many sessions there may be, suspended ones included. 100,000.
    pub sessions: usize,
    /// How many sessions may begin a second, beside those that are resumed; two seconds' worth may
    /// at once. 0 is no limit. 0.
    pub session_rate: u32,
    /// How many members a room may have. 64.
    pub room_members: usize,
    /// What becomes of a second session of a subject in a room, unless its hosts say otherwise.
    /// Both are members.
    pub duplicates: Duplicates,
    /// Whether the relay is told who is in which room, and which addresses are announced there
    /// ([`Hub::poll_announcement`](super::Hub::poll_announcement)). It is not.
    pub announces: bool,
    /// How many rooms a session may be in. 8.
    pub rooms_per_session: usize,
    /// How long a member's `data` may be, in bytes. 4,096.
    pub data_bytes: usize,
    /// How long the body of a broadcast may be, in bytes. 16,384.
    pub broadcast_bytes: usize,
    /// How many broadcasts of a session may wait until every addressee has got them, or the
    /// session has heard so. 256.
    pub broadcasts: usize,
    /// How long a value of a room's state may be, in bytes. 4,096.
    pub state_value_bytes: usize,
    /// How many entries the state of a room may have. 64.
    pub state_entries: usize,
    /// How long all keys and values of a room's state may be together, in bytes. 16,384.
    pub state_bytes: usize,
    /// How many may knock at a room at a time. 16.
    pub knocks: usize,
    /// How long somebody who knocks waits. 5 minutes.
    pub knock_life: Duration,
    /// How long a room without members keeps its state, its lock and its limit. 30 s.
    pub empty_room_life: Duration,
    /// How many rooms without members are kept. 1,000.
    pub empty_rooms: usize,
    /// How many messages a second a session may send. 50.
    pub messages_per_second: u32,
    /// How many messages a session may send at once. 200.
    pub message_burst: u32,
    /// How many bytes a second a session may send. 256 KiB.
    pub bytes_per_second: u32,
    /// How many bytes a session may send at once. 1 MiB.
    pub byte_burst: u32,
    /// How many messages are kept for a session until it acknowledges them. 256.
    pub mailbox_messages: usize,
    /// How many bytes are kept for a session until it acknowledges them. 256 KiB.
    pub mailbox_bytes: usize,
    /// How long a client that is connected may acknowledge nothing of what is kept. 30 s.
    pub acknowledge_timeout: Duration,
    /// How long a connection may take to say `hello`. 10 s.
    pub hello_timeout: Duration,
    /// How long a connection may be silent; after three fifths of it, it is asked. 30 s.
    pub silence_timeout: Duration,
    /// The same for who has just sent or been sent an offer or an answer; it is asked after two
    /// fifths of it. 5 s.
    pub negotiation_timeout: Duration,
    /// How long another server, or this one after a restart, takes a session's ticket. 1 h.
    pub ticket_lifetime: Duration,
    /// What tickets are made with, the first one, and read with, all of them. None: they are good
    /// as long as this hub lives.
    pub ticket_keys: Vec<Secret>,
    /// When this hub begins, since 1970. Epochs, versions and the numbers of tickets count on
    /// from there, so that they grow across restarts. 0.
    pub started: Duration,
    /// Who may come in. Everybody.
    pub access: AccessConfig,
    /// What clients are given for ICE. None.
    pub ice: IceConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resume_window: Duration::from_secs(60),
            presence_grace: Duration::from_secs(2),
            sessions: 100_000,
            session_rate: 0,
            room_members: 64,
            duplicates: Duplicates::Allow,
            announces: false,
            rooms_per_session: 8,
            data_bytes: 4_096,
            broadcast_bytes: 16_384,
            broadcasts: 256,
            state_value_bytes: 4_096,
            state_entries: 64,
            state_bytes: 16_384,
            knocks: 16,
            knock_life: Duration::from_secs(300),
            empty_room_life: Duration::from_secs(30),
            empty_rooms: 1_000,
            messages_per_second: 50,
            message_burst: 200,
            bytes_per_second: 256 * 1_024,
            byte_burst: 1_024 * 1_024,
            mailbox_messages: 256,
            mailbox_bytes: 256 * 1_024,
            acknowledge_timeout: Duration::from_secs(30),
            hello_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(30),
            negotiation_timeout: Duration::from_secs(5),
            ticket_lifetime: Duration::from_secs(3_600),
            ticket_keys: Vec::new(),
            started: Duration::ZERO,
            access: AccessConfig::default(),
            ice: IceConfig::default(),
        }
    }
}

impl Config {
    /// The number after which this hub counts: the microseconds from 1970 to its start. No room
    /// changes a million times a second, so whatever has counted before is behind this; and
    /// JavaScript's integers reach until the year 2255.
    pub(super) fn first_number(&self) -> u64 {
        u64::try_from(self.started.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The STUN and TURN servers that clients are told of.
#[derive(Clone, Debug)]
pub struct IceConfig {
    /// `stun:` and `stuns:` URLs.
    pub stun_urls: Vec<String>,
    /// `turn:` and `turns:` URLs. They are left out where there is no secret.
    pub turn_urls: Vec<String>,
    /// What the relay checks time-limited credentials with.
    pub secret: Option<Secret>,
    /// How long credentials live. An hour.
    pub lifetime: Duration,
}

impl Default for IceConfig {
    fn default() -> Self {
        Self {
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            secret: None,
            lifetime: Duration::from_secs(3_600),
        }
    }
}
