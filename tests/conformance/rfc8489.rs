//! RFC 8489: STUN, and its long-term credential mechanism, through real sockets.

use peerage::auth::{RelayCredentials, Secret, TimeLimited};
use peerage::relay::Relay;
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, decode_address,
};

use crate::prober::{Prober, code, message};
use crate::relay::{self, REALM};

fn with_secrets(secrets: &[&str]) -> Relay {
    let credentials = secrets
        .iter()
        .fold(RelayCredentials::new(REALM), |credentials, secret| {
            credentials.with_secret(Secret::new(*secret))
        });
    relay::start_adapted(|settings| settings.credentials = credentials)
}

fn minted(secret: &str) -> TimeLimited {
    relay::time_limited_with(secret, "ada")
}

/// The answer to an Allocate request that is signed.
fn ask_to_allocate(client: &Prober) -> Vec<u8> {
    client.request(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    })
}

#[test]
fn what_is_no_request_meets_silence() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let binding = message(Class::Request, Method::BINDING, 9, |_| {});
    let spoilt = |at: usize, bits: u8| {
        let mut datagram = binding.clone();
        datagram[at] ^= bits;
        datagram
    };
    let of_class = |class, method| message(class, Method(method), 9, |_| {});
    let mut wrong_fingerprint = message(Class::Request, Method::BINDING, 9, |writer| {
        writer.fingerprint();
    });
    wrong_fingerprint[27] ^= 1;
    for datagram in [
        spoilt(0, 0x80),
        spoilt(4, 1),
        spoilt(3, 1),
        spoilt(3, 4),
        binding[..19].to_vec(),
        vec![0],
        vec![],
        wrong_fingerprint,
        of_class(Class::Request, 0x0ff),
        of_class(Class::Indication, 0x001),
        of_class(Class::Success, 0x001),
        of_class(Class::Error, 0x003),
        of_class(Class::Indication, 0x003),
    ] {
        client.send(&datagram);
    }
    // Whoever asks next gets the only answer there is.
    client.send(&binding);
    let answer = client.receive();
    let read = Message::parse(&answer).expect("well formed");
    assert_eq!(
        (read.class(), &answer[8..20]),
        (Class::Success, &binding[8..20]),
        "{answer:x?}"
    );
    let other = message(Class::Request, Method::BINDING, 10, |_| {});
    client.send(&other);
    assert_eq!(client.receive()[8..20], other[8..20]);
}

#[test]
fn a_binding_answer_is_the_senders_address_and_mirrors_the_fingerprint() {
    let relay = relay::start(&[]);
    for server in relay.addresses() {
        let client = Prober::new(server);
        for with_fingerprint in [false, true] {
            let answer = client.ask(Method::BINDING, |writer| {
                writer.text(Attribute::SOFTWARE, "test");
                if with_fingerprint {
                    writer.fingerprint();
                }
            });
            let read = Message::parse(&answer).expect("well formed");
            let mapped = read.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
            let own = client.socket.local_addr().expect("bound");
            assert_eq!(mapped, Some(Ok(own)));
            assert_eq!(read.has_fingerprint(), with_fingerprint);
        }
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_named() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let answer = client.ask(Method::BINDING, |writer| {
        writer.attribute(Attribute(0x7abc), b"?");
        writer.attribute(Attribute(0xabcd), b"!");
        writer.attribute(Attribute(0x0033), b"");
    });
    assert_eq!(code(&answer), Err(420));
    let read = Message::parse(&answer).expect("well formed");
    let unknown = read.find(Attribute::UNKNOWN_ATTRIBUTES);
    assert_eq!(unknown, Some(&[0x7a, 0xbc, 0x00, 0x33][..]));
    // Who has not signed in is not told.
    let answer = client.ask(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute(0x7abc), b"?");
    });
    assert_eq!(code(&answer), Err(401));
}

#[test]
fn a_challenge_has_what_the_rfc_demands_and_is_small() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let answer = client.ask(Method::ALLOCATE, |_| {});
    let read = Message::parse(&answer).expect("well formed");
    let kinds: Vec<_> = read.attributes().map(|(kind, _)| kind).collect();
    let expected = [
        Attribute::ERROR_CODE,
        Attribute::REALM,
        Attribute::NONCE,
        Attribute::PASSWORD_ALGORITHMS,
    ];
    assert_eq!(kinds, expected);
    let nonce = read.find(Attribute::NONCE).expect("there");
    assert!(nonce.starts_with(b"obMatJos2gAAA"));
    // 72 bytes beside the realm; on the wire 28 more go before it, as before the request.
    let realm = 4 + REALM.len().next_multiple_of(4);
    assert_eq!(answer.len(), 72 + realm);
}

#[test]
fn whoever_knows_the_password_signs_in_by_sha256_and_by_sha1() {
    let relay = relay::start(&[]);
    for algorithm in [
        None,
        Some(PasswordAlgorithm::Md5),
        Some(PasswordAlgorithm::Sha256),
    ] {
        for integrity in [Integrity::Sha1, Integrity::Sha256] {
            let mut client = Prober::new(relay.addresses()[0]);
            (client.login.algorithm, client.login.integrity) = (algorithm, integrity);
            let answer = ask_to_allocate(&client);
            assert_eq!(code(&answer), Ok(()));
            let read = Message::parse(&answer).expect("well formed");
            assert!(read.verify_integrity(client.login.key().as_bytes()));
            // Who has chosen no algorithm may know nothing newer than SHA-1.
            let expected = algorithm.map_or(Integrity::Sha1, |_| Integrity::Sha256);
            assert_eq!(read.integrity(), Some(expected));
            client.login.password = "wrong".to_owned();
            assert_eq!(client.allocate(), Err(401));
        }
    }
}

#[test]
fn a_nonce_is_good_for_one_address_and_for_every_server_with_the_secret() {
    let (one, two) = (with_secrets(&["north"]), with_secrets(&["north"]));
    let other = with_secrets(&["south"]);
    let mut client = Prober::new(one.addresses()[0]);
    let north = minted("north");
    client.sign_in_as(&north.username, north.password.expose());
    client.server = two.addresses()[0];
    assert!(client.allocate().is_ok());
    let mut stranger = Prober::new(one.addresses()[0]);
    stranger.login = client.login.clone();
    assert_eq!(stranger.allocate(), Err(438));
    client.server = other.addresses()[0];
    let south = minted("south");
    client.sign_in_as(&south.username, south.password.expose());
    let refused = ask_to_allocate(&client);
    assert_eq!(code(&refused), Err(438));
    let read = Message::parse(&refused).expect("well formed");
    client.login.nonce = read.find(Attribute::NONCE).expect("there").to_vec();
    assert!(client.allocate().is_ok());
}

#[test]
fn credentials_of_every_secret_are_taken_while_it_is_rotated() {
    let relay = with_secrets(&["new", "old"]);
    for (secret, expected) in [("new", Ok(())), ("old", Ok(())), ("older", Err(401))] {
        let mut client = Prober::new(relay.addresses()[0]);
        let minted = minted(secret);
        client.sign_in_as(&minted.username, minted.password.expose());
        assert_eq!(client.allocate().map(drop), expected, "{secret}");
    }
}

#[test]
fn an_offer_that_was_changed_on_the_way_is_found_out() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let answer = client.request(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        writer.attribute(Attribute::PASSWORD_ALGORITHMS, &[0, 1, 0, 0]);
        writer.attribute(Attribute::PASSWORD_ALGORITHM, &[0, 1, 0, 0]);
    });
    assert_eq!(code(&answer), Err(400));
}

#[test]
fn a_relay_that_goes_down_sends_new_clients_to_another_and_serves_those_it_has() {
    let other = relay::address("203.0.113.9:3478");
    let relay = relay::start_adapted(|settings| settings.alternate_servers = vec![other]);
    let server = relay.addresses()[0];
    let (old, mut new) = (Prober::new(server), Prober::at(server.ip(), server));
    assert!(old.allocate().is_ok());
    relay.drain();
    assert_eq!(old.refresh(600), Ok(()));
    // Who has not signed in learns nothing of other servers.
    new.learn_nonce();
    let answer = ask_to_allocate(&new);
    assert_eq!(code(&answer), Err(300));
    let read = Message::parse(&answer).expect("well formed");
    assert!(read.verify_integrity(new.login.key().as_bytes()));
    let named = read.find(Attribute::ALTERNATE_SERVER).map(decode_address);
    assert_eq!(named, Some(Ok(other)));
}
