//! A world for the tests of the server: virtual time, clients that sign as they should or not,
//! and relay sockets that are only numbers.

mod client;
mod data;
mod requests;
mod served;
mod shared;
mod tcp;

pub(super) use client::{Client, Granted, REALM};
pub(super) use served::{SECRET, World, address};
