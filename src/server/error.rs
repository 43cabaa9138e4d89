//! Why the server did not start.

use std::fmt;
use std::net::SocketAddr;

use super::config::AuditTarget;
use super::holder::{Protocol, holder};
use super::state::StateError;
use super::tls::CertificateError;
use crate::relay;
use crate::turn::Transport;

/// Why the server did not start, in one line that says what to change.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    /// A listener could not be bound. `key` is the configuration's.
    pub(super) fn bind(
        protocol: Protocol,
        address: SocketAddr,
        key: &str,
        source: &std::io::Error,
    ) -> Self {
        let (name, port) = (protocol.name(), address.port());
        Self(match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                let by = holder(protocol, address);
                let by = by.unwrap_or_else(|| "another process".into());
                format!("{name} {port} is in use by {by}; change {key} ({address}) or stop it")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                format!(
                    "{} is no address of this machine; change {key}",
                    address.ip()
                )
            }
            std::io::ErrorKind::PermissionDenied => format!(
                "{name} {port} needs more rights than this user has; change {key} ({address})"
            ),
            _ => format!("cannot listen on {name} {address}: {source}; change {key}"),
        })
    }
}

impl StartError {
    /// The audit log could not be opened.
    pub(super) fn audit(target: &AuditTarget, source: &std::io::Error) -> Self {
        let name = match target {
            AuditTarget::Stderr => "stderr".into(),
            AuditTarget::File(path) => path.display().to_string(),
        };
        Self(format!(
            "cannot write to {name}: {source}; change turn.audit_log"
        ))
    }

    /// The operating system gave no randomness, without which no secret can be made.
    pub(super) fn randomness(source: getrandom::Error) -> Self {
        Self(format!("the system gives no randomness: {source}"))
    }
}

impl From<std::io::Error> for StartError {
    /// What the system did not give while the server runs.
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<relay::StartError> for StartError {
    fn from(error: relay::StartError) -> Self {
        match &error {
            relay::StartError::Listen { listener, source } => {
                let protocol = match listener.transport {
                    Transport::Udp | Transport::Dtls => Protocol::Udp,
                    Transport::Tcp | Transport::Tls => Protocol::Tcp,
                };
                Self::bind(protocol, listener.address, "turn.listen", source)
            }
            relay::StartError::NatDiscovery { address, source } => {
                let key = "turn.nat_discovery_alternate";
                Self::bind(Protocol::Udp, *address, key, source)
            }
            relay::StartError::System(_) => Self(error.to_string()),
        }
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        Self(error.to_string())
    }
}

impl From<CertificateError> for StartError {
    fn from(error: CertificateError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
