//! The five-tuple: what tells one client from another.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// How a client's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream in TLS.
    Tls,
    /// Datagrams in DTLS.
    Dtls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Dtls];

    /// Whether it carries a stream rather than datagrams.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Udp | Self::Dtls => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// Whether a client has shown that it is where it says before anything of it is heard.
    #[must_use]
    pub const fn has_handshake(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Dtls => true,
        }
    }

    /// Its name, as the URL of a listener has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }
}

/// A client's address, the address of ours that it speaks to, and the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiveTuple {
    /// The client, as seen here.
    pub client: SocketAddr,
    /// Where the client's packets arrive, and answers leave from.
    pub server: SocketAddr,
    /// The transport.
    pub transport: Transport,
}

impl Hash for FiveTuple {
    /// The client's address and port tell clients apart well enough: few clients speak to several
    /// addresses of ours from one port. It is on the way of every packet.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let port = u64::from(self.client.port());
        match self.client.ip() {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 16 | port),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64 ^ port);
            }
        }
    }
}
