//! What keeps a load from running.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why there is no result.
#[derive(Debug)]
pub enum LoadError {
    /// The settings ask for what cannot be.
    Settings(String),
    /// The operating system refuses something.
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// The server does not answer.
    Unreachable {
        /// The server.
        server: SocketAddr,
        /// What it was asked.
        request: &'static str,
        /// For how long.
        patience: Duration,
    },
    /// The server answers a request with an error.
    Refused {
        /// The request.
        request: &'static str,
        /// The code.
        code: u16,
        /// The server's reason.
        reason: String,
        /// How many allocations there were.
        allocations: usize,
    },
    /// The server's answer lacks what it must have.
    Malformed {
        /// The request.
        request: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// Nothing came through.
    NothingArrived {
        /// How many packets were sent.
        sent: u64,
    },
    /// Another thread has failed, and says why.
    Stopped,
}

impl LoadError {
    /// For `map_err`: an error of the operating system, and what was tried.
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(text) => f.write_str(text),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Unreachable {
                server,
                request,
                patience,
            } => write!(
                f,
                "{server} does not answer {request} requests over UDP ({} s long)",
                patience.as_secs()
            ),
            Self::Refused {
                request,
                code,
                reason,
                allocations,
            } => {
                write!(f, "the server refuses {request} with {code}")?;
                if !reason.is_empty() {
                    write!(f, " {reason:?}")?;
                }
                write!(f, " after {allocations} allocations{}", advice(*code))
            }
            Self::Malformed { request, missing } => {
                write!(f, "the server's answer to {request} has no {missing}")
            }
            Self::NothingArrived { sent } => write!(
                f,
                "none of {sent} packets came through: does the server reach the peer's address?"
            ),
            Self::Stopped => f.write_str("stopped, as another thread has failed"),
        }
    }
}

/// What may be done about an error code.
fn advice(code: u16) -> &'static str {
    match code {
        401 | 441 => ": check --secret, or --user and --password",
        403 => {
            ": the server must allow peers on this machine (turn.allow_peers, --allow-loopback-peers)"
        }
        437 => ": there is an allocation from the same address already; wait until it has expired",
        486 => ": raise the server's limit of allocations a user (turn.max_allocations_per_user)",
        508 => {
            ": the server has no more relayed addresses or descriptors, or lets a user reach no more \
             new peers (turn.max_new_peers_per_user)"
        }
        _ => "",
    }
}
