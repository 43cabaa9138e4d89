//! What an Allocate request asks for (RFC 8656 section 7.2).

use super::action::WantedPort;
use super::request::Request;
use super::reservation::ReservationToken;
use crate::stun::{Attribute, ErrorCode, Family};

/// The R bit of EVEN-PORT: also keep the next higher port for later.
const RESERVE_NEXT: u8 = 0x80;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// A relayed address of one family.
    One(Family, WantedPort),
    /// One of each family.
    Both(WantedPort),
    /// The address that the token stands for.
    Reserved(ReservationToken),
}

/// What a request asks for, if it may: the checks that need no state.
pub(super) fn wanted(request: &Request<'_>) -> Result<Wanted, ErrorCode> {
    let message = &request.message;
    let port = match message.find(Attribute::EVEN_PORT) {
        None => WantedPort::Any,
        Some(&[flags]) if flags & RESERVE_NEXT == 0 => WantedPort::Even,
        Some(&[_]) => WantedPort::EvenAndNext,
        Some(_) => return Err(ErrorCode::BAD_REQUEST),
    };
    let family = message.find(Attribute::REQUESTED_ADDRESS_FAMILY);
    let additional = message.find(Attribute::ADDITIONAL_ADDRESS_FAMILY);
    // A token stands for an address, so nothing else may be said about it.
    if let Some(token) = message.find(Attribute::RESERVATION_TOKEN) {
        let alone = port == WantedPort::Any && family.is_none() && additional.is_none();
        let token = token.try_into().ok().filter(|_| alone);
        let token = token.ok_or(ErrorCode::BAD_REQUEST)?;
        return Ok(Wanted::Reserved(ReservationToken(token)));
    }
    let Some(additional) = additional else {
        // The family is IPv4 unless the client asks for another.
        let family = requested_family(request)?.unwrap_or(Family::V4);
        return Ok(Wanted::One(family, port));
    };
    // In addition to IPv4 there can only be IPv6, and no pair of ports.
    let is_v6 = matches!(additional, &[number, _, _, _] if number == Family::V6.number());
    if family.is_some() || port == WantedPort::EvenAndNext || !is_v6 {
        return Err(ErrorCode::BAD_REQUEST);
    }
    Ok(Wanted::Both(port))
}

/// What REQUESTED-ADDRESS-FAMILY says, if it is there.
pub(super) fn requested_family(request: &Request<'_>) -> Result<Option<Family>, ErrorCode> {
    match request.message.find(Attribute::REQUESTED_ADDRESS_FAMILY) {
        None => Ok(None),
        Some(&[number, _, _, _]) => {
            let family = Family::from_number(number);
            family
                .map(Some)
                .ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
        }
        Some(_) => Err(ErrorCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use crate::stun::{Attribute, Message, Method};

    const IN_ADDITION: Attribute = Attribute::ADDITIONAL_ADDRESS_FAMILY;
    const V6: &[u8] = &[2, 0, 0, 0];
    /// The R bit, and others that are reserved.
    const PAIR: &[u8] = &[0xff];

    #[test]
    fn the_family_is_as_requested_and_ipv4_otherwise() {
        let mut world = World::new();
        for (family, expected) in [(1, Ok(true)), (2, Ok(false)), (3, Err(440))] {
            let client = world.client("alice");
            let answer = world.request(&client, Method::ALLOCATE, |writer| {
                writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
            });
            let answer = answer.expect("an answer");
            let is_v4 = World::code(&answer).map(|()| {
                let message = Message::parse(&answer).expect("well formed");
                let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
                relayed.expect("there").expect("an address").is_ipv4()
            });
            assert_eq!(is_v4, expected, "{family}");
        }
    }

    #[test]
    fn an_even_port_can_be_asked_for() {
        let mut world = World::new();
        // Bits that are reserved mean nothing.
        for (value, expected) in [(&[0][..], Ok(true)), (&[0x7f], Ok(true)), (&[], Err(400))] {
            // A neighbour, so that the next free port is odd.
            world.allocated("bob");
            let client = world.client("alice");
            let granted = world.allocate_with(&client, &[(Attribute::EVEN_PORT, value)]);
            let outcome = granted.map(|it| it.relayed[0].port().is_multiple_of(2));
            assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn attributes_that_contradict_each_other_are_refused() {
        let (even, token) = (Attribute::EVEN_PORT, Attribute::RESERVATION_TOKEN);
        let family = Attribute::REQUESTED_ADDRESS_FAMILY;
        let mut world = World::new();
        for attributes in [
            &[(token, &[0; 8][..]), (even, &[0])][..],
            &[(token, &[0; 8]), (family, &[1, 0, 0, 0])],
            &[(token, &[0; 8]), (IN_ADDITION, V6)],
            &[(token, &[0; 7])],
            &[(family, &[1, 0, 0, 0]), (IN_ADDITION, V6)],
            &[(even, PAIR), (IN_ADDITION, V6)],
            &[(IN_ADDITION, &[1, 0, 0, 0])],
            &[(IN_ADDITION, &[3, 0, 0, 0])],
            &[(IN_ADDITION, &[2])],
        ] {
            let client = world.client("alice");
            let outcome = world.allocate_with(&client, attributes);
            assert_eq!(outcome, Err(400), "{attributes:?}");
        }
        // Reserved bits of a family mean nothing, and an even port may be had of each.
        let client = world.client("alice");
        let both = [(even, &[0][..]), (IN_ADDITION, &[2, 0xff, 0xff, 0xff])];
        let granted = world.allocate_with(&client, &both).expect("both");
        assert!(granted.relayed.iter().all(|it| it.port().is_multiple_of(2)));
        assert_eq!(granted.relayed.len(), 2);
    }
}
