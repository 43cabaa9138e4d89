//! Sealed rooms, as `docs/protocol.md` describes them: those who share a name and a key seal what
//! they say to each other through the server.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::ClientError;

const SALT: &[u8] = b"peerage room key, version 1";
const ROOM_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
/// Shorter keys could be guessed.
const SHORTEST: usize = 16;
/// What a new key has, in bytes.
const NEW_KEY_BYTES: usize = 16;

/// The name and the key of a sealed room. Those who have both meet in a room that nobody finds
/// otherwise, and the server can neither read what they say, nor change it, nor pass it on in
/// somebody else's name. `Debug` does not show the key.
pub struct Seal {
    room: Box<str>,
    key: RandomizedNonceKey,
}

impl Seal {
    /// The seal of the room that is called `name` by those who have this key.
    ///
    /// # Errors
    /// The key has fewer than 16 characters.
    pub fn new(name: &str, key: &str) -> Result<Self, ClientError> {
        // Counted as browsers do, so that both let in the same.
        if key.encode_utf16().count() < SHORTEST {
            return Err(ClientError(format!(
                "the key of a room has {SHORTEST} characters or more"
            )));
        }
        let derived = Salt::new(HKDF_SHA256, SALT).extract(key.as_bytes());
        let room = URL_SAFE_NO_PAD.encode(derive::<ROOM_BYTES>(&derived, "room", name));
        let key = derive::<KEY_BYTES>(&derived, "messages", name);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key);
        Ok(Self {
            room: room.into(),
            key: key.expect("the key has the length of AES-256"),
        })
    }

    /// The seal of the room that a link of the page leads to, such as
    /// `https://call.example/#blue-heron:wq3xR0b2Yk9uPz5sLd7TgA`. An access token behind it is
    /// passed over.
    ///
    /// # Errors
    /// The link has no name and key in its fragment, or the key has fewer than 16 characters.
    pub fn of_link(link: &str) -> Result<Self, ClientError> {
        let parts = link.split_once('#').and_then(|(_, fragment)| {
            let room = fragment.split_once("&token=").map_or(fragment, |it| it.0);
            room.split_once(':')
        });
        // The link is not named: it may have a key in it.
        let missing = || ClientError("the link has no name and key of a room behind #".to_owned());
        let (name, key) = parts.ok_or_else(missing)?;
        Self::new(name, key)
    }

    /// A key of 128 random bits, in characters that fit into a link.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn new_key() -> Result<String, ClientError> {
        let mut bytes = [0; NEW_KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| ClientError(error.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What the server knows the room by, and so all requests and events.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// Seals a value. It opens only as what it is about.
    pub(super) fn seal(&self, about: &[&str], value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
        let text = serde_json::to_vec(value).expect("every key is a string");
        let mut sealed = text;
        let nonce = self
            .key
            .seal_in_place_append_tag(aad(about), &mut sealed)
            .expect("no message is as long as AES-GCM's bound");
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        let sealed = URL_SAFE_NO_PAD.encode(bytes);
        serde_json::value::to_raw_value(&sealed).expect("a string is JSON")
    }

    /// Opens what somebody with the same key has sealed about this: the JSON. `None` if it is not
    /// that.
    pub(super) fn open(&self, about: &[&str], sealed: &RawValue) -> Option<Box<RawValue>> {
        let sealed: Box<str> = serde_json::from_str(sealed.get()).ok()?;
        let mut bytes = URL_SAFE_NO_PAD.decode(&*sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key.open_in_place(nonce, aad(about), text).ok()?;
        serde_json::from_slice(text).ok()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = &self.room;
        f.debug_struct("Seal")
            .field("room", room)
            .finish_non_exhaustive()
    }
}

fn aad(about: &[&str]) -> Aad<Vec<u8>> {
    Aad::from(serde_json::to_vec(about).expect("strings are JSON"))
}

/// How many bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const BYTES: usize>(from: &Prk, purpose: &str, name: &str) -> [u8; BYTES] {
    let info = serde_json::to_vec(&[purpose, name]).expect("strings are JSON");
    let mut derived = [0; BYTES];
    from.expand(&[&info], Length(BYTES))
        .and_then(|material| material.fill(&mut derived))
        .expect("HKDF gives as many bytes");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "wq3xR0b2Yk9uPz5sLd7TgA";
    const ADA: &str = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).expect("JSON")
    }

    fn opened(seal: &Seal, about: &[&str], sealed: &str) -> Option<String> {
        let sealed = serde_json::value::to_raw_value(sealed).expect("JSON");
        Some(seal.open(about, &sealed)?.get().to_owned())
    }

    #[test]
    fn the_example_of_the_documentation_opens() {
        let seal = Seal::new("blue-heron", KEY).expect("a key");
        assert_eq!(seal.room(), "7B-TUH-KqenYfqX7BHLWSf6ZRmqFCpN_");
        let sealed = "AAECAwQFBgcICQoLCKlc-ChwNmEcLisEVHIQkcLnuKUP_1aGn-ubydMZHrnT";
        let text = opened(&seal, &["broadcast", ADA], sealed);
        assert_eq!(text.as_deref(), Some(r#"{"hand":"raised"}"#));
        let seal = Seal::new("café", KEY).expect("a key");
        assert_eq!(seal.room(), "iLqS4Udao27kRLU9-NcmRwP9gCChiMEQ");
    }

    #[test]
    fn what_is_sealed_opens_as_what_it_is_about_and_with_the_same_key_only() {
        let seal = Seal::new("blue-heron", KEY).expect("a key");
        let sealed = seal.seal(&["offer", ADA, "x"], &raw(r#"{ "n" : 1.0e0 }"#));
        let open = |seal: &Seal, about: &[&str]| Some(seal.open(about, &sealed)?.get().to_owned());
        let text = open(&seal, &["offer", ADA, "x"]);
        assert_eq!(text.as_deref(), Some(r#"{ "n" : 1.0e0 }"#));
        assert_eq!(open(&seal, &["answer", ADA, "x"]), None);
        for (name, key) in [("blue-heron", "another key, long enough"), ("red", KEY)] {
            let other = Seal::new(name, key).expect("a key");
            assert_eq!(open(&other, &["offer", ADA, "x"]), None);
            assert_ne!(other.room(), seal.room());
        }
        for nonsense in ["", "AAEC", "AAECAwQFBgcICQoL", "not base64!"] {
            assert_eq!(opened(&seal, &["offer", ADA, "x"], nonsense), None);
        }
        assert!(seal.open(&["offer", ADA, "x"], &raw("7")).is_none());
    }

    #[test]
    fn the_same_is_never_sealed_alike() {
        let seal = Seal::new("blue-heron", KEY).expect("a key");
        let texts = [1, 2].map(|_| seal.seal(&["state", "k"], &7).get().to_owned());
        assert_ne!(texts[0], texts[1]);
    }

    #[test]
    fn a_link_has_the_name_and_the_key_and_perhaps_a_token() {
        let known = Seal::new("blue-heron", KEY).expect("a key");
        for end in ["", "&token=eyJ.e30.AA"] {
            let link = format!("https://call.example/#blue-heron:{KEY}{end}");
            let seal = Seal::of_link(&link).expect("a link");
            assert_eq!(seal.room(), known.room());
        }
        for link in ["", "https://call.example/", "https://call.example/#blue"] {
            assert!(Seal::of_link(link).is_err(), "{link}");
        }
        assert!(Seal::new("blue", "too short").is_err());
        let key = Seal::new_key().expect("random numbers");
        assert!(Seal::new("blue", &key).is_ok());
        assert!(!format!("{known:?}").contains(KEY));
    }
}
