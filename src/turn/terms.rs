//! What may change while a server runs: who may use it, which peers are refused, how many
//! strangers are answered.

use std::net::{IpAddr, SocketAddr};

use super::allocation::Allocation;
use super::channels::Target;
use super::company::own_address;
use super::five_tuple::FiveTuple;
use super::nonce::Nonces;
use super::peer_connections::PeerConnection;
use super::peer_tally::Origin;
use super::policy::{PeerPolicy, Standing};
use super::record::End;
use super::review::Review;
use super::server::Server;
use super::siblings::Siblings;
use super::special::canonical;
use super::strangers::Strangers;
use super::table::AllocationId;
use crate::auth::{Claim, Credentials, Key};
use crate::time::Now;

/// Allocations that one call of [`Server::handle_review`] looks at.
const REVIEWED_AT_ONCE: usize = 64;

/// New terms for a server.
#[derive(Clone, Debug)]
pub struct Terms<C> {
    /// Who may use it; `None` leaves that as it is.
    pub users: Option<Users<C>>,
    /// Which peers are refused.
    pub policy: PeerPolicy,
    /// Answers a second to one address before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
}

/// Who may use a server.
#[derive(Clone, Debug)]
pub struct Users<C> {
    /// The credentials.
    pub credentials: C,
    /// See [`Config::nonce_keys`](super::Config::nonce_keys); none leaves them as they are.
    pub nonce_keys: Vec<[u8; 32]>,
}

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Requests are judged by `terms` from now on. Call [`Server::handle_review`] until it gives
    /// `false`, so that what was granted before is judged, too.
    pub fn handle_terms(&mut self, terms: Terms<C>) {
        let of_users = terms.users.is_some() || self.review.is_some_and(|it| it.of_users);
        if let Some(users) = terms.users {
            self.credentials = users.credentials;
            if !users.nonce_keys.is_empty() {
                self.nonces = Nonces::new(&users.nonce_keys, self.config.username_anonymity);
            }
        }
        self.config.policy = terms.policy;
        if self.config.unauthenticated_rate != terms.unauthenticated_rate {
            self.config.unauthenticated_rate = terms.unauthenticated_rate;
            self.strangers = Strangers::new(terms.unauthenticated_rate, self.config.seed);
        }
        self.review = Some(Review { next: 0, of_users });
    }

    /// Holds some allocations against the present terms: one whose user is known no more ends, and
    /// peers that are refused now lose their permissions and channels. Credentials that have only
    /// expired are no reason. Gives whether there are more to look at.
    pub fn handle_review(&mut self) -> bool {
        let Some(Review { next, of_users }) = self.review else {
            return false;
        };
        let end = next + REVIEWED_AT_ONCE;
        for index in next..end {
            let Some(id) = self.table.at(index) else {
                continue;
            };
            if of_users && !self.is_known(id) {
                self.end(id, End::Revoked);
            } else {
                self.forget_refused(id);
            }
        }
        let is_more = end < self.table.places();
        self.review = is_more.then_some(Review {
            next: end,
            of_users,
        });
        is_more
    }

    /// The party of `client` is in other rooms now, or others of these are: what its allocation has
    /// been granted because of that ends.
    pub fn handle_rooms_changed(&mut self, client: FiveTuple) {
        if let Some(id) = self.table.of_client(&client) {
            self.forget_refused(id);
        }
    }

    /// Whether the user of an allocation still has the key that it was made with.
    fn is_known(&self, id: AllocationId) -> bool {
        let is_known = |allocation: &Allocation| {
            let claim = Claim::Name(allocation.username.as_bytes());
            let mut has_made_it = |key: &Key| *key == allocation.key;
            // At the beginning of time no credential has expired.
            let beginning = Now::default();
            let Some(algorithm) = allocation.key.algorithm() else {
                // What opens access tokens only changes with a new start.
                return true;
            };
            let user = self
                .credentials
                .verify(claim, algorithm, beginning, &mut has_made_it);
            user.is_some()
        };
        self.table.allocation(id).is_some_and(is_known)
    }

    fn forget_refused(&mut self, id: AllocationId) {
        let policy = self.config.policy.clone();
        let Some(allocation) = self.table.allocation(id) else {
            return;
        };
        let party = allocation.reachable.party();
        let is_known = |peer: IpAddr| party.is_none_or(|it| it.may_reach(canonical(peer)));
        let may_be_peer =
            |peer: IpAddr| policy.standing(peer) != Standing::Refused && is_known(peer);
        let may_be_reached = |peer: SocketAddr, target: Target| {
            let is_permitted =
                || policy.standing(peer.ip()) == Standing::Permitted && !policy.is_listener(peer);
            let is_open = matches!(target, Target::Here(_)) || is_permitted();
            is_open && self.is_in_company(peer, id)
        };
        let own = |ip: IpAddr| own_address(&policy, ip, party?);
        let mut reachable = (*allocation.reachable).clone();
        let is_changed = reachable.permissions.keep(may_be_peer)
            | reachable.channels.keep_reachable(may_be_reached);
        let circle = reachable.circle.as_mut();
        let is_changed = circle.is_some_and(|circle| circle.keep(own)) | is_changed;
        if is_changed {
            let replaced: Result<(), std::convert::Infallible> = self.change(id, |it| {
                *it = reachable;
                Ok(())
            });
            replaced.expect("nothing in it can fail");
        }
        let is_refused = |connection: &PeerConnection| {
            let is_refused = match connection.origin {
                Origin::Client => !self.may_connect(connection.peer),
                Origin::Peer => policy.standing(connection.peer.ip()) == Standing::Refused,
            };
            is_refused || !self.is_in_company(connection.peer, connection.allocation)
        };
        for connection in self.connections_where(id, is_refused) {
            self.end_connection(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Machine, RelayAddress};
    use super::super::world::{REALM, SECRET, World, address};
    use super::*;
    use crate::auth::{RelayCredentials, Secret};

    fn policy(allowed: &[&str]) -> PeerPolicy {
        let relay = |address: &str| {
            let ip = address.parse().expect("an address");
            RelayAddress {
                bound: ip,
                advertised: ip,
            }
        };
        let relays = vec![relay("198.51.100.9"), relay("2001:db8::9")];
        let allowed = allowed.iter().map(|range| range.parse().expect("a range"));
        PeerPolicy::new(relays, Machine::default(), allowed.collect())
    }

    fn impose(world: &mut World, credentials: Option<RelayCredentials>, allowed: &[&str]) {
        let nonce_keys = vec![];
        world.server.handle_terms(Terms {
            users: credentials.map(|credentials| Users {
                credentials,
                nonce_keys,
            }),
            policy: policy(allowed),
            unauthenticated_rate: 0,
        });
        while world.server.handle_review() {}
        world.pass(0);
    }

    #[test]
    fn who_is_no_user_any_more_loses_the_allocation_and_others_keep_theirs() {
        let mut world = World::new();
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        let mut guest = world.time_limited_client("ada", 60);
        guest.relayed = world.allocate(&guest).expect("allocated");
        // The guest's credentials have expired by now, which ends nothing.
        world.pass(300);
        let users = RelayCredentials::new(REALM)
            .with_secret(Secret::new(SECRET))
            .with_user("bob", &Secret::new("bob's"));
        impose(&mut world, Some(users), &[]);
        assert_eq!(world.allocations(), 2);
        assert_eq!(world.refresh(&alice, None), Err(401));
        assert_eq!(world.refresh(&bob, None), Ok(600));
        assert_eq!(world.refresh(&guest, None), Ok(600));
    }

    #[test]
    fn another_password_or_secret_revokes_what_was_made_with_the_old_one() {
        let mut world = World::new();
        world.allocated("alice");
        let guest = world.time_limited_client("ada", 3_600);
        world.allocate(&guest).expect("allocated");
        let users = RelayCredentials::new(REALM)
            .with_secret(Secret::new("south"))
            .with_user("alice", &Secret::new("another"));
        impose(&mut world, Some(users), &[]);
        assert_eq!((world.allocations(), world.bound_sockets()), (0, 0));
    }

    #[test]
    fn any_number_of_allocations_is_looked_at_in_the_end() {
        let mut world = World::new();
        for _ in 0..3 * REVIEWED_AT_ONCE + 5 {
            world.allocated("alice");
        }
        impose(&mut world, Some(RelayCredentials::new(REALM)), &[]);
        assert_eq!((world.allocations(), world.bound_sockets()), (0, 0));
    }

    #[test]
    fn a_peer_that_is_allowed_no_more_is_cut_off_in_both_directions() {
        let mut world = World::new();
        impose(&mut world, None, &["10.0.0.0/8"]);
        let client = world.allocated("alice");
        let (inner, outer) = (address("10.0.0.1:7"), address("8.8.8.8:7"));
        for (number, peer) in [(0x4000, inner), (0x4001, outer)] {
            world.bind_channel(&client, number, peer);
        }
        impose(&mut world, None, &["10.0.0.0/8"]);
        assert!(world.channel(&client, 0x4000, b"still").is_some());
        impose(&mut world, None, &[]);
        assert_eq!(world.channel(&client, 0x4000, b"no"), None);
        assert_eq!(world.send(&client, inner, b"no"), None);
        assert_eq!(world.at_relayed(&client, inner, b"no"), None);
        assert!(world.channel(&client, 0x4001, b"yes").is_some());
        assert!(world.at_relayed(&client, outer, b"yes").is_some());
        assert_eq!(world.create_permission(&client, &[inner]), Err(403));
    }

    #[test]
    fn two_relayed_people_are_not_disturbed() {
        let mut world = World::new();
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        world.bind_channel(&alice, 0x4000, bob.relayed);
        world.permit(&bob, alice.relayed);
        impose(&mut world, None, &[]);
        assert!(world.channel(&alice, 0x4000, b"hello").is_some());
    }
}
