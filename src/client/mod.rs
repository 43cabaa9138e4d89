//! A client of the native protocol, as `docs/protocol.md` describes it: for programs that take
//! part in calls without a browser, for load, and for tests.
//!
//! [`Client`] keeps one session with a server over as many connections as it takes. It says hello,
//! resumes with the token that it was last given, numbers what it says and says again what may not
//! have been applied, acknowledges what it hears, comes back after a loss at a time of its own,
//! and hands everything that others say to the application once and in order. There is no task
//! and no thread behind it: all of that happens while the application waits in [`Client::next`],
//! which can be cancelled at any time, as by `select!`.
//!
//! Four transports carry a session ([`Transport`]); where one does not come through, the next one
//! is tried. [`Session`] is the protocol alone, without a socket or a clock, for transports of
//! one's own.
//!
//! Rooms whose members share a key are sealed: [`Client::seal`] takes a [`Seal`], which is made of a
//! name and a key or of a link of the page, and from then on the server can read nothing of what is
//! said there.
//!
//! After a restart of the server the client comes back by itself, and its meetings go on where the
//! other side says so, too ([`Member::continues`]); what was not confirmed is said again, to one and
//! to all, and heard once.
//!
//! A server that stops may send the client to another one ([`Event::Moved`]); it goes there, never from
//! TLS to plain text, and stays.
//!
//! Nothing here is unbounded: what waits for the server or for a receipt has a capacity
//! ([`Settings::outbox`]), beyond which [`Client::ask`] refuses, and nothing is read from the
//! connection before the application has taken what came before.
//!
//! ```no_run
//! use peerage::client::{Body, Client, Event, Kind, Profile, Request, Settings};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::new(Settings::new("wss://call.example/v1/ws")?)?;
//! client.ask(Request::join("blue-heron", Profile::named("Ada")))?;
//! while let Some(event) = client.next().await {
//!     match event {
//!         Event::Joined { room, .. } => {
//!             for member in room.members {
//!                 let greeting = Body::new(&"hello")?;
//!                 client.ask(Request::say("blue-heron", member.session, Kind::Offer, greeting))?;
//!             }
//!         }
//!         Event::Said(said) => println!("{} says {}", said.from, said.body),
//!         Event::Delivered { re } => println!("{re:?} has arrived"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod carrier;
mod closing;
mod connection;
mod destination;
mod dispatch;
mod driver;
mod error;
mod event;
mod event_stream;
mod happened;
mod heard;
mod http;
mod inbox;
mod member;
mod message;
mod outbox;
mod pacer;
mod pair;
mod parked;
mod request;
mod requests;
mod restart;
mod returning;
mod room;
mod seal;
mod sealed;
mod session;
mod settings;
mod stream;
#[cfg(test)]
mod testing;
mod tls;
mod websocket;

pub use closing::End;
pub use driver::Client;
pub use error::{ClientError, Full};
pub use event::{Ended, Event, Resumed};
pub use member::{Broadcast, IceServer, Limits, Member, MemberState, Missed, RoomMembers, Said};
pub use request::{AccessToken, Body, Kind, Profile, Request, RequestId};
pub use seal::Seal;
pub use session::{Session, Step};
pub use settings::{Settings, Transport, Trust};
