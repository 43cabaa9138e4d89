//! The server's side of the long-term credential mechanism (RFC 8489 section 9.2.4).

use super::request::{Request, User};
use super::response::Body;
use super::server::{Server, Siblings};
use crate::auth::{Credentials, Key};
use crate::stun::{Attribute, ErrorCode};

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Finds out who made `request`, or what to answer instead. The steps are in the order of
    /// the RFC; a user that does not exist costs as much as a wrong password.
    pub(super) fn authenticate<'a>(&self, request: &Request<'a>) -> Result<User<'a>, Body> {
        let message = &request.message;
        // Without integrity: ask for it.
        if !message.has_integrity() {
            return Err(self.challenge(ErrorCode::UNAUTHENTICATED, request));
        }
        // With integrity, all that it needs must be there.
        let (Some(name), Some(realm), Some(nonce)) = (
            message.find_text(Attribute::USERNAME),
            message.find(Attribute::REALM),
            message.find(Attribute::NONCE),
        ) else {
            return Err(Body::Error(ErrorCode::BAD_REQUEST));
        };
        // The user must exist and have signed.
        let known = self.key_of(name, request);
        let key = known.unwrap_or(self.nobody);
        let signed = message.verify_integrity(key.as_bytes());
        if known.is_none() || !signed || realm != self.config.realm.as_bytes() {
            return Err(self.challenge(ErrorCode::UNAUTHENTICATED, request));
        }
        // And not with a nonce that is old or another's.
        if !self
            .nonces
            .is_fresh(nonce, request.client.client, request.now)
        {
            return Err(self.challenge(ErrorCode::STALE_NONCE, request));
        }
        Ok(User { name, key })
    }

    /// The key of `name`. The owner of the client's allocation keeps the key it was made with,
    /// also after the credentials have expired.
    fn key_of(&self, name: &str, request: &Request<'_>) -> Option<Key> {
        let allocation = self.table.of_client(request.client);
        let allocation = allocation.and_then(|id| self.table.allocation(id));
        match allocation {
            Some(allocation) if *allocation.username == *name => Some(allocation.key),
            _ => self.credentials.key(name, request.now),
        }
    }

    fn challenge(&self, code: ErrorCode, request: &Request<'_>) -> Body {
        Body::Challenge {
            code,
            nonce: self.nonces.make(request.client.client, request.now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use crate::stun::{Attribute, Class, Message, Method};

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
