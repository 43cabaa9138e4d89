//! Binding (RFC 8489 section 3): where does my packet come from?

use super::request::Request;
use super::response::{Body, Response};
use super::server::{Server, Siblings};
use crate::auth::Credentials;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Needs no credentials, and tells nothing but the client's own address.
    pub(super) fn handle_binding(&mut self, request: &Request<'_>) {
        let body = match self.unknown_attributes(&request.message) {
            Some(unknown) => Body::Unknown(unknown),
            None => Body::Binding {
                mapped: request.client.client,
            },
        };
        self.answer_stranger(
            request,
            Response::to(&request.message, request.client, body),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use crate::stun::{Attribute, Class, Message, Method};

    #[test]
    fn the_answer_is_the_clients_address_and_no_more() {
        let mut world = World::new();
        let client = world.client("alice");
        let answer = world.unsigned(&client, Method::BINDING).expect("an answer");
        let message = Message::parse(&answer).expect("well formed");
        assert_eq!(
            (message.class(), message.method()),
            (Class::Success, Method::BINDING)
        );
        let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(mapped, Some(Ok(client.five_tuple.client)));
        assert_eq!(answer.len(), 32);
    }
}
