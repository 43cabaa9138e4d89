//! The users that the configuration lists, and their keys.

use std::sync::Arc;

use super::key::Key;
use crate::stun::PasswordAlgorithm;

/// A user of the configuration. Only keys are kept, not the password.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: Arc<str>,
    /// As the RFC wants them; and as clients make them that prepare nothing, where that differs.
    pub(super) keys: Vec<KeyPair>,
}

/// One password's keys.
#[derive(Debug)]
pub(super) struct KeyPair {
    pub(super) md5: Key,
    sha256: Key,
}

impl KeyPair {
    pub(super) fn new(username: &str, realm: &str, password: &str) -> Self {
        let key = |algorithm| Key::new(algorithm, username, realm, password);
        Self {
            md5: key(PasswordAlgorithm::Md5),
            sha256: key(PasswordAlgorithm::Sha256),
        }
    }

    fn by(&self, algorithm: PasswordAlgorithm) -> &Key {
        match algorithm {
            PasswordAlgorithm::Md5 => &self.md5,
            PasswordAlgorithm::Sha256 => &self.sha256,
        }
    }
}

impl Listed {
    /// The key that is the signature's, if any is; always after as many tries.
    pub(super) fn key(
        &self,
        algorithm: PasswordAlgorithm,
        tries: usize,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Key> {
        let keys = self.keys.iter().cycle().take(tries);
        let keys = keys.map(|pair| pair.by(algorithm));
        keys.fold(
            None,
            |found, key| if signed(key) { Some(*key) } else { found },
        )
    }
}
