//! The server from outside: the real binary, real sockets.

mod attacks;
mod client;
mod command;
mod configuration;
mod documents;
mod floods;
mod foreign;
mod http2;
mod http2_floods;
mod key_set;
mod life;
mod page;
mod process;
#[path = "../foreign/mod.rs"]
mod programs;
mod remembering;
mod restart;
mod session;
mod slow_readers;
mod tls;
mod turn_on_https;
