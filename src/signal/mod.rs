//! Sessions, rooms and mailboxes: the signaling server as a state machine.
//!
//! [`Hub`] holds everything and touches nothing. Its methods are of four kinds:
//!
//! * **`handle…` takes input.** [`Hub::handle`] what has happened on a connection,
//!   [`Hub::handle_timeout`] that the time of [`Hub::poll_timeout`] has come,
//!   [`Hub::handle_drain`] that the server stops.
//! * **`poll…` gives output.** [`Hub::poll_event`] what the shell should send and close,
//!   [`Hub::poll_announcement`] what the relay has to know before,
//!   [`Hub::poll_timeout`] when it wants to be called again.
//! * **`recall…` tells it, before anything else, what the hub before it knew**:
//!   [`Hub::recall_revocation`], [`Hub::recall_redemption`].
//! * **The rest asks** how much there is: [`Hub::connections`], [`Hub::sessions`],
//!   [`Hub::rooms`].
//!
//! After each `handle…`, call [`Hub::poll_event`] until it gives `None`, then
//! [`Hub::poll_timeout`], whose answer may have changed. A connection begins with
//! [`Input::Open`] and ends with [`Input::Closed`] or [`Event::Close`], whichever comes first;
//! what the shell says of it afterwards is ignored.
//!
//! The subjects, a file each:
//!
//! | file | subject |
//! |---|---|
//! | `hub` | the whole, its timers, what goes out |
//! | `liveness` | connections that die without a word |
//! | `connection` | from the first message to the last, rates, silence |
//! | `session`, `resume`, `restore` | welcome, resume, suspension, end; return after a restart |
//! | `mailbox` | what is kept until it is acknowledged |
//! | `room` | join, update, leave; who is polite, and the epoch |
//! | `moderate`, `knocking`, `knock`, `settings` | hosts look after a room; who waits at its door |
//! | `duplicates` | several sessions of one subject in a room |
//! | `set_state`, `state` | what a room keeps for its members |
//! | `aftermath` | what rooms do by themselves |
//! | `role` | what members may do, and who is the host |
//! | `meetings` | which of them go on after a restart |
//! | `presence` | what members are told of each other |
//! | `directed` | offers, answers, candidates |
//! | `announced`, `announcement` | what the relay is told of rooms and candidates |
//! | `broadcast`, `unsettled` | what is said to all of a room, and until all have got it |
//! | `receipt` | what became of what was said |
//! | `refuse`, `refusals` | what was refused, until the client knows |
//! | `snapshot` | all rooms at once, in place of what was missed |
//! | `ticket` | the proof of being a session, also after a restart |
//! | `drain`, `dismiss` | the end of the server: who is sent where, and when |
//! | `access`, `grant`, `authorize` | who comes in by a token, and what it grants |
//! | `redeem`, `redeemed` | tokens that let in one session only |
//! | `revocations`, `revoke` | what has been taken back |
//! | `ice`, `limits`, `random` | ICE servers; rates; ids |
//! | `turnstile` | how many may come a second, and when the others come back |
//! | `command`, `message`, `reject`, `close` | what goes in and out |

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod access;
mod aftermath;
mod announced;
mod announcement;
mod authorize;
mod broadcast;
mod close;
mod command;
mod config;
mod connect;
mod connection;
mod directed;
mod dismiss;
mod drain;
mod duplicates;
mod grant;
mod hub;
mod ice;
mod ids;
mod join;
mod knock;
mod knocking;
mod limits;
mod liveness;
mod mailbox;
mod meetings;
mod message;
mod moderate;
mod presence;
mod random;
mod receipt;
mod redeem;
mod redeemed;
mod refusals;
mod refuse;
mod reject;
mod renew;
mod restore;
mod resume;
mod revocations;
mod revoke;
mod role;
mod room;
mod session;
mod set_state;
mod settings;
mod snapshot;
mod state;
mod subjects;
mod ticket;
mod timer;
mod turnstile;
mod unsettled;

pub use access::{Access, AccessConfig};
pub use announcement::Announcement;
pub use close::{Advice, Close, Ending};
pub use command::{Command, Directed, ForAll, Hello, Input, Meeting, Request, Resume, SetState};
pub use config::{Config, IceConfig, MESSAGE_BYTES};
pub use drain::Drain;
pub use grant::Grant;
pub use hub::Hub;
pub use ice::IceServers;
pub use ids::{ConnectionId, Offset, RoomName, SessionId};
pub use message::{
    Broadcast, BroadcastReceipt, Delivery, Event, Kind, KnockNews, KnockState, Limits, Loss,
    Member, Message, Profile, Reason, Resumed, RoleChange, RoomSnapshot, SettingsChange, State,
    StateChange, Welcome,
};
pub use redeemed::Redemption;
pub use reject::{Reject, Rejection};
pub use revocations::{Revocation, TooManyRevocations};
pub use revoke::Revoked;
pub use role::{Permissions, Role, Standing};
pub use settings::{Duplicates, Settings};
pub use state::StateEntry;
pub use turnstile::Turnstile;

#[cfg(test)]
mod testing;
