//! The hello of a DTLS client. Whatever it says, the answer is shorter; no cookie is known but the
//! one that was given; and who comes again with that begins a session, or fails to.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant as SystemInstant};

use peerage::net::{ClientHello, Cookies, DtlsIdentity, DtlsOutput, DtlsSession, Refusal};
use peerage::time::Instant;

/// Where a record's length, its message and that message's body begin.
const LENGTH: usize = 11;
const MESSAGE: usize = 13;
const BODY: usize = 25;

pub(crate) fn run(datagram: &[u8]) {
    let Some(hello) = ClientHello::parse(datagram) else {
        return;
    };
    let client = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let server = SocketAddr::from(([192, 0, 2, 2], 5_349));
    let now = Instant::from_start(Duration::from_secs(100));
    let cookies = Cookies::new().expect("randomness");
    assert!(!cookies.knows(&hello, client, server, now));
    let cookie = cookies.cookie(&hello, client, server, now);
    assert!(hello.verify_request(&cookie).len() < datagram.len());
    assert!(hello.refusal(Refusal::HandshakeFailure).len() < datagram.len());
    let Some(again) = with_cookie(datagram, &cookie) else {
        return;
    };
    let again_hello = ClientHello::parse(&again).expect("a hello as before");
    assert_eq!(again_hello.cookie(), cookie);
    assert_eq!(again_hello.random(), hello.random());
    assert!(cookies.knows(&again_hello, client, server, now));
    begin(&again_hello, &again);
}

/// The same hello, as the next message and with a cookie, if there may be a next one that fits.
fn with_cookie(datagram: &[u8], cookie: &[u8]) -> Option<Vec<u8>> {
    let message_number = u16::from_be_bytes([datagram[MESSAGE + 4], datagram[MESSAGE + 5]]);
    let cookie_at = BODY + 35 + usize::from(datagram[BODY + 34]);
    let behind = cookie_at + 1 + usize::from(datagram[cookie_at]);
    let mut again = datagram[..cookie_at].to_vec();
    again.push(u8::try_from(cookie.len()).expect("short"));
    again.extend_from_slice(cookie);
    again.extend_from_slice(&datagram[behind..]);
    let record = u16::try_from(again.len() - MESSAGE).ok()?;
    let body = (record - 12).to_be_bytes();
    again[LENGTH..MESSAGE].copy_from_slice(&record.to_be_bytes());
    again[MESSAGE + 2..MESSAGE + 4].copy_from_slice(&body);
    again[MESSAGE + 10..BODY].copy_from_slice(&body);
    again[MESSAGE + 4..MESSAGE + 6].copy_from_slice(&message_number.checked_add(1)?.to_be_bytes());
    Some(again)
}

fn begin(hello: &ClientHello<'_>, datagram: &[u8]) {
    let now = SystemInstant::now();
    let Ok(mut session) = DtlsSession::begin(identity(), hello, datagram, now) else {
        return;
    };
    assert!(session.was_begun_by(hello) && !session.is_established());
    let mut buffer = [0; DtlsSession::LONGEST_DATAGRAM];
    loop {
        match session.poll(&mut buffer) {
            DtlsOutput::Datagram(length) => assert!(length <= 1_200, "{length}"),
            DtlsOutput::Wait(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

fn identity() -> &'static DtlsIdentity {
    static IDENTITY: OnceLock<DtlsIdentity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let key = made.signing_key.serialize_der();
        DtlsIdentity::new(made.cert.der(), &key).expect("an ECDSA key")
    })
}
