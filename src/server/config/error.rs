//! Errors that the operator can mend.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the built-in default.
    Default,
    /// Nowhere: it was found from this machine's network interfaces.
    Found,
    /// A line of the configuration file, counted from 1.
    File {
        /// The file as it was named.
        path: Arc<Path>,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Found => f.write_str("found from the network interfaces"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What is wrong with the configuration: the key, its value, what is allowed and where the value
/// was written, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, as `section.key`; empty if the file as a whole is meant.
    pub key: String,
    /// The value as written; `None` if there is none or if it is secret.
    pub value: Option<String>,
    /// What is wrong and what is allowed.
    pub problem: String,
    /// Where it was written.
    pub origin: Origin,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{} ({})", self.problem, self.origin)
    }
}

impl std::error::Error for ConfigError {}
