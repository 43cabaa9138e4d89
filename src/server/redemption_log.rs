//! Which tokens have been used that let in one session only, kept in the state directory for as
//! long as they could be shown. A thread of its own writes them, so that nobody waits for the disk.

use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::journal::{Entry, Journal};
use super::now;
use super::state::{StateDirectory, StateError};
use crate::gateway::Sink;
use crate::signal::{Redemption, SessionId};

/// The file in the state directory.
const USED_TOKENS: &str = "used-tokens";

/// Tokens that may wait to be written; more are forgotten with a restart.
const QUEUE: usize = 16_384;
/// So many are written at once.
const BATCH: usize = 1_024;

/// What the thread is told.
enum Told {
    Used(Redemption),
    End,
}

/// The file of used tokens, until it is dropped: then all that waits is written.
#[derive(Debug)]
pub(super) struct RedemptionLog {
    inbox: SyncSender<Told>,
    writer: Option<JoinHandle<()>>,
}

impl RedemptionLog {
    /// Opens the file in `state` and starts its thread. Gives what it says, too.
    pub(super) fn start(state: &StateDirectory) -> Result<(Self, Vec<Redemption>), StateError> {
        let (journal, known) = Journal::open(state, USED_TOKENS, now().unix)?;
        let (inbox, told) = sync_channel(QUEUE);
        let writer = thread::Builder::new().name("used-tokens".to_owned());
        let writer = writer.spawn(move || write_all(journal, &told));
        let writer = writer.map_err(|error| state.error(USED_TOKENS, error))?;
        let log = Self {
            inbox,
            writer: Some(writer),
        };
        Ok((log, known))
    }

    /// Where signaling says which token has been used.
    pub(super) fn sink(&self) -> Sink<Redemption> {
        handing_to(self.inbox.clone())
    }
}

impl Drop for RedemptionLog {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // An error means that the thread has ended already.
            drop(self.inbox.send(Told::End));
            drop(writer.join());
        }
    }
}

/// Hands what comes to the writer, if there is room. A disk that is too slow is told of once, until
/// there is room again, and not with every token: signaling waits meanwhile.
fn handing_to(inbox: SyncSender<Told>) -> Sink<Redemption> {
    let is_full = AtomicBool::new(false);
    Sink::new(move |redemption| {
        let is_lost = inbox.try_send(Told::Used(redemption)).is_err();
        let was_full = is_full.swap(is_lost, Ordering::Relaxed);
        if is_lost && !was_full {
            warn!("used tokens are not kept: the disk is too slow, or the server stops");
        }
    })
}

fn write_all(mut journal: Journal<Redemption>, told: &Receiver<Told>) {
    let mut is_failing = false;
    while let Ok(first) = told.recv() {
        let mut is_over = false;
        let waiting = iter::once(first).chain(told.try_iter()).take(BATCH);
        let used = waiting.map_while(|told| match told {
            Told::Used(redemption) => Some(redemption),
            Told::End => {
                is_over = true;
                None
            }
        });
        let used: Vec<_> = used.collect();
        let written = match used.is_empty() {
            true => Ok(()),
            false => journal.add(&used, now().unix),
        };
        // A full disk is told once, not for every token.
        if let Err(error) = &written
            && !is_failing
        {
            warn!("used tokens are not kept for a restart: {error}");
        }
        is_failing = written.is_err();
        if is_over {
            return;
        }
    }
}

/// The line in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    token_id: String,
    session: String,
    /// In seconds since 1970.
    until: u64,
}

impl Entry for Redemption {
    fn read(line: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(line).ok()?;
        Some(Self {
            token_id: written.token_id.into(),
            session: SessionId::parse(&written.session)?,
            until: Duration::from_secs(written.until),
        })
    }

    fn line(&self) -> String {
        let written = Written {
            token_id: self.token_id.to_string(),
            session: self.session.to_string(),
            // The second that has begun counts in full.
            until: self.until.as_secs() + u64::from(self.until.subsec_nanos() > 0),
        };
        serde_json::to_string(&written).expect("text and numbers are JSON")
    }

    fn until(&self) -> Duration {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_used_is_kept_when_the_log_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(folder.path()).expect("made");
        let (log, known) = RedemptionLog::start(&state).expect("started");
        assert!(known.is_empty());
        let session = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";
        let until = Duration::from_millis(1_000 * now().unix.as_secs() + 100_500);
        let used = |id: usize| Redemption {
            token_id: format!("token \"{id}\"").into(),
            session: SessionId::parse(session).expect("an id"),
            until,
        };
        let sink = log.sink();
        for id in 0..3_000 {
            sink.take(used(id));
        }
        drop(log);
        let (_log, known) = RedemptionLog::start(&state).expect("started");
        let later = |id| Redemption {
            until: until + Duration::from_millis(500),
            ..used(id)
        };
        assert_eq!(known, (0..3_000).map(later).collect::<Vec<_>>());
    }

    #[test]
    fn who_finds_the_queue_full_does_not_wait_and_what_comes_later_is_kept() {
        let session = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";
        let used = |id: &str| Redemption {
            token_id: id.into(),
            session: SessionId::parse(session).expect("an id"),
            until: Duration::from_secs(1),
        };
        let (inbox, told) = sync_channel(1);
        let sink = handing_to(inbox);
        for id in ["a", "b", "c"] {
            sink.take(used(id));
        }
        let next = || match told.try_recv() {
            Ok(Told::Used(redemption)) => Some(redemption),
            _ => None,
        };
        assert_eq!([next(), next()], [Some(used("a")), None]);
        sink.take(used("d"));
        assert_eq!(next(), Some(used("d")));
    }

    #[test]
    fn what_is_no_line_of_it_is_not_read() {
        for line in [
            "",
            "{}",
            r#"{"token_id":"a","session":"ada","until":1}"#,
            r#"{"token_id":"a","session":"6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11"}"#,
        ] {
            assert_eq!(Redemption::read(line.as_bytes()), None, "{line}");
        }
    }
}
