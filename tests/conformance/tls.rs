//! TURN over TLS (RFC 8489 section 6.2.3, RFC 7443).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use peerage::net::{DtlsConfig, DtlsIdentity, TlsConfig};
use peerage::relay::Relay;
use peerage::turn::Transport;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};

use crate::client::{Client, Stream, connect, over_tcp, over_udp};
use crate::coturn_tools::{EchoPeer, received, uclient, uclient_with_a_channel};
use crate::relay::{self, await_counters};
use crate::tcp::{PAIRS, converse};

pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// A certificate for loopback.
pub(crate) fn certificate() -> &'static CertifiedKey<KeyPair> {
    static CERTIFICATE: OnceLock<CertifiedKey<KeyPair>> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        rcgen::generate_simple_self_signed(names).expect("a certificate")
    })
}

/// What the relay shows.
pub(crate) fn server() -> TlsConfig {
    let CertifiedKey { cert, signing_key } = certificate();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("there are suites")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("they belong together");
    config.alpn_protocols = vec![b"stun.turn".to_vec(), b"stun.nat-discovery".to_vec()];
    Arc::new(ArcSwap::from_pointee(config))
}

/// The same for DTLS.
pub(crate) fn server_by_datagrams() -> DtlsConfig {
    Arc::new(ArcSwap::from_pointee(identity(certificate())))
}

pub(crate) fn identity(shown: &CertifiedKey<KeyPair>) -> DtlsIdentity {
    let CertifiedKey { cert, signing_key } = shown;
    DtlsIdentity::new(cert.der(), &signing_key.serialize_der()).expect("an ECDSA key")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn secure(
    server: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> Secure {
    secure_over(connect(server), versions, protocols)
}

/// The same over a connection that is there.
pub(crate) fn secure_over(
    stream: TcpStream,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> Secure {
    let server = stream.peer_addr().expect("connected");
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate().cert.der().clone())
        .expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("there are suites")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::IpAddress(server.ip().into());
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    StreamOwned::new(session, stream)
}

fn tls(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Tls)
}

pub(crate) fn over_tls(server: SocketAddr) -> Client<Stream<Secure>> {
    Client::new(Stream(secure(server, rustls::ALL_VERSIONS, &[])))
}

#[test]
fn both_versions_of_tls_are_spoken_with_and_without_a_named_protocol() {
    let relay = relay::start(&[]);
    for version in rustls::ALL_VERSIONS {
        for protocols in [
            &[][..],
            &["stun.turn"],
            &["stun.nat-discovery"],
            &["h2", "stun.turn"],
        ] {
            let stream = secure(tls(&relay), &[version], protocols);
            let local = stream.sock.local_addr().expect("connected");
            let mut client = Client::new(Stream(stream));
            assert_eq!(client.bind(), local);
            let agreed = client.carrier.0.conn.alpn_protocol();
            let expected = protocols.last().map(|name| name.as_bytes());
            assert_eq!(agreed, expected);
        }
    }
}

#[test]
fn a_client_that_only_speaks_other_protocols_is_told_so() {
    let relay = relay::start(&[]);
    let mut stream = secure(tls(&relay), rustls::ALL_VERSIONS, &["h2", "http/1.1"]);
    let error = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
    let error = error.expect_err("no protocol in common").to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn tls_and_plain_streams_are_told_apart_on_every_port() {
    let relay = relay::start(&[]);
    for transport in [Transport::Tcp, Transport::Tls] {
        let server = relay::server(&relay, transport);
        over_tls(server).allocate();
        over_tcp(server).allocate();
    }
}

#[test]
fn clients_over_tls_meet_all_others_whichever_worker_they_are_with() {
    let relay = relay::start(&[]);
    let (by_tls, by_udp) = (tls(&relay), relay::server(&relay, Transport::Udp));
    let by_tcp = relay::server(&relay, Transport::Tcp);
    // A port that came back would bring its next owner the allocation of the one before.
    let mut kept = Vec::new();
    for _ in 0..PAIRS {
        let mut one = over_udp(by_udp);
        converse(&mut over_tls(by_tls), &mut one);
        kept.push(one);
        converse(&mut over_tcp(by_tcp), &mut over_tls(by_tls));
    }
    let counters = relay::counters(&relay);
    assert!(counters.packets_posted > 0, "all pairs had one worker");
    assert_eq!(counters.packets_unsent, 0);
}

#[test]
fn messages_of_many_records_pass() {
    let relay = relay::start(&[]);
    let (mut a, mut b) = (over_tls(tls(&relay)), over_tls(tls(&relay)));
    let (at_a, at_b) = (a.allocate(), b.allocate());
    a.bind_channel(0x4000, at_b);
    b.permit(at_a);
    for length in [16_383, 16_384, 16_385, 65_000] {
        let payload = vec![9; length];
        a.send_by_channel(0x4000, &payload);
        assert_eq!(b.receive_data(), payload);
    }
}

#[test]
fn an_allocation_ends_with_its_session() {
    let relay = relay::start(&[]);
    let mut client = over_tls(tls(&relay));
    client.allocate();
    await_counters(&relay, |counters| counters.allocations() == 1);
    // A good-bye in TLS; the connection stays open.
    client.carrier.0.conn.send_close_notify();
    client.carrier.0.flush().expect("sent");
    await_counters(&relay, |counters| {
        counters.allocations() == 0 && counters.connections() == 0
    });
    assert_eq!(client.carrier.0.read(&mut [0; 10]).expect("a good-bye"), 0);
}

#[test]
fn whoever_does_not_keep_to_tls_is_cut_off() {
    let relay = relay::start(&[]);
    for garbage in [
        &[22, 3, 1, 0, 2, 0, 0][..],
        &[22; 1_000],
        &[22, 3, 1, 255, 255],
    ] {
        let mut stream = connect(tls(&relay));
        stream.write_all(garbage).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("closed");
        // Perhaps an alert, and the end.
        let mut rest = Vec::new();
        if stream.read_to_end(&mut rest).is_ok() {
            assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
        }
    }
    // And who speaks something else within it.
    let mut stream = secure(tls(&relay), rustls::ALL_VERSIONS, &[]);
    stream.write_all(b"POST / HTTP/1.1\r\n\r\n").expect("sent");
    assert_eq!(stream.read(&mut [0; 10]).expect("a good-bye"), 0);
    await_counters(&relay, |counters| {
        counters.connections_made == 4 && counters.connections() == 0
    });
}

#[test]
fn a_session_that_has_begun_keeps_its_certificate_and_the_next_gets_the_new_one() {
    let shown = server();
    let relay = relay::start_adapted(|settings| settings.tls = Some(Arc::clone(&shown)));
    let mut before = over_tls(tls(&relay));
    before.allocate();
    let mut replaced = ServerConfig::clone(&shown.load());
    replaced.alpn_protocols = vec![b"replaced".to_vec()];
    shown.store(Arc::new(replaced));
    before.permit("8.8.8.8:1".parse().expect("an address"));
    let stream = secure(tls(&relay), rustls::ALL_VERSIONS, &["replaced"]);
    let mut after = Client::new(Stream(stream));
    after.bind();
    assert_eq!(after.carrier.0.conn.alpn_protocol(), Some(&b"replaced"[..]));
}

/// The tool does not look into what TLS has decrypted already before it waits for the socket, so
/// it misses the last messages.
fn assert_nearly_lossless(report: &str, packets: usize) {
    assert!(received(report) + 10 >= packets, "{report}");
}

#[test]
fn uclient_relays_over_tls() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let mut to = vec!["-t", "-S", "-c", "-e", "127.0.0.1", "-r", &peer.port];
    to.extend(["-n", "200", "-z", "5", "-l", "170"]);
    assert_nearly_lossless(&uclient_with_a_channel(tls(&relay), &to), 200);
    to.push("-s");
    assert_nearly_lossless(&uclient(tls(&relay), &to), 200);
    let counters = relay::counters(&relay);
    assert!(counters.packets_to_clients >= 400, "{counters:?}");
}
