//! What was written, before anybody asks what it means.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::keys::{KEYS, Key};
use super::nearest::nearest;

/// Sections whose keys are names that the operator chooses.
const OPEN_SECTIONS: &[&str] = &["turn.users", "turn.token_keys"];

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// A string of the file.
    Text(String),
    /// What a variable or a flag holds: a string, a number or a list with commas.
    Words(String),
    /// A number of the file.
    Integer(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Raw>),
    /// An open section.
    Table(Vec<(String, Raw)>),
    /// Something that no key takes, such as a date.
    Other(&'static str),
}

impl Raw {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(integer) => Self::Integer(integer.to_string()),
            DeValue::Boolean(boolean) => Self::Boolean(*boolean),
            DeValue::Array(items) => {
                Self::List(items.iter().map(|item| Self::of(item.get_ref())).collect())
            }
            DeValue::Float(_) => Self::Other("a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Words(text) => write!(f, "{text:?}"),
            Self::Integer(text) => f.write_str(text),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(_) => f.write_str("a table"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All that was written. What is added later wins.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    settings: BTreeMap<&'static str, Setting>,
}

impl Sources {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a configuration file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key that does not exist.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| in_file(path, 1, format!("cannot read the file: {error}")))?;
        self.add_text(path, &text)
    }

    /// Adds the text of a configuration file; `path` is only for messages.
    ///
    /// # Errors
    /// If it is not TOML or has a key that does not exist.
    pub fn add_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            in_file(
                path,
                line,
                format!("not TOML: {}", one_line(error.message())),
            )
        })?;
        let file = File {
            path: path.into(),
            text,
        };
        self.add_table(&file, "", table.get_ref())
    }

    fn add_table(
        &mut self,
        file: &File<'_>,
        section: &str,
        table: &DeTable<'_>,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let full = join(section, name.get_ref());
            let origin = file.origin(name.span().start);
            match value.get_ref() {
                DeValue::Table(entries) if OPEN_SECTIONS.contains(&full.as_str()) => {
                    let entries = entries
                        .iter()
                        .map(|(name, value)| (name.get_ref().to_string(), Raw::of(value.get_ref())))
                        .collect();
                    self.put(&full, Raw::Table(entries), origin)?;
                }
                DeValue::Table(inner) if is_section(&full) => self.add_table(file, &full, inner)?,
                other => self.put(&full, Raw::of(other), origin)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &str, raw: Raw, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = Key::named(name) else {
            let known = KEYS.iter().map(|key| key.name.to_owned());
            return Err(unknown(name, "key", nearest(name, known), origin));
        };
        self.settings.insert(key.name, Setting { raw, origin });
        Ok(())
    }

    /// Adds the environment; only variables that begin with `PEERAGE_` are looked at.
    ///
    /// # Errors
    /// If one of these is of no key. `PEERAGE_CONFIG` is left to the caller.
    pub fn add_variables(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            if !name.starts_with("PEERAGE_") || name == "PEERAGE_CONFIG" {
                continue;
            }
            let origin = Origin::Variable(name.clone());
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                let known = KEYS.iter().map(Key::variable);
                return Err(unknown(&name, "variable", nearest(&name, known), origin));
            };
            let raw = Raw::Words(value);
            self.settings.insert(key.name, Setting { raw, origin });
        }
        Ok(())
    }

    /// Adds a flag's value for a key, lists with commas.
    ///
    /// # Panics
    /// If there is no such key: flags are the program's own.
    pub fn add_flag(&mut self, flag: &'static str, key: &str, value: &str) {
        let key = Key::named(key).expect("a flag sets a key that exists");
        let raw = Raw::Words(value.to_owned());
        let origin = Origin::Flag(flag);
        self.settings.insert(key.name, Setting { raw, origin });
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }
}

struct File<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::File {
            path: Arc::clone(&self.path),
            line: line_of(self.text, offset),
        }
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

fn is_section(name: &str) -> bool {
    let prefix = format!("{name}.");
    KEYS.iter().any(|key| key.name.starts_with(&prefix))
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn in_file(path: &Path, line: usize, problem: String) -> ConfigError {
    ConfigError {
        key: String::new(),
        value: None,
        problem,
        origin: Origin::File {
            path: path.into(),
            line,
        },
    }
}

fn unknown(name: &str, what: &str, guess: Option<String>, origin: Origin) -> ConfigError {
    let problem = match guess {
        Some(guess) => format!("no such {what}; did you mean {guess}?"),
        None => format!("no such {what}; `peerage check` lists those that exist"),
    };
    ConfigError {
        key: name.to_owned(),
        value: None,
        problem,
        origin,
    }
}
