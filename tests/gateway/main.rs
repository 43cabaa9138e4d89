//! The gateway from outside: real sockets to a server on a port of its own.

mod asking;
mod bearer;
mod cutting;
mod world;

mod admission;
mod announcing;
mod attacks;
mod bearing;
mod closing;
mod documents;
mod duplicates;
mod elsewhere;
mod guarantee;
mod half_open;
mod http;
mod many;
mod moderating;
mod requests;
mod resuming;
mod talking;
mod tokens;
