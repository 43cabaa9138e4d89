//! RFC 7635: third-party authorization, with tokens as an authorization server makes them. coturn's
//! client cannot be asked: it signs with the first 16 bytes of the token's key only.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use peerage::auth::{RelayCredentials, Secret, TokenKeys};
use peerage::relay::Relay;
use peerage::stun::{Attribute, Message, Method, Writer};
use sha1::Sha1;

use crate::prober::{Prober, code};
use crate::relay::{self, REALM, USER};

const SERVER_NAME: &str = "turn.example.org";
const KEY: &[u8; 32] = b"01234567890123456789012345678901";
const MAC_KEY: &[u8; 20] = b"abcdefghijklmnopqrst";

/// A relay that takes tokens of the key `north`.
fn start() -> Relay {
    let keys = TokenKeys::new(SERVER_NAME).with_key("north", &Secret::new(STANDARD.encode(KEY)));
    relay::start_adapted(|settings| {
        settings.credentials = RelayCredentials::new(REALM)
            .with_user(USER.0, &Secret::new(USER.1))
            .with_token_keys(Arc::new(keys.expect("a key")));
    })
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// A token as an authorization server makes it, good for `lifetime` seconds from `made`.
fn token(made: u64, lifetime: u32, mac_key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(mac_key.len()).expect("short").to_be_bytes();
    let (stamp, lifetime) = ((made << 16).to_be_bytes(), lifetime.to_be_bytes());
    let mut block = [&length[..], mac_key, &stamp, &lifetime].concat();
    let key = UnboundKey::new(&AES_256_GCM, KEY).expect("32 bytes");
    let nonce = [9; 12];
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(SERVER_NAME.as_bytes()),
            &mut block,
        )
        .expect("short");
    [&[0, 12], &nonce[..], &block].concat()
}

/// Signs as a client of RFC 7635: the key of the token is the key of the HMAC, as it is.
fn sign(writer: &mut Writer<'_>, nonce: &[u8], token: Option<&[u8]>, mac_key: &[u8]) {
    writer.text(Attribute::USERNAME, "north");
    writer.text(Attribute::REALM, REALM);
    writer.attribute(Attribute::NONCE, nonce);
    if let Some(token) = token {
        writer.attribute(Attribute::ACCESS_TOKEN, token);
    }
    writer.integrity(peerage::stun::Integrity::Sha1, mac_key);
}

fn allocate(client: &Prober, nonce: &[u8], token: &[u8], mac_key: &[u8]) -> Vec<u8> {
    client.ask(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        sign(writer, nonce, Some(token), mac_key);
    })
}

fn lifetime(answer: &[u8]) -> u32 {
    let message = Message::parse(answer).expect("well formed");
    message.find_u32(Attribute::LIFETIME).expect("there")
}

/// Checks MESSAGE-INTEGRITY, the last attribute of `answer`, by the book.
fn assert_signed(answer: &[u8], mac_key: &[u8]) {
    let (before, attribute) = answer.split_at(answer.len() - 24);
    assert_eq!(&attribute[..4], [0, 8, 0, 20]);
    let mut mac = Hmac::<Sha1>::new_from_slice(mac_key).expect("any length");
    mac.update(before);
    mac.verify_slice(&attribute[4..]).expect("the token's key");
}

#[test]
fn a_challenge_names_the_server_only_where_tokens_are_taken() {
    for (relay, expected) in [(start(), Some(SERVER_NAME)), (relay::start(&[]), None)] {
        let client = Prober::new(relay.addresses()[0]);
        let challenge = client.ask(Method::ALLOCATE, |_| {});
        let message = Message::parse(&challenge).expect("well formed");
        let name = message.find_text(Attribute::THIRD_PARTY_AUTHORIZATION);
        assert_eq!(name, expected);
    }
}

#[test]
fn a_token_opens_an_allocation_that_ends_with_it_unless_a_new_one_is_shown() {
    let relay = start();
    let client = Prober::new(relay.addresses()[0]);
    let nonce = client.login.nonce.clone();
    let now = seconds_since_1970();
    let first = token(now, 100, MAC_KEY);
    let answer = allocate(&client, &nonce, &first, MAC_KEY);
    assert_eq!(code(&answer), Ok(()));
    assert_signed(&answer, MAC_KEY);
    assert!((95..=105).contains(&lifetime(&answer)));
    // Other requests need no token, but the lifetime is only prolonged by one.
    let peer = relay::address("8.8.8.8:1");
    let permit = |client: &Prober, key: &[u8]| {
        code(&client.ask(Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            sign(writer, &nonce, None, key);
        }))
    };
    assert_eq!(permit(&client, MAC_KEY), Ok(()));
    let bare = client.ask(Method::REFRESH, |writer| {
        sign(writer, &nonce, None, MAC_KEY);
    });
    assert_eq!(code(&bare), Err(401));
    let new_key = [0x55; 32];
    let second = token(now, 3_600, &new_key);
    let refreshed = client.ask(Method::REFRESH, |writer| {
        writer.u32(Attribute::LIFETIME, 9_999);
        sign(writer, &nonce, Some(&second), &new_key);
    });
    assert_eq!((code(&refreshed), lifetime(&refreshed)), (Ok(()), 3_600));
    assert_signed(&refreshed, &new_key);
    assert_eq!(permit(&client, &new_key), Ok(()));
    assert_eq!(permit(&client, MAC_KEY), Err(401));
}

#[test]
fn a_token_that_is_old_changed_or_not_the_signers_opens_nothing() {
    let relay = start();
    let client = Prober::new(relay.addresses()[0]);
    let nonce = client.login.nonce.clone();
    let now = seconds_since_1970();
    let good = token(now, 100, MAC_KEY);
    let mut changed = good.clone();
    changed[20] ^= 1;
    for (token, key) in [
        (token(now - 200, 100, MAC_KEY), &MAC_KEY[..]),
        (changed, MAC_KEY),
        (good.clone(), b"another key"),
        (vec![0xff, 0xff], MAC_KEY),
        (vec![], MAC_KEY),
    ] {
        assert_eq!(code(&allocate(&client, &nonce, &token, key)), Err(401));
    }
    assert_eq!(relay::counters(&relay).allocations_made, 0);
    assert_eq!(code(&allocate(&client, &nonce, &good, MAC_KEY)), Ok(()));
}

#[test]
fn a_token_is_not_understood_where_none_are_taken() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let answer = client.request(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        writer.attribute(Attribute::ACCESS_TOKEN, &[1]);
    });
    assert_eq!(code(&answer), Err(420));
    let message = Message::parse(&answer).expect("well formed");
    let unknown = message.find(Attribute::UNKNOWN_ATTRIBUTES);
    assert_eq!(unknown, Some(&[0x00, 0x1b][..]));
}
