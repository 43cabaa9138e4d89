//! `[auth]`: who may use signaling.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::ConfigError;
use super::key_source::{KeySetUrl, KeySource, RemoteKeys};
use super::model::Auth;
use super::reader::Reader;
use super::secrets::Secrets;
use crate::auth::Secret;
use crate::auth::jwt::{
    AccessTokens, LEAST_SECRET, MOST_KEYS, TokenRules, VerifyingKey, read_jwks,
};

/// Files of keys are small; whatever is longer is something else.
const LONGEST_FILE: u64 = 1 << 20;

pub(super) fn auth(reader: &mut Reader<'_>) -> Result<Auth, ConfigError> {
    let mode = reader.get("auth.mode", "open".to_owned())?;
    let by_token = mode == "token";
    reader.ensure(
        "auth.mode",
        by_token || mode == "open",
        r#""open" or "token""#,
    )?;
    let secrets = secrets(reader)?;
    let public_keys = reader.paths("auth.public_keys")?;
    let (jwks, url) = match reader.key_source("auth.jwks")? {
        Some(KeySource::File(file)) => (Some(file), None),
        Some(KeySource::Url(url)) => (None, Some(url)),
        None => (None, None),
    };
    let authorities_file = reader.path("auth.jwks_ca")?;
    let authorities = authorities(reader, authorities_file.as_ref())?;
    let needed = "needs auth.jwks beside it, as a URL of https";
    if authorities.is_some() && !url.as_ref().is_some_and(KeySetUrl::is_secure) {
        return Err(reader.refuse("auth.jwks_ca", needed));
    }
    let remote = url.map(|url| RemoteKeys { url, authorities });
    let keys = [
        of_secrets(&secrets),
        of_files(reader, &public_keys)?,
        of_set(reader, jwks.as_ref())?,
    ]
    .concat();
    let problem = "needs a key beside it: auth.secret, auth.public_keys or auth.jwks";
    if by_token && keys.is_empty() && remote.is_none() {
        return Err(reader.refuse("auth.mode", problem));
    }
    let key = if jwks.is_some() {
        "auth.jwks"
    } else {
        "auth.public_keys"
    };
    let allowed = format!("at most {MOST_KEYS} keys together with auth.secret");
    reader.ensure(key, keys.len() <= MOST_KEYS, &allowed)?;
    let rules = rules(reader)?;
    Ok(Auth {
        by_token,
        secrets,
        remote,
        files: [
            public_keys,
            jwks.into_iter().collect(),
            authorities_file.into_iter().collect(),
        ]
        .concat(),
        tokens: Arc::new(AccessTokens::new(keys, rules)),
        grace: time(reader, "auth.grace", 30, 0, 3_600)?,
        sessions_per_subject: reader.get("auth.sessions_per_subject", 32_u32)? as usize,
        guesses_per_address: reader.get("auth.guesses_per_address", 100)?,
    })
}

fn secrets(reader: &mut Reader<'_>) -> Result<Vec<Secret>, ConfigError> {
    let key = "auth.secret";
    let Secrets(secrets) = reader.optional(key)?.unwrap_or_default();
    let is_long = |secret: &Secret| secret.expose().len() >= LEAST_SECRET;
    let allowed = "at most 4 secrets, each of at least 32 bytes";
    reader.ensure(
        key,
        secrets.len() <= 4 && secrets.iter().all(is_long),
        allowed,
    )?;
    Ok(secrets)
}

fn of_secrets(secrets: &[Secret]) -> Vec<VerifyingKey> {
    let keys = secrets.iter().map(VerifyingKey::of_secret);
    keys.filter_map(Result::ok).collect()
}

fn of_files(reader: &Reader<'_>, files: &[PathBuf]) -> Result<Vec<VerifyingKey>, ConfigError> {
    let key = "auth.public_keys";
    let read = |file| {
        let text = text(reader, key, file)?;
        let read = VerifyingKey::of_pem(&text);
        read.map_err(|error| reader.refuse(key, format!("{}: {error}", file.display())))
    };
    files.iter().map(read).collect()
}

fn of_set(reader: &Reader<'_>, file: Option<&PathBuf>) -> Result<Vec<VerifyingKey>, ConfigError> {
    let key = "auth.jwks";
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let read = read_jwks(&text(reader, key, file)?);
    read.map_err(|error| reader.refuse(key, format!("{}: {error}", file.display())))
}

/// Those whose certificates are taken where the set is.
fn authorities(
    reader: &Reader<'_>,
    file: Option<&PathBuf>,
) -> Result<Option<Arc<[CertificateDer<'static>]>>, ConfigError> {
    let key = "auth.jwks_ca";
    let Some(file) = file else {
        return Ok(None);
    };
    let text = text(reader, key, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let refuse = || {
        let problem = format!("{}: must have certificates in PEM", file.display());
        reader.refuse(key, problem)
    };
    let read = read.map_err(|_| refuse())?;
    let mut roots = RootCertStore::empty();
    let is_fit = !read.is_empty() && read.iter().all(|it| roots.add(it.clone()).is_ok());
    is_fit.then(|| Some(read.into())).ok_or_else(refuse)
}

fn text(reader: &Reader<'_>, key: &'static str, file: &PathBuf) -> Result<String, ConfigError> {
    let refuse = |problem: String| reader.refuse(key, format!("{}: {problem}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| refuse(error.to_string()))?;
    if length.len() > LONGEST_FILE {
        return Err(refuse("longer than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))
}

fn rules(reader: &mut Reader<'_>) -> Result<TokenRules, ConfigError> {
    let issuer = reader.get("auth.issuer", String::new())?;
    let audience = reader.get("auth.audience", "peerage".to_owned())?;
    reader.ensure(
        "auth.audience",
        !audience.is_empty(),
        "a string that is not empty",
    )?;
    Ok(TokenRules {
        issuer: (!issuer.is_empty()).then_some(issuer),
        audience,
        leeway: time(reader, "auth.leeway", 30, 0, 600)?,
        max_lifetime: time(reader, "auth.max_lifetime", 86_400, 60, 366 * 86_400)?,
    })
}

/// A time of whole seconds, from `least` to `most`.
fn time(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: u64,
    least: u64,
    most: u64,
) -> Result<Duration, ConfigError> {
    let time = reader.get(key, Duration::from_secs(default))?;
    let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
    let allowed = format!(r#"from "{least}s" to "{most}s""#);
    reader.ensure(key, bounds.contains(&time), &allowed)?;
    Ok(time)
}
