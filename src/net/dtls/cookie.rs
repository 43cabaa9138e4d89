//! Cookies that a client must show before anything is remembered of it (RFC 6347 section 4.2.1).

use std::io;
use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::hello::{COOKIE, ClientHello};
use crate::time::Instant;

/// For how long, in seconds, cookies are made with one key. They are good for that long at least,
/// and twice that at most.
const PERIOD: u64 = 30;

/// Makes and knows cookies. Copies know each other's, and all remember nothing.
#[derive(Clone)]
pub struct Cookies {
    /// What the key of each period is made from.
    secret: [u8; 32],
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

impl Cookies {
    /// Cookies with a secret of their own.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new() -> io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret })
    }

    /// The cookie for whoever sends this hello from `client` to `server`, at `now`.
    #[must_use]
    pub fn cookie(
        &self,
        hello: &ClientHello<'_>,
        client: SocketAddr,
        server: SocketAddr,
        now: Instant,
    ) -> [u8; COOKIE] {
        self.of_period(period(now), hello, client, server)
    }

    /// Whether the hello shows a cookie that its sender was given not long ago.
    #[must_use]
    pub fn knows(
        &self,
        hello: &ClientHello<'_>,
        client: SocketAddr,
        server: SocketAddr,
        now: Instant,
    ) -> bool {
        let now = period(now);
        // Whoever has been given one has sent a message before this one.
        hello.message_number() > 0
            && [Some(now), now.checked_sub(1)]
                .into_iter()
                .flatten()
                .any(|period| {
                    let cookie = self.of_period(period, hello, client, server);
                    cookie[..].ct_eq(hello.cookie()).into()
                })
    }

    fn of_period(
        &self,
        period: u64,
        hello: &ClientHello<'_>,
        client: SocketAddr,
        server: SocketAddr,
    ) -> [u8; COOKIE] {
        let key = keyed(&self.secret, [&period.to_be_bytes()[..]]);
        let [before, after] = hello.constant();
        let [client_ip, server_ip] = [client, server].map(|address| bits(address.ip()));
        let [client_port, server_port] = [client, server].map(|at| at.port().to_be_bytes());
        // All but the last two have one length, and of those the first tells its own.
        keyed(
            &key,
            [
                &client_ip[..],
                &client_port,
                &server_ip,
                &server_port,
                before,
                after,
            ],
        )
    }
}

fn period(now: Instant) -> u64 {
    now.since_start().as_secs() / PERIOD
}

/// An address, of either family, in one length.
fn bits(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn keyed<'a>(key: &[u8; 32], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 5349);

    /// A hello with this cookie, as the client's message of this number.
    fn hello(random: u8, cookie: &[u8], number: u8) -> Vec<u8> {
        let mut body = vec![254, 253];
        body.extend([random; 32]);
        body.extend([0, cookie.len() as u8]);
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let length = body.len() as u8;
        let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, number, 0, length + 12];
        datagram.extend([1, 0, 0, length, 0, number, 0, 0, 0, 0, 0, length]);
        datagram.extend(body);
        datagram
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    /// Whether a cookie given out at 100 seconds is known when it comes from `client`, at `now`,
    /// with these random bytes.
    fn is_known(client: [u8; 4], port: u16, random: u8, number: u8, now: Instant) -> bool {
        let cookies = Cookies::new().expect("randomness");
        let (asker, server) = (SocketAddr::from(([198, 51, 100, 7], 4_000)), SERVER.into());
        let first = hello(1, b"", 0);
        let first = ClientHello::parse(&first).expect("a hello");
        assert!(!cookies.knows(&first, asker, server, at(100)));
        let cookie = cookies.cookie(&first, asker, server, at(100));
        let second = hello(random, &cookie, number);
        let second = ClientHello::parse(&second).expect("a hello");
        cookies.knows(&second, (client, port).into(), server, now)
    }

    #[test]
    fn a_cookie_is_known_for_half_a_minute_at_least_and_a_minute_at_most() {
        let after = |seconds: u64| is_known([198, 51, 100, 7], 4_000, 1, 1, at(100 + seconds));
        assert!(after(0) && after(30));
        assert!(!after(60));
    }

    #[test]
    fn a_cookie_is_for_one_address_and_port_and_hello() {
        assert!(is_known([198, 51, 100, 7], 4_000, 1, 1, at(100)));
        assert!(!is_known([198, 51, 100, 8], 4_000, 1, 1, at(100)));
        assert!(!is_known([198, 51, 100, 7], 4_001, 1, 1, at(100)));
        assert!(!is_known([198, 51, 100, 7], 4_000, 2, 1, at(100)));
        assert!(!is_known([198, 51, 100, 7], 4_000, 1, 0, at(100)));
    }

    #[test]
    fn copies_know_each_others_cookies_and_others_do_not() {
        let [cookies, others] = [(); 2].map(|()| Cookies::new().expect("randomness"));
        let client = SocketAddr::from(([198, 51, 100, 7], 4_000));
        let first = hello(1, b"", 0);
        let first = ClientHello::parse(&first).expect("a hello");
        let [giver, knower] = [(); 2].map(|()| cookies.clone());
        let cookie = giver.cookie(&first, client, SERVER.into(), at(0));
        let second = hello(1, &cookie, 1);
        let second = ClientHello::parse(&second).expect("a hello");
        assert!(knower.knows(&second, client, SERVER.into(), at(0)));
        assert!(!others.knows(&second, client, SERVER.into(), at(0)));
    }
}
