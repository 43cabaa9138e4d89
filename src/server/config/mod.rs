//! What the operator decides: `peerage.toml`, `PEERAGE_*` variables and flags, in rising order of
//! precedence.
//!
//! [`Sources`] collects what was written and where; [`Resolved::new`] turns it into a [`Config`],
//! in which every value is checked and typed, and remembers where each came from.

mod access;
mod addresses;
mod changes;
mod error;
mod explain;
mod key_source;
mod keys;
mod model;
mod nearest;
mod origins;
mod reader;
mod resolve;
mod secrets;
mod sources;
mod value;
mod values;

pub use changes::Changes;
pub use error::{ConfigError, Origin};
pub use key_source::{KeySetUrl, RemoteKeys};
pub use keys::{KEYS, Key};
pub use model::{
    AllowedOrigin, AuditTarget, Auth, CertificateSource, Config, Http, LogLevel, Metrics, Peers,
    PublicUrl, RelayPorts, Signal, Turn,
};
pub use resolve::Resolved;
pub use sources::Sources;
