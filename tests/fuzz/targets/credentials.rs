//! Who a request says that it is: user names, realms and nonces of any bytes. Only what the
//! server gave out and what its user knows may open an allocation.

use std::net::SocketAddr;
use std::time::Duration;

use peerage::auth::{Claim, Credentials, Key, RelayCredentials, Secret, TimeLimited, account};
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};
use peerage::time::Now;

use super::bytes::Bytes;
use super::host::{Host, REALM, Sent, Setting, USERS};

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    if input.u8() & 1 == 0 {
        time_limited(&mut input);
    } else {
        allocate(&mut input);
    }
}

/// A time-limited name has a key exactly while it lasts, and whatever it is, it has an account.
fn time_limited(input: &mut Bytes<'_>) {
    let now = Now {
        unix: Duration::from_secs(u64::from(input.u16())),
        ..Now::default()
    };
    let secret = Secret::new("north");
    let known = RelayCredentials::new(REALM).with_secret(secret.clone());
    let name = String::from_utf8_lossy(input.short()).into_owned();
    assert!(name.ends_with(account(&name)));
    let seconds: Option<u64> = name
        .split(':')
        .next()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok());
    let lasts = seconds.is_some_and(|expiry| expiry.saturating_add(60) >= now.unix_seconds());
    assert_eq!(key_of(&known, &name, now).is_some(), lasts, "{name:?}");
    let lifetime = Duration::from_secs(u64::from(input.u16()));
    let minted = TimeLimited::mint(&secret, &name, lifetime, now);
    assert_eq!(account(&minted.username), name);
    assert_eq!(
        key_of(&known, &minted.username, now),
        Some(key(&minted.username, minted.password.expose()))
    );
}

/// The key with which the user of this name signs, if there is one.
fn key_of(known: &RelayCredentials, name: &str, now: Now) -> Option<Key> {
    let claim = Claim::Name(name.as_bytes());
    let verified = known.verify(claim, PasswordAlgorithm::Md5, now, &mut |_| true);
    verified.map(|verified| verified.key)
}

fn key(name: &str, password: &str) -> Key {
    Key::new(PasswordAlgorithm::Md5, name, REALM, password)
}

fn allocate(input: &mut Bytes<'_>) {
    let mut host = Host::new(&Setting {
        quota: 1,
        ports: 50_000..=50_009,
        portless: false,
        mobile: false,
        bandwidth: 0,
        seed: 1,
    });
    let client = input.client();
    let nonce = nonce_for(&mut host, client);
    while !input.is_empty() {
        let shape = input.u8();
        let (name, password) = USERS[0];
        let user = either(shape & 1 == 0, name.as_bytes(), input);
        let realm = either(shape & 2 == 0, REALM.as_bytes(), input);
        let nonce_given = spoilt(shape >> 2 & 3, &nonce, input);
        let key = key(&String::from_utf8_lossy(&user), password);
        let request = request(|writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(Attribute::USERNAME, &user);
            writer.attribute(Attribute::REALM, &realm);
            writer.attribute(Attribute::NONCE, &nonce_given);
            writer.integrity(Integrity::Sha1, key.as_bytes());
        });
        let answers = host.client_sends(client, &request);
        let [Sent::Answer { bytes, .. }] = &answers[..] else {
            panic!("one answer, not {answers:?}");
        };
        let answer = Message::parse(bytes).expect("well formed");
        let is_right = user == name.as_bytes() && realm == REALM.as_bytes() && nonce_given == nonce;
        let is_first = host.allocations() == 1;
        assert_eq!(answer.class() == Class::Success, is_right && is_first);
        assert!(is_right || answer.class() == Class::Error);
        if is_right {
            return;
        }
        assert_eq!(host.allocations(), 0);
    }
}

/// `right`, or whatever the input has.
fn either(is_right: bool, right: &[u8], input: &mut Bytes<'_>) -> Vec<u8> {
    if is_right {
        right.to_vec()
    } else {
        input.short().to_vec()
    }
}

/// The nonce as it is, with one byte changed, cut short, or any bytes.
fn spoilt(how: u8, nonce: &[u8], input: &mut Bytes<'_>) -> Vec<u8> {
    let mut given = nonce.to_vec();
    match how {
        0 => {}
        1 => {
            let at = usize::from(input.u8()) % given.len();
            given[at] ^= input.u8();
        }
        2 => given.truncate(usize::from(input.u8())),
        _ => given = input.short().to_vec(),
    }
    given
}

/// The nonce that a challenge brings.
pub(crate) fn nonce_for(host: &mut Host, client: SocketAddr) -> Vec<u8> {
    let answers = host.client_sends(client, &request(|_| {}));
    let [Sent::Answer { bytes, .. }] = &answers[..] else {
        panic!("one answer, not {answers:?}");
    };
    let answer = Message::parse(bytes).expect("well formed");
    answer.find(Attribute::NONCE).expect("a challenge").to_vec()
}

fn request(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 2_000];
    let id = TransactionId([7; 12]);
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::ALLOCATE, id);
    fill(&mut writer);
    let length = writer.finish().expect("it fits");
    buffer[..length].to_vec()
}
