//! Reads typed values out of the sources and keeps account of where they came from.

use std::path::PathBuf;

use super::error::{ConfigError, Origin};
use super::key_source::KeySource;
use super::keys::Key;
use super::sources::{Raw, Sources};
use super::value::Value;

/// A key as it was resolved.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    /// The value as TOML; `None` if it is not set.
    pub(super) value: Option<String>,
    pub(super) origin: Origin,
}

/// Reads values; each key once.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    entries: Vec<Entry>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            entries: Vec::new(),
        }
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The value of `key`, or `default`.
    pub(super) fn get<T: Value>(
        &mut self,
        key: &'static str,
        default: T,
    ) -> Result<T, ConfigError> {
        let (value, origin) = match self.written(key)? {
            Some((value, origin)) => (value, origin),
            None => (default, Origin::Default),
        };
        self.note(key, Some(value.show()), origin);
        Ok(value)
    }

    /// The value of `key`, or one that was found on this machine.
    pub(super) fn get_or_find<T: Value>(
        &mut self,
        key: &'static str,
        find: impl FnOnce() -> T,
    ) -> Result<T, ConfigError> {
        let (value, origin) = match self.written(key)? {
            Some((value, origin)) => (value, origin),
            None => (find(), Origin::Found),
        };
        self.note(key, Some(value.show()), origin);
        Ok(value)
    }

    /// The value of `key`, if it is set.
    pub(super) fn optional<T: Value>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        match self.written::<T>(key)? {
            Some((value, origin)) => {
                self.note(key, Some(value.show()), origin);
                Ok(Some(value))
            }
            None => {
                self.note(key, None, Origin::Default);
                Ok(None)
            }
        }
    }

    /// A path, if it is set; one in the file is relative to the file's folder.
    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let found = self.located(key)?;
        match &found {
            Some((path, origin)) => self.note(key, Some(path.show()), origin.clone()),
            None => self.note(key, None, Origin::Default),
        }
        Ok(found.map(|(path, _)| path))
    }

    /// Where keys come from, if it is set; a path in the file is relative to the file's folder.
    pub(super) fn key_source(
        &mut self,
        key: &'static str,
    ) -> Result<Option<KeySource>, ConfigError> {
        let Some((source, origin)) = self.written(key)? else {
            self.note(key, None, Origin::Default);
            return Ok(None);
        };
        let source = match source {
            KeySource::File(path) => KeySource::File(located(path, &origin)),
            url @ KeySource::Url(_) => url,
        };
        self.note(key, Some(source.show()), origin);
        Ok(Some(source))
    }

    /// Whether `key` is written as exactly this text.
    pub(super) fn is_written(&self, key: &str, text: &str) -> bool {
        let raw = self.sources.get(key).map(|setting| &setting.raw);
        matches!(raw, Some(Raw::Text(written) | Raw::Words(written)) if written == text)
    }

    /// A path, or `default`.
    pub(super) fn path_or(
        &mut self,
        key: &'static str,
        default: PathBuf,
    ) -> Result<PathBuf, ConfigError> {
        let (path, origin) = self.located(key)?.unwrap_or((default, Origin::Default));
        self.note(key, Some(path.show()), origin);
        Ok(path)
    }

    /// Paths; those in the file are relative to the file's folder.
    pub(super) fn paths(&mut self, key: &'static str) -> Result<Vec<PathBuf>, ConfigError> {
        let (paths, origin) = match self.written::<Vec<PathBuf>>(key)? {
            Some((paths, origin)) => (paths, origin),
            None => (Vec::new(), Origin::Default),
        };
        let paths: Vec<_> = paths
            .into_iter()
            .map(|path| located(path, &origin))
            .collect();
        self.note(key, Some(paths.show()), origin);
        Ok(paths)
    }

    fn located(&self, key: &'static str) -> Result<Option<(PathBuf, Origin)>, ConfigError> {
        let Some((path, origin)) = self.written::<PathBuf>(key)? else {
            return Ok(None);
        };
        let path = located(path, &origin);
        Ok(Some((path, origin)))
    }

    /// An error about the value of `key`.
    pub(super) fn refuse(&self, key: &'static str, problem: impl Into<String>) -> ConfigError {
        let (value, origin) = match self.sources.get(key) {
            Some(setting) => (Some(setting.raw.to_string()), setting.origin.clone()),
            None => (None, Origin::Default),
        };
        let secret = Key::named(key).is_some_and(|key| key.secret);
        ConfigError {
            key: key.to_owned(),
            value: value.filter(|_| !secret),
            problem: problem.into(),
            origin,
        }
    }

    /// An error unless `holds`; `allowed` stands after "must be".
    pub(super) fn ensure(
        &self,
        key: &'static str,
        holds: bool,
        allowed: &str,
    ) -> Result<(), ConfigError> {
        if holds {
            Ok(())
        } else {
            Err(self.refuse(key, format!("must be {allowed}")))
        }
    }

    /// An error unless `holds`: what is asked for comes later.
    pub(super) fn available(
        &self,
        key: &'static str,
        holds: bool,
        only: &str,
    ) -> Result<(), ConfigError> {
        if holds {
            Ok(())
        } else {
            let problem = format!("not available in this version; use {only}");
            Err(self.refuse(key, problem))
        }
    }

    fn written<T: Value>(&self, key: &'static str) -> Result<Option<(T, Origin)>, ConfigError> {
        let Some(setting) = self.sources.get(key) else {
            return Ok(None);
        };
        match T::from_raw(&setting.raw) {
            Ok(value) => Ok(Some((value, setting.origin.clone()))),
            Err(part) => {
                let mut error = self.refuse(key, format!("must be {}", T::allowed()));
                error.value = error.value.map(|_| part);
                Err(error)
            }
        }
    }

    fn note(&mut self, key: &'static str, value: Option<String>, origin: Origin) {
        self.entries.push(Entry { key, value, origin });
    }
}

/// A path of the file is relative to the file's folder.
fn located(path: PathBuf, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File { path: file, .. } => match file.parent() {
            Some(folder) => folder.join(path),
            None => path,
        },
        _ => path,
    }
}
