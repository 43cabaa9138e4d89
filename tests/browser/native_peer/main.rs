//! A peer that is no browser. It joins a room of a running server, connects to every member,
//! counts the media that it receives, sends silence, and answers chat messages. What happens is
//! told on stdout, one JSON object a line, for a suite to wait on.
//!
//! ```text
//! cargo run --example native-peer -- ws://127.0.0.1:8080/v1/ws blue-heron [--key KEY] [--relay-only] [--eager] [--from [::]:0]
//! ```
//!
//! It leaves and exits with 0 when its stdin ends, or at SIGTERM or SIGINT.

mod chat;
mod handler;
mod media;
mod negotiation;
mod path;
mod peer;
mod report;
mod session;
mod stop;

use clap::Parser;
use serde_json::json;
use std::process::ExitCode;

/// What a fallible step of this program fails with; all that becomes of it is an event line.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "native-peer")]
struct Options {
    /// Where the signaling is, such as ws://127.0.0.1:8080/v1/ws
    url: String,
    /// The room to join
    room: String,
    /// The key of the room, if it is sealed
    #[arg(long)]
    key: Option<String>,
    /// Use relayed candidates only
    #[arg(long)]
    relay_only: bool,
    /// Offer first to every member, before anything of theirs is taken in, so that offers collide
    #[arg(long)]
    eager: bool,
    /// From which address to speak; once for each address family
    #[arg(long, default_value = "0.0.0.0:0")]
    from: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match session::run(Options::parse(), stop::requested()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::event("error", json!({ "message": failure.to_string() }));
            ExitCode::FAILURE
        }
    }
}
