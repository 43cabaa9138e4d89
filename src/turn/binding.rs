//! Binding (RFC 8489 section 3): where does my packet come from?

use super::nat_discovery::{NatDiscovery, Wishes, is_wish};
use super::request::Request;
use super::response::{Body, Response};
use super::server::Server;
use super::siblings::Siblings;
use crate::auth::Credentials;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Needs no credentials, and tells nothing but the client's own address.
    pub(super) fn handle_binding(&mut self, request: &Request<'_>) {
        let Request {
            client, message, ..
        } = request;
        let discovery = self.config.nat_discovery.as_ref();
        let response = match discovery.filter(|discovery| discovery.serves(*client)) {
            Some(discovery) => self.discover(discovery, request),
            None => {
                let body = match self.unknown_attributes(message) {
                    Some(unknown) => Body::Unknown(unknown),
                    None => Body::Binding {
                        mapped: client.client,
                    },
                };
                Response::to(message, *client, body)
            }
        };
        // What goes to another port must not go round in circles either.
        if response.client.client == client.client || !self.is_our_own(response.client) {
            self.answer_stranger(request, response);
        }
    }

    /// The answer where behaviour discovery is served (RFC 5780 section 6.1). Whatever the request
    /// wants, it goes to the address that the request has come from.
    fn discover(&self, discovery: &NatDiscovery, request: &Request<'_>) -> Response {
        let Request {
            client, message, ..
        } = request;
        let kinds = message.attributes().map(|(kind, _)| kind);
        if let Some(unknown) = self.unknown_among(kinds.filter(|kind| !is_wish(*kind))) {
            return Response::to(message, *client, Body::Unknown(unknown));
        }
        match Wishes::of(message) {
            Ok(wishes) => {
                let (way, behaviour) = discovery.answer(*client, wishes);
                Response::to(message, way, Body::Behaviour(Box::new(behaviour)))
            }
            Err(code) => Response::to(message, *client, Body::Error(code)),
        }
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
