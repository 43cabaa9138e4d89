//! The server from outside: the real binary, real sockets.

mod client;
mod command;
mod configuration;
mod life;
mod page;
mod process;
mod restart;
mod tls;
mod turn_on_https;
