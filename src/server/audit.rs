//! The audit log: a line of JSON for each allocation that starts or ends, written by a thread of
//! its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use serde_json::json;
use tracing::warn;

use super::config::AuditTarget;
use crate::relay::{AuditSink, Audited};
use crate::turn::{End, Event};

/// Records that may wait to be written; more are lost, and counted.
const QUEUE: usize = 16_384;

/// What the thread is told.
enum Entry {
    Record(Box<Audited>),
    /// The file may be another one now.
    Reopen,
}

/// The log, until it is dropped: then all that waits is written.
#[derive(Debug)]
pub(super) struct AuditLog {
    entries: Option<SyncSender<Entry>>,
    writer: Option<JoinHandle<()>>,
}

impl AuditLog {
    /// Opens the log and starts its thread.
    pub(super) fn start(target: &AuditTarget) -> io::Result<Self> {
        let (entries, inbox) = sync_channel(QUEUE);
        let (target, output) = (target.clone(), open(target)?);
        let writer = thread::Builder::new().name("audit".to_owned());
        let writer = writer.spawn(move || write_all(&target, output, &inbox))?;
        Ok(Self {
            entries: Some(entries),
            writer: Some(writer),
        })
    }

    /// Where the relay's workers put their records.
    pub(super) fn sink(&self) -> Option<AuditSink> {
        let entries = self.entries.clone()?;
        Some(AuditSink::new(move |audited| {
            entries.try_send(Entry::Record(Box::new(audited))).is_ok()
        }))
    }

    /// Writes on in a new file, where the present one has been moved away.
    pub(super) fn reopen(&self) {
        if let Some(entries) = &self.entries {
            // A log that is so far behind is opened again with the next call.
            drop(entries.try_send(Entry::Reopen));
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.entries = None;
        if let Some(writer) = self.writer.take() {
            // Ends when the relay's workers have ended, too.
            drop(writer.join());
        }
    }
}

fn open(target: &AuditTarget) -> io::Result<Box<dyn Write + Send>> {
    Ok(match target {
        AuditTarget::Stderr => Box::new(io::stderr()),
        AuditTarget::File(path) => Box::new(append_to(path)?),
    })
}

/// Opens a file that only its owner can read: it says who speaks with whom.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_all(target: &AuditTarget, mut output: Box<dyn Write + Send>, inbox: &Receiver<Entry>) {
    let mut is_failing = false;
    for entry in inbox {
        let written = match entry {
            Entry::Record(audited) => output.write_all(line(&audited).as_bytes()),
            Entry::Reopen => open(target).map(|opened| output = opened),
        };
        // A full disk is told once, not for every line.
        if let Err(error) = &written
            && !is_failing
        {
            warn!("cannot write the audit log: {error}");
        }
        is_failing = written.is_err();
    }
}

fn line(audited: &Audited) -> String {
    let record = &audited.record;
    let (event, reason) = match record.event {
        Event::Started => ("started", None),
        Event::Moved => ("moved", None),
        Event::Ended(why) => ("ended", Some(name_of(why))),
    };
    let traffic = record.traffic;
    let mut line = json!({
        "time": audited.at.as_millis() as u64,
        "event": event,
        "reason": reason,
        "user": record.user,
        "transport": record.client.transport.name(),
        "client": record.client.client,
        "relayed": record.relayed,
        "relayed_transport": if record.is_tcp { "tcp" } else { "udp" },
        "packets_from_client": traffic.packets_from_client,
        "bytes_from_client": traffic.bytes_from_client,
        "packets_to_client": traffic.packets_to_client,
        "bytes_to_client": traffic.bytes_to_client,
    })
    .to_string();
    line.push('\n');
    line
}

fn name_of(why: End) -> &'static str {
    match why {
        End::Released => "released",
        End::Expired => "expired",
        End::Disconnected => "disconnected",
        End::Revoked => "revoked",
        End::Stopped => "stopped",
        End::Failed => "failed",
    }
}
