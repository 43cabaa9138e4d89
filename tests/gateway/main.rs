//! The gateway from outside: real WebSockets to a server on a port of its own.

mod world;

mod closing;
mod http;
mod many;
mod resuming;
mod talking;
