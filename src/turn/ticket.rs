//! Mobility tickets (RFC 8016): what a client shows to move its allocation to another address.
//!
//! A ticket is 32 characters, since some clients have no room for more. It is a synthetic-IV
//! encryption: a MAC of what it says is its proof and the seed of the key stream that hides it, so
//! that no nonce has to be carried, and none can be used twice.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::stun::Family;

/// What it says: family and port of the relayed address, and what makes it differ from others.
const SAID: usize = 8;
/// The MAC, as much of it as is carried.
const PROOF: usize = 16;

/// A ticket as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(pub(super) [u8; Self::LENGTH]);

impl Ticket {
    const LENGTH: usize = 32;
}

/// What a ticket stands for: a relayed address on whichever address of ours has its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) family: Family,
    pub(super) port: u16,
}

/// Makes and reads tickets. Servers with the same key read each other's.
pub(super) struct Tickets {
    proofs: Hmac<Sha256>,
    streams: Hmac<Sha256>,
    seed: u64,
    made: u64,
}

impl Tickets {
    /// `seed` differs from those of other servers with the same key.
    pub(super) fn new(key: &[u8; 32], seed: u64) -> Self {
        let keyed = |purpose: &[u8]| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
            mac.update(purpose);
            mac
        };
        Self {
            proofs: keyed(b"ticket proof"),
            streams: keyed(b"ticket stream"),
            seed,
            made: 0,
        }
    }

    /// A new ticket for the relayed address `relayed`, unlike any before.
    pub(super) fn make(&mut self, relayed: SocketAddr) -> Ticket {
        self.made += 1;
        let salt = derived(
            &self.streams,
            &[self.seed, self.made].map(u64::to_be_bytes).concat(),
        );
        let [port_high, port_low] = relayed.port().to_be_bytes();
        let family = Family::of(relayed.ip()).number();
        let mut said = [family, port_high, port_low, 0, 0, 0, 0, 0];
        said[3..].copy_from_slice(&salt[..SAID - 3]);
        let mut sealed = [0; SAID + PROOF];
        let proof = derived(&self.proofs, &said);
        sealed[SAID..].copy_from_slice(&proof[..PROOF]);
        self.mask(&mut said, &proof[..PROOF]);
        sealed[..SAID].copy_from_slice(&said);
        let mut ticket = Ticket([0; Ticket::LENGTH]);
        let written = URL_SAFE_NO_PAD.encode_slice(sealed, &mut ticket.0);
        debug_assert_eq!(written, Ok(Ticket::LENGTH));
        ticket
    }

    /// What `value` stands for, and the ticket itself, if a server with this key has made it.
    pub(super) fn read(&self, value: &[u8]) -> Option<(Ticket, Named)> {
        let ticket = Ticket(value.try_into().ok()?);
        let mut sealed = [0; SAID + PROOF];
        let read = URL_SAFE_NO_PAD.decode_slice(value, &mut sealed).ok()?;
        let (said, proof) = sealed.split_first_chunk_mut::<SAID>()?;
        self.mask(said, proof);
        let expected = derived(&self.proofs, said);
        let is_ours = read == SAID + PROOF && bool::from(expected[..PROOF].ct_eq(proof));
        let family = Family::from_number(said[0]).filter(|_| is_ours)?;
        let port = u16::from_be_bytes([said[1], said[2]]);
        Some((ticket, Named { family, port }))
    }

    /// Hides what a ticket says, or shows it again.
    fn mask(&self, said: &mut [u8; SAID], proof: &[u8]) {
        let stream = derived(&self.streams, proof);
        for (byte, mask) in said.iter_mut().zip(stream) {
            *byte ^= mask;
        }
    }
}

impl Named {
    /// The relayed address, on that of `addresses` which has its family.
    pub(super) fn on(self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }
}

fn derived(mac: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    let mut mac = mac.clone();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relayed(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_ticket_is_read_by_every_server_with_the_key_and_by_no_other() {
        let mut maker = Tickets::new(&[1; 32], 7);
        for (text, family) in [
            ("192.0.2.1:50000", Family::V4),
            ("[2001:db8::1]:7", Family::V6),
        ] {
            let ticket = maker.make(relayed(text));
            let port = relayed(text).port();
            let said = Some((ticket, Named { family, port }));
            assert_eq!(Tickets::new(&[1; 32], 8).read(&ticket.0), said);
            assert_eq!(Tickets::new(&[2; 32], 7).read(&ticket.0), None);
        }
    }

    #[test]
    fn no_two_tickets_are_alike_nor_show_what_they_say() {
        let (mut one, mut other) = (Tickets::new(&[1; 32], 7), Tickets::new(&[1; 32], 8));
        let address = relayed("192.0.2.1:50000");
        let all = [one.make(address), one.make(address), other.make(address)];
        for (number, ticket) in all.iter().enumerate() {
            assert!(
                all[..number]
                    .iter()
                    .all(|before| before.0[..4] != ticket.0[..4])
            );
            assert!(ticket.0.is_ascii());
        }
    }

    proptest! {
        #[test]
        fn a_changed_ticket_is_none(at in 0..32_usize, change in 1..=255_u8) {
            let mut tickets = Tickets::new(&[1; 32], 7);
            let mut ticket = tickets.make(relayed("192.0.2.1:50000"));
            ticket.0[at] ^= change;
            prop_assert_eq!(tickets.read(&ticket.0), None);
        }

        #[test]
        fn no_bytes_are_a_ticket(bytes: Vec<u8>) {
            prop_assert_eq!(Tickets::new(&[1; 32], 7).read(&bytes), None);
        }
    }
}
