//! The relay as clients see it that are not ours: the `stun` and `turn` crates, and coturn's
//! tools. Everything goes through real sockets.

mod coturn_tools;
mod relay;
mod stun_crate;
mod turn_crate;
mod workers;
