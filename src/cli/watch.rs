//! When to read the configuration again: on SIGHUP, and when one of its files has changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::server::config::{CertificateSource, Config};

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// What tells one state of a file from another; `None` if it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// The files of a configuration.
pub(super) struct Watch {
    files: Vec<(PathBuf, Stamp)>,
    /// Something has changed, and may go on changing.
    is_restless: bool,
    ticks: Interval,
    #[cfg(unix)]
    hangups: tokio::signal::unix::Signal,
}

impl Watch {
    /// Watches the configuration's own `file` and the files that `config` names.
    pub(super) fn start(file: Option<PathBuf>, config: &Config) -> Result<Self, String> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Self {
            files: file.into_iter().map(|path| (path, None)).collect(),
            is_restless: false,
            ticks,
            #[cfg(unix)]
            hangups: hangups()?,
        };
        for (path, stamp) in &mut watch.files {
            *stamp = stamp_of(path);
        }
        watch.follow(config);
        Ok(watch)
    }

    /// Also watches the files that `config` names.
    pub(super) fn follow(&mut self, config: &Config) {
        let of_https = match &config.http.certificate {
            CertificateSource::Files { certificate, key } => vec![certificate, key],
            CertificateSource::LocalCa => Vec::new(),
        };
        for path in of_https.into_iter().chain(&config.auth.files) {
            if !self.files.iter().any(|(known, _)| known == path) {
                self.files.push((path.clone(), stamp_of(path)));
            }
        }
    }

    /// Returns when the configuration is to be read again. A file that is being written, and a
    /// certificate whose key is not there yet, are left in peace until they have not changed for
    /// one look.
    pub(super) async fn wait(&mut self) {
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = self.hangups.recv() => break,
                _ = self.ticks.tick() => {}
            }
            #[cfg(not(unix))]
            self.ticks.tick().await;
            let has_changed = self.look();
            if !has_changed && self.is_restless {
                break;
            }
            self.is_restless = has_changed;
        }
        self.look();
        self.is_restless = false;
    }

    /// Whether any file has changed since the last look.
    fn look(&mut self) -> bool {
        let mut has_changed = false;
        for (path, stamp) in &mut self.files {
            let now = stamp_of(path);
            has_changed |= now != *stamp;
            *stamp = now;
        }
        has_changed
    }
}

#[cfg(unix)]
fn hangups() -> Result<tokio::signal::unix::Signal, String> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::hangup()).map_err(|error| format!("cannot hear signals: {error}"))
}

fn stamp_of(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
