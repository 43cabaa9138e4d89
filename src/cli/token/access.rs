//! `peerage token --subject …`: an access token.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use super::lifetime::lifetime;
use super::sign::Signer;
use super::source::Source;
use crate::server::{Bearer, access_claims, now};

/// What an access token says.
#[derive(Debug, Args)]
pub(super) struct Access {
    #[command(flatten)]
    source: Source,
    /// Whom the token is for
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A room that its bearer may enter, a beginning with * behind it, or *; may be repeated
    #[arg(long = "room", value_name = "ROOM")]
    rooms: Vec<String>,
    /// What the bearer is in these rooms
    #[arg(long, default_value = "member", value_parser = ["host", "member", "guest"])]
    role: String,
    /// Let in one session only: whoever comes first with the token, and nobody after it
    #[arg(long)]
    once: bool,
    /// For how long the token is good
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires: Duration,
    /// A private key in PEM to sign with (Ed25519, P-256 or RSA), in place of auth.secret
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How the token names its key (kid)
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,
}

impl Access {
    /// The token.
    pub(super) fn make(&self) -> Result<String, String> {
        let subject = self.subject.as_deref();
        let subject = subject.ok_or("--subject says whom the token is for; see --help")?;
        if self.rooms.is_empty() {
            return Err("--room says where its bearer may enter; '*' is everywhere".to_owned());
        }
        let config = self.source.resolve()?.config;
        let signer = match &self.key {
            Some(file) => Signer::of_file(file)?,
            None => Signer::of_secrets(&config.auth.secrets)?,
        };
        let bearer = Bearer {
            subject,
            rooms: &self.rooms,
            role: &self.role,
            once: self.once,
            lifetime: self.expires,
            token_id: &token_id()?,
        };
        let claims = access_claims(&bearer, &config, now().unix)?;
        signer.token(&claims, self.key_id.as_deref())
    }
}

/// 128 random bits.
fn token_id() -> Result<String, String> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| format!("the system has no randomness: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(id))
}
