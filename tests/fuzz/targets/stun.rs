//! STUN messages: read as they are and with a header put right, and written again.

use peerage::stun::{
    Attribute, Class, HEADER_LENGTH, Integrity, MAGIC_COOKIE, Message, Protocol, Writer, classify,
};

pub(crate) fn run(input: &[u8]) {
    read(input);
    // Few inputs have the cookie and the length right, so the rest is tried with both.
    if input.len() >= HEADER_LENGTH {
        let mut datagram = input.to_vec();
        datagram.truncate(input.len() & !3);
        let length = u16::try_from(datagram.len() - HEADER_LENGTH).unwrap_or(u16::MAX);
        datagram[0] &= 0x3f;
        datagram[2..4].copy_from_slice(&length.to_be_bytes());
        datagram[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        read(&datagram);
    }
}

fn read(datagram: &[u8]) {
    let Ok(message) = Message::parse(datagram) else {
        return;
    };
    let (class, method) = (message.class(), message.method());
    assert!(method.0 < 0x1000);
    if classify(datagram) == Protocol::Stun {
        assert!(
            method.0 < 0x400,
            "the upper methods begin with another byte"
        );
    }
    for (kind, value) in message.attributes() {
        assert!(value.len() <= datagram.len() - HEADER_LENGTH);
        let first = message.find(kind).expect("seen just now");
        assert_eq!(message.find_u32(kind).is_some(), first.len() == 4);
        assert_eq!(
            message.find_text(kind).is_some(),
            std::str::from_utf8(first).is_ok()
        );
        let address = message.find_xor_address(kind).expect("seen just now");
        assert!(address.is_err() || [8, 20].contains(&first.len()));
    }
    let signed = message.verify_integrity(b"a key");
    assert!(message.integrity().is_some() || !signed);
    written_is_read(&message, class);
}

/// The same attributes once more, signed and with a fingerprint, are the same message.
fn written_is_read(message: &Message<'_>, class: Class) {
    const KEY: &[u8] = b"a key";
    let mut buffer = vec![0xee; 70_000];
    let mut writer = Writer::new(
        &mut buffer,
        class,
        message.method(),
        message.transaction_id(),
    );
    for (kind, value) in message.attributes() {
        if let Ok(address) = peerage::stun::decode_xor_address(value, message.transaction_id()) {
            writer.xor_address(kind, address);
        } else {
            writer.attribute(kind, value);
        }
    }
    let kind = if message.has_fingerprint() {
        Integrity::Sha256
    } else {
        Integrity::Sha1
    };
    writer.integrity(kind, KEY);
    writer.fingerprint();
    let Ok(length) = writer.finish() else {
        return;
    };
    let again = Message::parse(&buffer[..length]).expect("what is written can be read");
    assert_eq!((again.class(), again.method()), (class, message.method()));
    assert_eq!(again.transaction_id(), message.transaction_id());
    assert!(again.has_fingerprint() && again.verify_integrity(KEY));
    assert!(!again.verify_integrity(b"another"));
    let kinds = |message: &Message<'_>| -> Vec<(Attribute, usize)> {
        message
            .attributes()
            .map(|(kind, value)| (kind, value.len()))
            .collect()
    };
    assert_eq!(kinds(&again), kinds(message));
}
