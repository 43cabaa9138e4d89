//! What differs between two configurations.

use super::keys::KEYS;
use super::model::Config;
use super::resolve::Resolved;

/// The keys whose values differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that can be changed while the server runs.
    pub live: Vec<&'static str>,
    /// Those that wait for the next start.
    pub fixed: Vec<&'static str>,
}

impl Resolved {
    /// What is different in `newer`.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Changes {
        let mut changes = Changes::default();
        for key in KEYS {
            if self.shown(key.name) == newer.shown(key.name)
                && !is_other_secret(key.name, &self.config, &newer.config)
            {
                continue;
            }
            let list = if key.live {
                &mut changes.live
            } else {
                &mut changes.fixed
            };
            list.push(key.name);
        }
        changes
    }
}

/// Whether a secret differs, which is shown alike whatever it is.
fn is_other_secret(key: &str, older: &Config, newer: &Config) -> bool {
    match key {
        "turn.secret" => older.turn.secrets != newer.turn.secrets,
        "turn.users" => older.turn.users != newer.turn.users,
        "auth.secret" => older.auth.secrets != newer.auth.secrets,
        "auth.public_keys" => older.auth.tokens.has_other_keys(&newer.auth.tokens),
        "metrics.token" => older.metrics.token != newer.metrics.token,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Sources;
    use super::*;
    use crate::server::interfaces::Interfaces;

    fn resolved(text: &str) -> Resolved {
        let mut sources = Sources::new();
        sources
            .add_text(Path::new("peerage.toml"), text)
            .expect("well formed");
        Resolved::new(&sources, &Interfaces::new(vec![]), "state".into()).expect("valid")
    }

    #[test]
    fn what_waits_for_the_next_start_is_told_from_what_does_not() {
        let older = resolved("[turn]\nsecret = \"a\"\nworkers = 1\n[metrics]\ntoken = \"a\"");
        let newer = resolved(
            "log_level = \"debug\"\n[turn]\nsecret = \"b\"\nworkers = 2\n[metrics]\ntoken = \"b\"",
        );
        assert_eq!(
            older.changes(&newer),
            Changes {
                live: vec!["log_level", "turn.secret"],
                fixed: vec!["turn.workers", "metrics.token"],
            }
        );
        assert_eq!(older.changes(&older), Changes::default());
    }
}
