//! Who holds a port that is in use.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// The kernel's tables of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Udp => ["/proc/net/udp", "/proc/net/udp6"],
            Self::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        }
    }
}

/// The process that holds `address`, as `name (pid 123)`. `None` where the system does not tell:
/// not on Linux, or the process is somebody else's.
pub(super) fn holder(protocol: Protocol, address: SocketAddr) -> Option<String> {
    let inodes: Vec<String> = protocol
        .tables()
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, protocol, address))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs::read_dir("/proc")
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .find(|process| holds(&process.path(), &inodes))
        .map(|process| describe(&process.path()))
}

/// The inodes of the sockets in a kernel table that stand in the way of `address`.
fn inodes(table: &str, protocol: Protocol, address: SocketAddr) -> Vec<String> {
    let stands_in_the_way = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(parse_local);
        let state = fields.nth(1);
        let listens = protocol == Protocol::Udp || state == Some("0A");
        listens && local.is_some_and(|local| collide(local, address))
    };
    table
        .lines()
        .skip(1)
        .filter(stands_in_the_way)
        .filter_map(|line| line.split_whitespace().nth(9).map(str::to_owned))
        .collect()
}

fn collide(held: SocketAddr, wanted: SocketAddr) -> bool {
    held.port() == wanted.port()
        && (held.ip() == wanted.ip() || held.ip().is_unspecified() || wanted.ip().is_unspecified())
}

/// An address as the kernel writes it: words of 32 bits in the machine's order, in hexadecimal.
fn parse_local(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .map(|word| word.map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let address = match words.as_slice() {
        [v4] => IpAddr::from(*v4),
        [_, _, _, _] => IpAddr::from(<[u8; 16]>::try_from(words.concat()).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .filter_map(Result::ok)
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| {
            let target = target.to_string_lossy();
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            inode.is_some_and(|inode| inodes.iter().any(|held| held == inode))
        })
}

fn describe(process: &Path) -> String {
    let pid = process
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    format!("{name} (pid {pid})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_addresses_are_read() {
        let address = |text: &str| text.parse::<SocketAddr>().ok();
        assert_eq!(parse_local("0100007F:0D96"), address("127.0.0.1:3478"));
        assert_eq!(
            parse_local("00000000000000000000000001000000:1F90"),
            address("[::1]:8080")
        );
        assert_eq!(parse_local("nonsense"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_of_this_process_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("bound");
        let found = holder(Protocol::Udp, address).expect("found");
        let pid = std::process::id();
        assert!(found.contains(&format!("(pid {pid})")), "{found}");
    }
}
