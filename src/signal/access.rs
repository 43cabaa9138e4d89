//! Who may come in, and how a token gets to the hub.

use std::sync::Arc;
use std::time::Duration;

use super::grant::Grant;
use crate::auth::Secret;
use crate::auth::jwt::TokenFault;

/// What has become of the access token that a client has shown. The dialect reads it, the shell
/// checks it before the hub hears of it: a signature costs more than all else that the hub does
/// for a message, and the hub has one thread.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// There was none.
    #[default]
    Nothing,
    /// It has not been looked at. The hub takes it for a token too many.
    Shown(Secret),
    /// It is good, and this is what it grants.
    Granted(Arc<Grant>),
    /// It is not.
    Refused(TokenFault),
}

impl Access {
    /// Whether there is a token that nothing can be said about, since keys are missing.
    pub(super) fn cannot_be_checked(&self) -> bool {
        matches!(self, Self::Refused(TokenFault::NoKeys))
    }

    /// A token as the client has written it.
    #[must_use]
    pub fn shown(token: &str) -> Self {
        Self::Shown(Secret::new(token))
    }
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// Whether only who shows a token may come in. Otherwise everybody may, and tokens mean
    /// nothing.
    pub by_token: bool,
    /// For how long after its token has expired a session keeps its connection. 30 s.
    pub grace: Duration,
    /// How far the clocks of whoever makes tokens and of this server may differ. 30 s.
    pub leeway: Duration,
    /// How many sessions one subject may have at a time, suspended ones included, where its token
    /// does not say. 32.
    pub sessions_per_subject: usize,
    /// For how long revocations are remembered: as long as a token can be good. 24 h.
    pub max_lifetime: Duration,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            by_token: false,
            grace: Duration::from_secs(30),
            leeway: Duration::from_secs(30),
            sessions_per_subject: 32,
            max_lifetime: Duration::from_secs(86_400),
        }
    }
}
