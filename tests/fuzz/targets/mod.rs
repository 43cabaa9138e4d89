//! What is fuzzed: one function a target, which takes any bytes and panics where something is
//! wrong. The package beside runs them under libFuzzer, `tests/fuzz_corpora.rs` on the corpora.

mod access_tokens;
mod announcements;
mod bytes;
mod channel_data;
mod client;
mod client_hello;
mod credentials;
mod frames;
#[path = "../../turn_simulation/host.rs"]
mod host;
mod proxy;
mod requests;
mod server;
mod signaling;
mod stranger;
mod stun;
mod tickets;

/// A target by its name, which is also that of its corpus.
pub(crate) type Target = (&'static str, fn(&[u8]));

pub(crate) const TARGETS: &[Target] = &[
    ("access_tokens", access_tokens::run),
    ("announcements", announcements::run),
    ("channel_data", channel_data::run),
    ("client", client::run),
    ("client_hello", client_hello::run),
    ("credentials", credentials::run),
    ("frames", frames::run),
    ("proxy", proxy::run),
    ("requests", requests::run),
    ("server", server::run),
    ("signaling", signaling::run),
    ("stranger", stranger::run),
    ("stun", stun::run),
    ("tickets", tickets::run),
];
