//! The header that a proxy puts before a connection to say whose it is: PROXY protocol, versions
//! 1 (text) and 2 (binary).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How version 1 begins.
const WORD: &[u8] = b"PROXY ";

/// The longest header of version 1, its line end included.
const LONGEST_LINE: usize = 107;

/// The longest header of version 2 that is taken: addresses, and what a proxy may add to them.
const LONGEST_BLOCK: usize = 1_024;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// How many bytes it has.
    pub length: usize,
    /// Whose connection it is: the client's address, and the one that it has spoken to. `None`:
    /// the proxy's own, to see whether somebody is there.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// The bytes are no header, or one of something else than TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHeader;

impl ProxyHeader {
    /// The header at the start of `stream`, or `None` as long as its end has not come.
    ///
    /// # Errors
    /// If this is no header, or none of a TCP connection, whatever else comes.
    pub fn parse(stream: &[u8]) -> Result<Option<Self>, NoHeader> {
        let begins_like = |start: &[u8]| stream.iter().zip(start).all(|(a, b)| a == b);
        if begins_like(&SIGNATURE) {
            parse_binary(stream)
        } else if begins_like(WORD) {
            parse_text(stream)
        } else {
            Err(NoHeader)
        }
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, and a line end.
fn parse_text(stream: &[u8]) -> Result<Option<ProxyHeader>, NoHeader> {
    let searched = &stream[..stream.len().min(LONGEST_LINE)];
    let Some(end) = searched.windows(2).position(|pair| pair == b"\r\n") else {
        return if stream.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(NoHeader)
        };
    };
    let line = std::str::from_utf8(&stream[..end]).map_err(|_| NoHeader)?;
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words[..] {
        // The proxy does not know, and what follows does not count.
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, from, to, from_port, to_port] => {
            let (from, to) = (address(from, from_port)?, address(to, to_port)?);
            let is_of_family = |at: SocketAddr| (family == "TCP4") == at.is_ipv4();
            let is_known = family == "TCP4" || family == "TCP6";
            if !is_known || !is_of_family(from) || !is_of_family(to) {
                return Err(NoHeader);
            }
            Some((from, to))
        }
        _ => return Err(NoHeader),
    };
    Ok(Some(ProxyHeader {
        length: end + 2,
        addresses,
    }))
}

fn address(ip: &str, port: &str) -> Result<SocketAddr, NoHeader> {
    let ip: IpAddr = ip.parse().map_err(|_| NoHeader)?;
    let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_plain).ok_or(NoHeader)?;
    Ok(SocketAddr::new(ip, port))
}

/// Version 2: signature, version and command, family and transport, length, addresses, and more
/// that is skipped.
fn parse_binary(stream: &[u8]) -> Result<Option<ProxyHeader>, NoHeader> {
    let Some((&[command, kind, l0, l1], rest)) = stream
        .get(SIGNATURE.len()..)
        .and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(None);
    };
    let block = usize::from(u16::from_be_bytes([l0, l1]));
    let addresses = match (command, kind) {
        // The proxy's own connection.
        (0x20, _) => 0,
        (0x21, 0x11) => 12,
        (0x21, 0x21) => 36,
        _ => return Err(NoHeader),
    };
    if block < addresses || block > LONGEST_BLOCK {
        return Err(NoHeader);
    }
    let Some(block) = rest.get(..block) else {
        return Ok(None);
    };
    let addresses = match addresses {
        12 => Some(pair::<4>(block, |bytes| Ipv4Addr::from(bytes).into())),
        36 => Some(pair::<16>(block, |bytes| Ipv6Addr::from(bytes).into())),
        _ => None,
    };
    Ok(Some(ProxyHeader {
        length: SIGNATURE.len() + 4 + block.len(),
        addresses: addresses.map(|pair| pair.ok_or(NoHeader)).transpose()?,
    }))
}

/// Two addresses and then two ports.
fn pair<const N: usize>(
    block: &[u8],
    ip: impl Fn([u8; N]) -> IpAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let (from, rest) = block.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let &[f0, f1, t0, t1] = rest.first_chunk()?;
    Some((
        SocketAddr::new(ip(*from), u16::from_be_bytes([f0, f1])),
        SocketAddr::new(ip(*to), u16::from_be_bytes([t0, t1])),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).expect("short");
        let head = [&SIGNATURE[..], &[command, kind], &length.to_be_bytes()];
        [&head.concat()[..], block].concat()
    }

    fn written(version: u8, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        match (version, from.ip(), to.ip()) {
            (1, a, b) => {
                let family = if a.is_ipv4() { "TCP4" } else { "TCP6" };
                let (from, to) = (from.port(), to.port());
                format!("PROXY {family} {a} {b} {from} {to}\r\n").into_bytes()
            }
            (_, IpAddr::V4(a), IpAddr::V4(b)) => {
                binary(0x21, 0x11, &[&a.octets()[..], &b.octets(), &ports].concat())
            }
            (_, IpAddr::V6(a), IpAddr::V6(b)) => {
                binary(0x21, 0x21, &[&a.octets()[..], &b.octets(), &ports].concat())
            }
            _ => panic!("two families"),
        }
    }

    #[test]
    fn a_proxys_own_connection_has_no_addresses() {
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
            &binary(0x20, 0, &[]),
            &binary(0x20, 0x11, &[0; 12]),
        ] {
            let parsed = ProxyHeader {
                length: header.len(),
                addresses: None,
            };
            assert_eq!(ProxyHeader::parse(header), Ok(Some(parsed)), "{header:?}");
        }
    }

    #[test]
    fn what_a_proxy_adds_is_skipped() {
        let from = "192.0.2.1:1000".parse().expect("an address");
        let to = "192.0.2.2:443".parse().expect("an address");
        let mut block = written(2, from, to)[16..].to_vec();
        block.extend_from_slice(&[0x20, 0, 3, 1, 2, 3]);
        let header = binary(0x21, 0x11, &block);
        let parsed = ProxyHeader::parse(&header)
            .expect("a header")
            .expect("whole");
        assert_eq!(parsed.addresses, Some((from, to)));
        assert_eq!(parsed.length, header.len());
    }

    #[test]
    fn what_is_no_header_of_a_tcp_connection_is_refused() {
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x00\x01\x00\x00",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
            &[b' '; 200],
            &[b"PROXY "[..].to_vec(), vec![b'x'; 101]].concat(),
            &binary(0x21, 0x12, &[0; 12]),
            &binary(0x21, 0x31, &[0; 216]),
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
            &binary(0x21, 0x11, &[0; 1_025]),
        ] {
            assert_eq!(ProxyHeader::parse(wrong), Err(NoHeader), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_header_is_read_once_its_end_has_come(
            version in 1..=2_u8,
            ips in prop_oneof![
                any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (IpAddr::V4(a), IpAddr::V4(b))),
                any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| (IpAddr::V6(a), IpAddr::V6(b))),
            ],
            ports: (u16, u16),
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let from = SocketAddr::new(ips.0, ports.0);
            let to = SocketAddr::new(ips.1, ports.1);
            let header = written(version, from, to);
            for end in 0..header.len() {
                prop_assert_eq!(ProxyHeader::parse(&header[..end]), Ok(None));
            }
            let stream = [&header[..], &behind].concat();
            let parsed = ProxyHeader { length: header.len(), addresses: Some((from, to)) };
            prop_assert_eq!(ProxyHeader::parse(&stream), Ok(Some(parsed)));
        }

        #[test]
        fn any_bytes_are_refused_or_understood_within_their_length(
            start in prop_oneof![Just(&SIGNATURE[..]), Just(WORD), Just(&b""[..])],
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let stream = [start, &rest].concat();
            if let Ok(Some(header)) = ProxyHeader::parse(&stream) {
                prop_assert!(header.length <= stream.len());
            }
        }
    }
}
