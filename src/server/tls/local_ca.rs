//! A certificate authority for this machine alone, so that HTTPS works without a domain.
//!
//! The CA is made at the first start and kept, so that people trust it once. The certificate it
//! issues is kept too, until its names change or it nears its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::CertificateError;
use super::files;
use crate::server::interfaces::Interfaces;
use crate::server::state::StateDirectory;

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const LEAF: &str = "certificate.pem";
const LEAF_KEY: &str = "certificate-key.pem";
const LEAF_NOTE: &str = "certificate.json";

const DAY: Duration = Duration::from_secs(86_400);
const CA_LIFE: Duration = Duration::from_secs(86_400 * 3650);
/// Browsers refuse a certificate with a longer life than 398 days.
const LEAF_LIFE: Duration = Duration::from_secs(86_400 * 396);
/// A leaf with less left than this is issued anew at start.
const LEAF_RENEWAL: Duration = Duration::from_secs(86_400 * 60);

/// A certificate from the local CA.
pub(super) struct Issued {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The file of the certificate.
    pub(super) path: PathBuf,
}

/// The file of the CA's certificate.
pub(super) fn ca_file(state: &StateDirectory) -> PathBuf {
    state.file(CA)
}

/// What is noted beside a leaf, to know whether it still serves.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    names: Vec<String>,
    /// Seconds since 1970.
    not_after: u64,
    issuer_sha256: String,
    certificate_sha256: String,
}

/// The names that a leaf carries: this machine by every name and address it has.
#[must_use]
pub fn leaf_names(interfaces: &Interfaces, hostname: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    if let Some(hostname) = hostname {
        names.push(hostname.to_owned());
        if !hostname.contains('.') {
            names.push(format!("{hostname}.local"));
        }
    }
    let mut addresses = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    addresses.extend(interfaces.addresses());
    addresses.sort_unstable();
    names.extend(addresses.iter().map(IpAddr::to_string));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The kept certificate if it still serves, else a new one.
pub(super) fn certificate(
    state: &StateDirectory,
    names: &[String],
) -> Result<Issued, CertificateError> {
    let (ca_pem, ca_key) = authority(state)?;
    if !leaf_serves(state, &ca_pem, names)? {
        issue(state, &ca_pem, ca_key, names)?;
    }
    let path = state.file(LEAF);
    Ok(Issued {
        chain: files::chain(&path)?,
        key: files::key(&state.file(LEAF_KEY))?,
        path,
    })
}

/// The CA: kept, or made.
fn authority(state: &StateDirectory) -> Result<(String, KeyPair), CertificateError> {
    if let (Some(certificate), Some(key)) = (state.read(CA)?, state.read(CA_KEY)?) {
        let key = KeyPair::from_pem(&key)
            .map_err(|error| CertificateError::new(&state.file(CA_KEY), error.to_string()))?;
        return Ok((certificate, key));
    }
    let failed = |error: rcgen::Error| CertificateError::new(&state.file(CA), error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    let of = crate::server::interfaces::hostname().unwrap_or_else(|| "this machine".into());
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Peerage local CA of {of}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, CA_LIFE);
    let certificate = params.self_signed(&key).map_err(failed)?.pem();
    state.write(CA_KEY, &key.serialize_pem())?;
    state.write(CA, &certificate)?;
    Ok((certificate, key))
}

/// Whether the kept leaf is of this CA, has these names and some life left.
fn leaf_serves(
    state: &StateDirectory,
    ca_pem: &str,
    names: &[String],
) -> Result<bool, CertificateError> {
    let (Some(leaf), Some(note)) = (state.read(LEAF)?, state.read(LEAF_NOTE)?) else {
        return Ok(false);
    };
    // A note that cannot be read is as good as none: the leaf is issued anew.
    let Ok(note) = serde_json::from_str::<Note>(&note) else {
        return Ok(false);
    };
    let left = Duration::from_secs(note.not_after).saturating_sub(unix_now());
    Ok(note.names == names
        && note.issuer_sha256 == fingerprint(ca_pem)
        && note.certificate_sha256 == fingerprint(&leaf)
        && left > LEAF_RENEWAL
        && left <= LEAF_LIFE
        && state.read(LEAF_KEY)?.is_some())
}

fn issue(
    state: &StateDirectory,
    ca_pem: &str,
    ca_key: KeyPair,
    names: &[String],
) -> Result<(), CertificateError> {
    let failed = |error: rcgen::Error| CertificateError::new(&state.file(LEAF), error.to_string());
    let issuer = Issuer::from_ca_cert_pem(ca_pem, ca_key)
        .map_err(|error| CertificateError::new(&state.file(CA), error.to_string()))?;
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Peerage");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let not_after = set_life(&mut params, LEAF_LIFE);
    let leaf = params.signed_by(&key, &issuer).map_err(failed)?.pem();
    let note = Note {
        names: names.to_vec(),
        not_after: not_after.as_secs(),
        issuer_sha256: fingerprint(ca_pem),
        certificate_sha256: fingerprint(&leaf),
    };
    let note = serde_json::to_string_pretty(&note).expect("strings and numbers are JSON");
    // The note comes last: until it fits the leaf, the leaf does not serve.
    state.write(LEAF_KEY, &key.serialize_pem())?;
    state.write(LEAF, &leaf)?;
    state.write(LEAF_NOTE, &note)?;
    Ok(())
}

/// Makes a certificate valid from yesterday, for clocks that differ, until `life` from now.
fn set_life(params: &mut CertificateParams, life: Duration) -> Duration {
    let now = unix_now();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + (now + life);
    now + life
}

fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn fingerprint(pem: &str) -> String {
    let digest = Sha256::digest(pem.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(folder.path()).expect("there");
        (folder, state)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_leaf_is_kept_until_its_names_change() {
        let (_folder, state) = state();
        let first = certificate(&state, &names(&["localhost"])).expect("issued");
        let again = certificate(&state, &names(&["localhost"])).expect("kept");
        assert_eq!(first.chain, again.chain);
        let ca = state.read(CA).expect("readable");
        let other = certificate(&state, &names(&["localhost", "10.0.0.1"])).expect("issued");
        assert_ne!(first.chain, other.chain);
        assert_eq!(state.read(CA).expect("readable"), ca);
    }

    #[test]
    fn a_leaf_near_its_end_is_issued_anew() {
        let (_folder, state) = state();
        let names = names(&["localhost"]);
        let first = certificate(&state, &names).expect("issued");
        let note = state.read(LEAF_NOTE).expect("readable").expect("there");
        let mut note: Note = serde_json::from_str(&note).expect("a note");
        note.not_after = (unix_now() + DAY).as_secs();
        let note = serde_json::to_string(&note).expect("JSON");
        state.write(LEAF_NOTE, &note).expect("written");
        let next = certificate(&state, &names).expect("issued");
        assert_ne!(first.chain, next.chain);
    }

    #[test]
    fn names_are_not_repeated() {
        let interfaces = Interfaces::new(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert_eq!(
            leaf_names(&interfaces, Some("box")),
            ["localhost", "box", "box.local", "127.0.0.1", "::1"]
        );
    }
}
