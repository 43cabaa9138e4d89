//! Tickets: what a client proves with that it is a session, also to the server that comes after
//! this one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SessionId;
use crate::auth::Secret;

/// What a ticket says. Nothing in it is secret; that nobody else can have made it is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whose it is.
    pub(super) session: SessionId,
    /// Counts up over all tickets of a session, also across restarts: a larger one is newer.
    pub(super) number: u64,
    /// Until when another server takes it, in seconds since 1970.
    pub(super) expires: u64,
    /// Whether its server has sent the session away with it: then another one takes it whenever it
    /// began itself.
    pub(super) is_handed_over: bool,
}

/// Writes and reads tickets. They are not stored, so that an idle session costs no bytes for them:
/// a ticket is its fields in base64 with their HMAC-SHA256, cut to half, behind them.
pub(super) struct Tickets {
    /// The first one writes; all read.
    keys: Vec<Hmac<Sha256>>,
}

/// The form of a ticket: version, session, number, expiry.
const FIELDS: usize = 1 + 16 + 8 + 8;
const VERSION: u8 = 1;
const HANDED_OVER: u8 = 2;
const MAC: usize = 16;

impl Tickets {
    /// Tickets under these keys; where there are none, under `otherwise`.
    pub(super) fn new(keys: &[Secret], otherwise: &[u8]) -> Self {
        let keyed = |key: &[u8]| Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        let mut keys: Vec<_> = keys
            .iter()
            .map(|key| keyed(key.expose().as_bytes()))
            .collect();
        if keys.is_empty() {
            keys.push(keyed(otherwise));
        }
        Self { keys }
    }

    /// A ticket as clients get it. In open mode it is of use to whoever has it, otherwise only to
    /// who has come in by an access token of the same `bearer`.
    pub(super) fn write(&self, ticket: &Ticket, bearer: Option<&str>) -> Secret {
        let mut bytes = [0; FIELDS + MAC];
        let (fields, mac) = bytes.split_at_mut(FIELDS);
        fields[0] = if ticket.is_handed_over {
            HANDED_OVER
        } else {
            VERSION
        };
        fields[1..17].copy_from_slice(ticket.session.as_bytes());
        fields[17..25].copy_from_slice(&ticket.number.to_be_bytes());
        fields[25..].copy_from_slice(&ticket.expires.to_be_bytes());
        let whole = authenticated(&self.keys[0], fields, bearer)
            .finalize()
            .into_bytes();
        mac.copy_from_slice(&whole[..MAC]);
        Secret::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a ticket says, if it was made under one of the keys and for this bearer.
    pub(super) fn read(&self, token: &Secret, bearer: Option<&str>) -> Option<Ticket> {
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).ok()?;
        let bytes: [u8; FIELDS + MAC] = bytes.try_into().ok()?;
        let (fields, mac) = bytes.split_at(FIELDS);
        // Comparing takes the same time wherever the first difference is.
        let is_ours = |key| {
            authenticated(key, fields, bearer)
                .verify_truncated_left(mac)
                .is_ok()
        };
        if !matches!(fields[0], VERSION | HANDED_OVER) || !self.keys.iter().any(is_ours) {
            return None;
        }
        Some(Ticket {
            session: SessionId::from_bytes(fields[1..17].try_into().ok()?),
            number: u64::from_be_bytes(fields[17..25].try_into().ok()?),
            expires: u64::from_be_bytes(fields[25..].try_into().ok()?),
            is_handed_over: fields[0] == HANDED_OVER,
        })
    }
}

/// The same key may serve something else one day; then the two must not be taken for each other.
fn authenticated(key: &Hmac<Sha256>, fields: &[u8], bearer: Option<&str>) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(b"peerage ticket");
    mac.update(fields);
    if let Some(bearer) = bearer {
        // The fields before are always as long, so that nothing else reads the same.
        mac.update(b"for ");
        mac.update(bearer.as_bytes());
    }
    mac
}

/// Which tickets of a session are good.
#[derive(Debug, Default)]
pub(super) struct Issued {
    /// The number of the newest; 0 before the first.
    newest: u64,
    /// The number of the ticket by which another server's session was brought here; 0 if none was.
    former: u64,
    /// Until when another server takes the newest, in seconds since 1970.
    expires: u64,
    /// Whether the client has been heard since it was given the newest, and so has it.
    is_confirmed: bool,
    /// Whether it has been heard at all since the former one: that one is void for good.
    has_been_heard: bool,
}

impl Issued {
    /// Those of a session that has come by `former`, of which nobody was heard yet.
    pub(super) fn after(former: &Ticket) -> Self {
        Self {
            former: former.number,
            ..Self::default()
        }
    }

    /// The client has been heard: it has its newest ticket, and the one before is void.
    pub(super) fn confirm(&mut self) {
        self.is_confirmed = true;
        self.has_been_heard = true;
    }

    /// Whether a ticket of this server is good: the newest, and the one before until the client
    /// is heard, since a welcome may have been lost with its connection.
    pub(super) fn is_good(&self, number: u64) -> bool {
        number == self.newest || (!self.is_confirmed && number.checked_add(1) == Some(self.newest))
    }

    /// Whether a ticket of a server before this one calls for the session to be begun anew: the
    /// same again whose welcome may have been lost, or a newer one.
    pub(super) fn is_outdone_by(&self, number: u64) -> bool {
        number > self.former || (!self.has_been_heard && number == self.former)
    }

    /// The number of the next ticket of a server whose numbers begin after `start`. One that may
    /// not have arrived is given again rather than a third made good.
    pub(super) fn next(&mut self, start: u64, expires: u64) -> u64 {
        if self.is_confirmed || self.newest == 0 {
            self.newest = self.newest.max(start) + 1;
            self.is_confirmed = false;
        }
        self.expires = expires;
        self.newest
    }

    /// The number of the newest ticket.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The number of the newest ticket with a later expiry, if its own comes within `least`
    /// seconds of `now`.
    pub(super) fn renew(&mut self, now: u64, least: u64, expires: u64) -> Option<u64> {
        if self.expires > now.saturating_add(least) {
            return None;
        }
        self.expires = expires;
        Some(self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            session: SessionId::from_random([1; 16]),
            number: 5,
            expires: 1_000,
            is_handed_over: false,
        }
    }

    fn tickets(keys: &[&str]) -> Tickets {
        let keys: Vec<_> = keys.iter().copied().map(Secret::new).collect();
        Tickets::new(&keys, &[9; 32])
    }

    #[test]
    fn a_ticket_of_one_bearer_is_of_no_use_to_another() {
        let tickets = tickets(&["north"]);
        let written = tickets.write(&ticket(), Some("ada"));
        assert_eq!(tickets.read(&written, Some("ada")), Some(ticket()));
        for bearer in [None, Some(""), Some("adam"), Some("grace")] {
            assert_eq!(tickets.read(&written, bearer), None, "{bearer:?}");
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        for keys in [&[][..], &["north"], &["north", "south"]] {
            let tickets = tickets(keys);
            for is_handed_over in [false, true] {
                let ticket = Ticket {
                    is_handed_over,
                    ..ticket()
                };
                let written = tickets.write(&ticket, None);
                assert_eq!(tickets.read(&written, None), Some(ticket));
            }
        }
    }

    #[test]
    fn whoever_knows_the_key_reads_it_and_a_key_that_goes_is_still_known() {
        let written = tickets(&["north"]).write(&ticket(), None);
        assert_eq!(
            tickets(&["south", "north"]).read(&written, None),
            Some(ticket())
        );
        assert_eq!(tickets(&["south"]).read(&written, None), None);
        assert_eq!(tickets(&[]).read(&written, None), None);
    }

    #[test]
    fn no_changed_bit_and_no_part_of_a_ticket_is_taken() {
        let tickets = tickets(&["north"]);
        let written = tickets.write(&ticket(), None);
        let bytes = URL_SAFE_NO_PAD.decode(written.expose()).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = Secret::new(URL_SAFE_NO_PAD.encode(changed));
            assert_eq!(tickets.read(&changed, None), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            let part = Secret::new(URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert_eq!(tickets.read(&part, None), None, "{length} bytes");
        }
        assert_eq!(tickets.read(&Secret::new("not base64!"), None), None);
    }

    #[test]
    fn the_ticket_before_is_good_until_the_client_is_heard() {
        let mut issued = Issued::default();
        let first = issued.next(70, 0);
        issued.confirm();
        let second = issued.next(70, 0);
        assert_eq!((first, second), (71, 72));
        assert_eq!(issued.next(70, 0), 72, "the same again");
        assert!(issued.is_good(71) && issued.is_good(72));
        assert!(!issued.is_good(70) && !issued.is_good(73));
        issued.confirm();
        assert!(!issued.is_good(71) && issued.is_good(72));
    }

    #[test]
    fn of_two_tickets_of_a_former_server_the_newer_one_wins() {
        let mut issued = Issued::after(&ticket());
        issued.next(70, 0);
        assert!(issued.is_outdone_by(6) && issued.is_outdone_by(5));
        issued.confirm();
        assert!(issued.is_outdone_by(6));
        assert!(!issued.is_outdone_by(5) && !issued.is_outdone_by(4));
    }

    #[test]
    fn a_ticket_is_renewed_when_its_time_is_short() {
        let mut issued = Issued::default();
        issued.next(0, 100);
        assert_eq!(issued.renew(40, 50, 140), None);
        assert_eq!(issued.renew(50, 50, 150), Some(1));
        assert_eq!(issued.renew(50, 50, 150), None);
    }
}
