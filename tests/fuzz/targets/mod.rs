//! What is fuzzed: one function a target, which takes any bytes and panics where something is
//! wrong. The package beside runs them under libFuzzer, `tests/fuzz_corpora.rs` on the corpora.

mod bytes;
mod channel_data;
mod client_hello;
mod credentials;
mod frames;
#[path = "../../turn_simulation/host.rs"]
mod host;
mod proxy;
mod server;
mod signaling;
mod stranger;
mod stun;

/// A target by its name, which is also that of its corpus.
pub(crate) type Target = (&'static str, fn(&[u8]));

pub(crate) const TARGETS: &[Target] = &[
    ("channel_data", channel_data::run),
    ("client_hello", client_hello::run),
    ("credentials", credentials::run),
    ("frames", frames::run),
    ("proxy", proxy::run),
    ("server", server::run),
    ("signaling", signaling::run),
    ("stranger", stranger::run),
    ("stun", stun::run),
];
