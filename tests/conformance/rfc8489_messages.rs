//! RFC 8489, what a message may hold and what an answer holds, through real sockets.

use peerage::auth::{Key, Secret};
use peerage::stun::{Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, Writer};

use crate::prober::{Prober, code, message};
use crate::relay;

/// The attributes of an answer.
fn kinds(answer: &[u8]) -> Vec<Attribute> {
    let message = Message::parse(answer).expect("well formed");
    message.attributes().map(|(kind, _)| kind).collect()
}

#[test]
fn what_does_not_belong_into_a_message_is_ignored() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let answer = prober.ask(Method::BINDING, |writer| {
        // Unknown, but it need not be understood.
        writer.attribute(Attribute(0xfffe), b"?");
        // Known, but not of Binding; one of a family that nobody has.
        writer.attribute(Attribute::MAPPED_ADDRESS, &[0xff, 9, 0, 1, 1, 2, 3, 4]);
        writer.attribute(Attribute::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
        writer.attribute(Attribute::LIFETIME, b"");
    });
    assert_eq!(code(&answer), Ok(()));
    assert_eq!(kinds(&answer), [Attribute::XOR_MAPPED_ADDRESS]);
}

#[test]
fn padding_may_be_anything() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let mut datagram = message(Class::Request, Method::BINDING, 7, |writer| {
        writer.text(Attribute::SOFTWARE, "x");
    });
    let end = datagram.len();
    datagram[end - 3..].copy_from_slice(&[0xff, 0xfe, 0xfd]);
    prober.send(&datagram);
    let answers = prober.settle();
    assert_eq!(answers.len(), 1);
    assert_eq!(code(&answers[0]), Ok(()));
}

#[test]
fn the_longest_names_are_read() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let long = "x".repeat(763);
    let ask = |username: &str, realm: &str, nonce: &[u8]| {
        prober.ask(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.text(Attribute::USERNAME, username);
            writer.text(Attribute::REALM, realm);
            writer.attribute(Attribute::NONCE, nonce);
            writer.integrity(Integrity::Sha1, prober.login.key().as_bytes());
        })
    };
    assert_eq!(
        code(&ask(&long, relay::REALM, &prober.login.nonce)),
        Err(401)
    );
    assert_eq!(
        code(&ask(&prober.login.username, &long, &prober.login.nonce)),
        Err(401)
    );
    assert_eq!(
        code(&ask(&prober.login.username, relay::REALM, long.as_bytes())),
        Err(438)
    );
}

#[test]
fn a_signed_request_without_its_parts_is_malformed() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let parts = [
        (Attribute::USERNAME, prober.login.username.as_bytes()),
        (Attribute::REALM, relay::REALM.as_bytes()),
        (Attribute::NONCE, &prober.login.nonce[..]),
    ];
    for (missing, _) in parts {
        let answer = prober.ask(Method::ALLOCATE, |writer| {
            for (kind, value) in parts.iter().filter(|(kind, _)| *kind != missing) {
                writer.attribute(*kind, value);
            }
            writer.integrity(Integrity::Sha1, prober.login.key().as_bytes());
        });
        assert_eq!(code(&answer), Err(400), "{missing:?}");
        // Neither names nor a nonce, and no integrity.
        assert_eq!(kinds(&answer), [Attribute::ERROR_CODE]);
        let answer = Message::parse(&answer).expect("well formed");
        assert_eq!(answer.integrity(), None);
    }
}

#[test]
fn a_request_that_comes_twice_is_answered_twice_alike() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let prober = Prober::new(relay.addresses()[0]);
    let peer = relay::address("127.0.0.1:9");
    let twice = |id: u64, method, fill: &dyn Fn(&mut Writer<'_>)| {
        let request = prober.signed(id, method, fill);
        prober.send(&request);
        prober.send(&request);
        let answers = prober.settle();
        assert_eq!(answers.len(), 2, "{method:?}");
        assert_eq!(code(&answers[0]), Ok(()), "{method:?}");
        let relayed = |answer: &[u8]| {
            let message = Message::parse(answer).expect("well formed");
            assert_eq!(message.transaction_id().0[4..], id.to_be_bytes());
            let found = message.find(Attribute::XOR_RELAYED_ADDRESS);
            found.map(<[u8]>::to_vec)
        };
        assert_eq!(code(&answers[1]), Ok(()), "{method:?}");
        assert_eq!(relayed(&answers[0]), relayed(&answers[1]), "{method:?}");
    };
    twice(1_001, Method::ALLOCATE, &|writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    });
    twice(1_002, Method::CREATE_PERMISSION, &|writer| {
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    });
    twice(1_003, Method::CHANNEL_BIND, &|writer| {
        writer.u32(Attribute::CHANNEL_NUMBER, 0x4000 << 16);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    });
    twice(1_004, Method::REFRESH, &|_| {});
    prober.let_count();
    assert_eq!(relay::counters(&relay).allocations(), 1);
}

#[test]
fn what_follows_the_integrity_is_ignored() {
    let relay = relay::start(&[]);
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        let prober = Prober::new(relay.addresses()[0]);
        let answer = prober.ask(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.text(Attribute::USERNAME, &prober.login.username);
            writer.text(Attribute::REALM, relay::REALM);
            writer.attribute(Attribute::NONCE, &prober.login.nonce);
            writer.integrity(integrity, prober.login.key().as_bytes());
            // Before the signature it would be answered by 420.
            writer.attribute(Attribute(0x7abc), b"?");
            writer.fingerprint();
        });
        assert_eq!(code(&answer), Ok(()), "{integrity:?}");
    }
}

#[test]
fn no_answer_is_larger_than_the_smallest_packet() {
    // What 576 bytes of IPv4 leave for UDP's payload, and DTLS of that: a record's header, a nonce
    // and a tag.
    const MOST: usize = 548 - (13 + 8 + 16);
    let relay = relay::start_adapted(|settings| {
        settings.realm = "x".repeat(127);
        settings.credentials = peerage::auth::RelayCredentials::new(settings.realm.clone())
            .with_user("alice", &Secret::new("alice's password"));
    });
    let prober = Prober::new(relay.addresses()[0]);
    let realm = "x".repeat(127);
    let key = Key::new(
        PasswordAlgorithm::Sha256,
        &prober.login.username,
        &realm,
        &prober.login.password,
    );
    let ask = |fill: &dyn Fn(&mut Writer<'_>)| {
        let answer = prober.ask(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            fill(writer);
            writer.text(Attribute::USERNAME, &prober.login.username);
            writer.text(Attribute::REALM, &realm);
            writer.attribute(Attribute::NONCE, &prober.login.nonce);
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
            let algorithm = PasswordAlgorithm::Sha256.value();
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &algorithm);
            writer.integrity(Integrity::Sha256, key.as_bytes());
            writer.fingerprint();
        });
        assert!(answer.len() <= MOST, "{} bytes", answer.len());
        code(&answer)
    };
    assert!(prober.ask(Method::ALLOCATE, |_| {}).len() <= MOST);
    let unknown = ask(&|writer| {
        (0x7000..0x7050).for_each(|kind| writer.attribute(Attribute(kind), b""));
    });
    assert_eq!(unknown, Err(420));
    let dual = ask(&|writer| {
        writer.attribute(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    });
    assert_eq!(dual, Ok(()));
    assert_eq!(ask(&|_| {}), Err(437));
}

#[test]
fn a_refusal_says_why_to_who_is_known() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let phrase = |answer: &[u8]| {
        let message = Message::parse(answer).expect("well formed");
        let value = message.find(Attribute::ERROR_CODE).expect("an error");
        assert_eq!(value[..2], [0, 0]);
        assert_eq!(value[2] & 0xf8, 0);
        let text = std::str::from_utf8(&value[4..]).expect("UTF-8");
        assert!(text.chars().count() < 128);
        text.to_owned()
    };
    let refused = prober.request(Method::REFRESH, |_| {});
    assert_eq!(phrase(&refused), "Allocation Mismatch");
    assert_eq!(phrase(&prober.ask(Method::REFRESH, |_| {})), "");
}
