//! The server's side of the long-term credential mechanism (RFC 8489 section 9.2.4).

use super::request::{Request, Signer};
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use crate::auth::{Claim, Credentials, Key, Verified};
use crate::stun::{
    Attribute, ErrorCode, Integrity, Message, Method, PasswordAlgorithm, decode_password_algorithm,
};

/// Who made a request, and what its answers are signed with.
#[derive(Debug)]
pub(super) struct Authenticated {
    pub(super) user: Verified,
    pub(super) signer: Signer,
}

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Finds out who made `request`, or what to answer instead. The steps are in the order of
    /// the RFC; a user that does not exist costs as much as a wrong password.
    pub(super) fn authenticate(&self, request: &Request<'_>) -> Result<Authenticated, Body> {
        let message = &request.message;
        // Without integrity: ask for it.
        if message.integrity().is_none() {
            return Err(self.challenge(ErrorCode::UNAUTHENTICATED, request));
        }
        // With integrity, all that it needs must be there.
        let (Some(claim), Some(realm), Some(nonce)) = (
            self.claimed_by(message),
            message.find(Attribute::REALM),
            message.find(Attribute::NONCE),
        ) else {
            return Err(Body::Error(ErrorCode::BAD_REQUEST));
        };
        // The algorithm must be one of those that were offered, and nobody must have changed the
        // offer on its way.
        let choice = chosen_algorithm(message).ok_or(Body::Error(ErrorCode::BAD_REQUEST))?;
        // The user must exist and have signed.
        let user = self.signed_by(request, claim, choice.algorithm);
        let user = user.filter(|_| realm == self.config.realm.as_bytes());
        let user = user.ok_or_else(|| self.challenge(ErrorCode::UNAUTHENTICATED, request))?;
        // And not with a nonce that is old or another's.
        if !self
            .nonces
            .is_fresh(nonce, request.client.client, request.now)
        {
            return Err(self.challenge(ErrorCode::STALE_NONCE, request));
        }
        let signer = Signer {
            key: user.key,
            integrity: choice.answered_with,
        };
        Ok(Authenticated { user, signer })
    }

    /// The user behind `claim`, if the request is signed with that user's key. The owner of the
    /// client's allocation, or of that which a connection is bound for, keeps the key it was made with, also after the credentials have
    /// expired.
    fn signed_by(
        &self,
        request: &Request<'_>,
        claim: Claim<'_>,
        algorithm: PasswordAlgorithm,
    ) -> Option<Verified> {
        let mut signed = |key: &Key| request.message.verify_integrity(key.as_bytes());
        let allocation = self.table.of_client(&request.client);
        let allocation = allocation.or_else(|| self.allocation_to_bind(&request.message));
        let allocation = allocation.and_then(|id| self.table.allocation(id));
        if let Some(owner) = allocation
            && (owner.key.is_of_token() || !self.config.strict_expiry)
            && claim == Claim::Name(owner.username.as_bytes())
            && owner.key.is_made_by(algorithm)
            && !needs_token(&owner.key, request.message.method())
            && signed(&owner.key)
        {
            return Some(Verified {
                name: (*owner.username).into(),
                key: owner.key,
                expires: None,
            });
        }
        self.credentials
            .verify(claim, algorithm, request.now, &mut signed)
    }

    /// Who the request says it is from: USERNAME with ACCESS-TOKEN, where tokens are taken, or
    /// alone, or USERHASH in its place.
    fn claimed_by<'a>(&self, message: &Message<'a>) -> Option<Claim<'a>> {
        let Some(name) = message.find(Attribute::USERNAME) else {
            return message.find(Attribute::USERHASH).map(Claim::Hash);
        };
        let token = message.find(Attribute::ACCESS_TOKEN);
        let token = token.filter(|_| self.credentials.token_server_name().is_some());
        Some(match token {
            Some(token) => Claim::Token { kid: name, token },
            None => Claim::Name(name),
        })
    }

    fn challenge(&self, code: ErrorCode, request: &Request<'_>) -> Body {
        Body::Challenge {
            code,
            nonce: self.nonces.make(request.client.client, request.now),
        }
    }
}

/// Whether what was made with `key` may only be made, or kept, by showing the token again
/// (RFC 7635 section 9).
fn needs_token(key: &Key, method: Method) -> bool {
    key.is_of_token() && matches!(method, Method::ALLOCATE | Method::REFRESH)
}

/// How a request was signed.
struct Choice {
    algorithm: PasswordAlgorithm,
    /// What the answers carry.
    answered_with: &'static [Integrity],
}

/// The algorithm that the client has chosen, MD5 if it has not. `None` if it names one without
/// the whole list that it got, or one that is not on the list.
fn chosen_algorithm(message: &Message<'_>) -> Option<Choice> {
    let list = message.find(Attribute::PASSWORD_ALGORITHMS);
    let chosen = message.find(Attribute::PASSWORD_ALGORITHM);
    if list.is_none() && chosen.is_none() {
        return Some(Choice {
            algorithm: PasswordAlgorithm::Md5,
            // The client knows nothing newer.
            answered_with: &[Integrity::Sha1],
        });
    }
    let algorithm = decode_password_algorithm(chosen?)?;
    let answered_with = match (algorithm, message.integrity()) {
        // Who has chosen MD5 and signs by SHA-1 may look for the same in the answer.
        (PasswordAlgorithm::Md5, Some(Integrity::Sha1)) => {
            &[Integrity::Sha1, Integrity::Sha256][..]
        }
        _ => &[Integrity::Sha256],
    };
    (list? == PasswordAlgorithm::ALL).then_some(Choice {
        algorithm,
        answered_with,
    })
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
    use crate::stun::{Attribute, Class, Integrity, Message, Method, PasswordAlgorithm};

    #[test]
    fn a_request_without_integrity_is_asked_for_it() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world
            .unsigned(&client, Method::ALLOCATE)
            .expect("a challenge");
        let message = Message::parse(&answer).expect("well formed");
        assert_eq!(message.class(), Class::Error);
        assert_eq!(message.find(Attribute::ERROR_CODE), Some(&[0, 0, 4, 1][..]));
        assert_eq!(message.find_text(Attribute::REALM), Some("example.org"));
        assert!(message.find(Attribute::NONCE).is_some());
        assert_eq!(message.find(Attribute::SOFTWARE), None);
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
        let mut world = World::new();
        let mut wrong = world.client("alice");
        wrong.password = "wrong".to_owned();
        let mut unknown = world.client("mallory");
        // Two clients at one place, so that even the nonces are the same.
        unknown.five_tuple = wrong.five_tuple;
        let answers = [wrong, unknown].map(|client| {
            world.transaction(7);
            world.request(&client, Method::ALLOCATE, |_| {})
        });
        assert_eq!(
            World::code(answers[0].as_deref().expect("an answer")),
            Err(401)
        );
        assert_eq!(answers[0], answers[1]);
    }

    #[test]
    fn a_challenge_offers_the_algorithms_and_is_small() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world
            .unsigned(&client, Method::ALLOCATE)
            .expect("a challenge");
        let message = Message::parse(&answer).expect("well formed");
        assert_eq!(
            message.find(Attribute::PASSWORD_ALGORITHMS),
            Some(&[0, 2, 0, 0, 0, 1, 0, 0][..])
        );
        for absent in [Attribute::USERNAME, Attribute::USERHASH] {
            assert_eq!(message.find(absent), None);
        }
        assert_eq!(message.integrity(), None);
        // Header, code, realm, nonce, algorithms.
        assert_eq!(answer.len(), 20 + 8 + 16 + 32 + 12);
    }

    #[test]
    fn every_algorithm_integrity_and_form_of_the_name_authenticates() {
        for algorithm in [
            None,
            Some(PasswordAlgorithm::Md5),
            Some(PasswordAlgorithm::Sha256),
        ] {
            for integrity in [Integrity::Sha1, Integrity::Sha256] {
                for is_anonymous in [false, true] {
                    let mut world = World::new();
                    let mut client = world.client("alice");
                    (client.algorithm, client.integrity) = (algorithm, integrity);
                    client.is_anonymous = is_anonymous;
                    let answer = allocate(&mut world, &client);
                    assert_eq!(World::code(&answer), Ok(()));
                    let message = Message::parse(&answer).expect("well formed");
                    let expected = match algorithm {
                        None => Integrity::Sha1,
                        Some(_) => Integrity::Sha256,
                    };
                    assert_eq!(message.integrity(), Some(expected));
                    assert!(message.verify_integrity(client.key().as_bytes()));
                    let has_both = answer.len() == 20 + 12 + 8 + 12 + 12 + 24 + 36;
                    let is_old =
                        (algorithm, integrity) == (Some(PasswordAlgorithm::Md5), Integrity::Sha1);
                    assert_eq!(has_both, is_old);
                    // The name behind the hash is the allocation's owner.
                    client.is_anonymous = false;
                    assert_eq!(world.refresh(&client, None), Ok(600));
                }
            }
        }
    }

    fn allocate(world: &mut World, client: &Client) -> Vec<u8> {
        let answer = world.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        answer.expect("an answer")
    }

    #[test]
    fn an_algorithm_needs_the_whole_list_beside_it() {
        let list = Attribute::PASSWORD_ALGORITHMS;
        let chosen = Attribute::PASSWORD_ALGORITHM;
        let whole = &PasswordAlgorithm::ALL[..];
        let md5_only = &[0, 1, 0, 0][..];
        for (attributes, code) in [
            (vec![(list, whole), (chosen, &[0, 2, 0, 0][..])], Err(401)),
            (vec![(list, whole)], Err(400)),
            (vec![(chosen, md5_only)], Err(400)),
            // Somebody on the way has struck out the better one.
            (vec![(list, md5_only), (chosen, md5_only)], Err(400)),
            (vec![(list, whole), (chosen, &[0, 3, 0, 0])], Err(400)),
            (vec![(list, whole), (chosen, &[0, 1])], Err(400)),
            (vec![], Ok(())),
        ] {
            let mut world = World::new();
            // It signs with the MD5 key.
            let client = world.client("alice");
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                for (kind, value) in &attributes {
                    writer.attribute(*kind, value);
                }
            });
            let answer = answer.expect("an answer");
            assert_eq!(World::code(&answer), code, "{attributes:?}");
            if code == Err(400) {
                let message = Message::parse(&answer).expect("well formed");
                let kinds: Vec<_> = message.attributes().map(|(kind, _)| kind).collect();
                assert_eq!(kinds, [Attribute::ERROR_CODE]);
                assert_eq!(message.integrity(), None);
            }
        }
    }

    #[test]
    fn the_answer_to_an_unknown_hash_is_that_to_a_wrong_password() {
        let mut world = World::new();
        let mut wrong = world.client("alice");
        wrong.password = "wrong".to_owned();
        let mut unknown = wrong.clone();
        unknown.username = "mallory".to_owned();
        let mut answers = Vec::new();
        for client in [&mut wrong, &mut unknown] {
            client.is_anonymous = true;
            client.algorithm = Some(PasswordAlgorithm::Sha256);
            world.transaction(5);
            answers.push(allocate(&mut world, client));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(World::code(&answers[0]), Err(401));
    }

    #[test]
    fn every_refusal_brings_what_another_try_needs() {
        let mut world = World::new();
        let mut client = world.client("alice");
        let mut stale = client.clone();
        stale.nonce = Some(b"obMatJos2gAAAbcdefghijklmno".to_vec());
        client.password = "wrong".to_owned();
        for (client, code) in [(client, 401), (stale, 438)] {
            let answer = allocate(&mut world, &client);
            assert_eq!(World::code(&answer), Err(code));
            let message = Message::parse(&answer).expect("well formed");
            assert_eq!(message.integrity(), None);
            let kinds: Vec<_> = message.attributes().map(|(kind, _)| kind).collect();
            let expected = [
                Attribute::ERROR_CODE,
                Attribute::REALM,
                Attribute::NONCE,
                Attribute::PASSWORD_ALGORITHMS,
            ];
            assert_eq!(kinds, expected);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_an_unknown_user() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world.request(&client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::USERNAME, b"\xff\xfe");
        });
        assert_eq!(World::code(&answer.expect("an answer")), Err(401));
    }

    #[test]
    fn answers_to_who_is_known_say_neither_name_nor_nonce() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = allocate(&mut world, &client);
        let message = Message::parse(&answer).expect("well formed");
        for absent in [
            Attribute::USERNAME,
            Attribute::USERHASH,
            Attribute::REALM,
            Attribute::NONCE,
        ] {
            assert_eq!(message.find(absent), None);
        }
    }

    #[test]
    fn a_signed_request_without_nonce_is_malformed() {
        let mut world = World::new();
        let mut client = world.client("alice");
        client.nonce = None;
        assert_eq!(world.allocate(&client), Err(400));
    }

    #[test]
    fn an_old_nonce_is_stale_and_a_new_one_works() {
        let mut world = World::new();
        let mut client = world.client("alice");
        world.pass(601);
        assert_eq!(world.allocate(&client), Err(438));
        client.nonce = world.nonce(&client);
        assert!(world.allocate(&client).is_ok());
    }

    #[test]
    fn a_nonce_of_another_client_is_stale() {
        let mut world = World::new();
        let mut alice = world.client("alice");
        let bob = world.client("bob");
        alice.nonce = bob.nonce;
        assert_eq!(world.allocate(&alice), Err(438));
    }

    #[test]
    fn where_that_is_wanted_an_allocation_ends_with_its_credentials() {
        let mut world = World::with(|config| config.strict_expiry = true);
        let mut client = world.time_limited_client("ada", 300);
        assert!(world.allocate(&client).is_ok());
        // The minute beyond is for clocks that differ.
        assert_eq!(world.refresh(&client, Some(3_600)), Ok(360));
        world.pass(200);
        client.nonce = world.nonce(&client);
        assert_eq!(world.refresh(&client, None), Ok(160));
        world.pass(159);
        assert_eq!(world.allocations(), 1);
        world.pass(1);
        assert_eq!(world.allocations(), 0);
        world.pass(1);
        assert_eq!(world.allocate(&client), Err(401));
        // Who is on the list goes on.
        let listed = world.client("alice");
        assert!(world.allocate(&listed).is_ok());
        assert_eq!(world.refresh(&listed, Some(3_600)), Ok(3_600));
    }

    #[test]
    fn an_allocation_outlives_the_credentials_that_made_it() {
        let mut world = World::new();
        let mut client = world.time_limited_client("ada", 300);
        assert!(world.allocate(&client).is_ok());
        world.pass(500);
        client.nonce = world.nonce(&client);
        assert_eq!(world.refresh(&client, None), Ok(600));
        world.permit(&client, address("8.8.8.8:1"));
        let mut late = world.client("late");
        late.username = client.username;
        late.password = client.password;
        assert_eq!(world.allocate(&late), Err(401));
    }
}
