//! The values that are addresses: of sockets, ranges, listeners and ports.

use std::net::{IpAddr, SocketAddr};

use super::model::RelayPorts;
use super::value::{Value, quoted};
use crate::relay::Listener;
use crate::turn::{Cidr, Transport};

impl Value for SocketAddr {
    fn allowed() -> String {
        r#"an IP address and a port such as "127.0.0.1:8080" or "[::]:8080""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// An address of the server's own, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alternate(pub(super) Option<SocketAddr>);

impl Value for Alternate {
    fn allowed() -> String {
        r#"an IP address of this machine and a port such as "203.0.113.8:3479", or "" for none"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        let address: SocketAddr = text.parse().ok()?;
        let ip = address.ip();
        let is_of_a_machine = !ip.is_unspecified() && !ip.is_multicast() && address.port() != 0;
        is_of_a_machine.then_some(Self(Some(address)))
    }
    fn show(&self) -> String {
        match self.0 {
            Some(address) => address.show(),
            None => quoted(""),
        }
    }
}

impl Value for IpAddr {
    fn allowed() -> String {
        r#"an IP address such as "203.0.113.7" or "2001:db8::7""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Cidr {
    fn allowed() -> String {
        r#"an address range such as "10.0.0.0/8" or "fd00::/8", with no bits set beyond the prefix"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Listener {
    fn allowed() -> String {
        r#"a listener such as "udp://0.0.0.0:3478", "tls://[::]:5349" or "dtls://0.0.0.0:5349""#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let (scheme, address) = text.split_once("://")?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "dtls" => Transport::Dtls,
            _ => return None,
        };
        let address = address.parse().ok()?;
        Some(Self { transport, address })
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for RelayPorts {
    fn allowed() -> String {
        r#"a range of ports such as "49152-65535", the first above 0 and not above the last, or "none""#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::None);
        }
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0 && first <= last).then_some(Self::Range { first, last })
    }
    fn show(&self) -> String {
        match self {
            Self::Range { first, last } => quoted(&format!("{first}-{last}")),
            Self::None => quoted("none"),
        }
    }
}
