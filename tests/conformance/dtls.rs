//! TURN over DTLS (RFC 7350, RFC 8656 section 3.1).

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use peerage::relay::Relay;
use peerage::stun::{Attribute, Method};
use peerage::turn::Transport;
use socket2::{Domain, Socket, Type};

use crate::client::{Carrier, Client, over_tcp, over_udp};
use crate::coturn_tools::{EchoPeer, assert_lossless, uclient, uclient_with_a_channel};
use crate::dtls_client::{Association, hello, over_dtls, socket_to};
use crate::process::Process;
use crate::relay::{self, await_counters};
use crate::tcp::{PAIRS, converse};
use crate::tls;

/// Listeners of a server on free ports.
const LISTEN: &str = r#"listen = ["udp://127.0.0.1:0", "dtls://127.0.0.1:0", "dtls://[::1]:0"]
allow_peers = ["127.0.0.0/8"]
"#;

fn dtls(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Dtls)
}

#[test]
fn a_client_learns_its_address_over_dtls_on_ipv4_and_ipv6() {
    let relay = relay::start(&[]);
    let listeners = relay.listeners().iter();
    let mut served = 0;
    for listener in listeners.filter(|listener| listener.transport == Transport::Dtls) {
        let mut client = over_dtls(listener.address);
        let local = client.carrier.socket.local_addr().expect("bound");
        assert_eq!(client.bind(), local);
        served += 1;
    }
    assert_eq!(served, 2);
}

#[test]
fn clients_over_dtls_meet_all_others_whichever_worker_they_are_with() {
    let relay = relay::start(&[]);
    let server = dtls(&relay);
    let by_udp = relay::server(&relay, Transport::Udp);
    let by_tcp = relay::server(&relay, Transport::Tcp);
    // A port that came back would bring its next owner the allocation of the one before.
    let mut kept = Vec::new();
    for _ in 0..PAIRS {
        let mut plain = over_udp(by_udp);
        let mut sealed = [(); 4].map(|()| over_dtls(server));
        let [first, second, third, fourth] = &mut sealed;
        converse(first, &mut plain);
        converse(&mut over_tcp(by_tcp), second);
        converse(third, fourth);
        kept.push((plain, sealed));
    }
    let counters = relay::counters(&relay);
    assert!(counters.packets_posted > 0, "all pairs had one worker");
    assert_eq!(counters.packets_unsent, 0);
}

#[test]
fn a_client_over_dtls_and_a_peer_speak_in_both_directions() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let mut client = over_dtls(dtls(&relay));
    let relayed = client.allocate();
    let peer = socket_to(relayed);
    let at_peer = peer.local_addr().expect("bound");
    client.permit(at_peer);
    let mut buffer = [0; 20_000];
    for length in [0, 1, 3, 1_200, 16_000] {
        let payload = vec![7; length];
        client.send_indication(at_peer, &payload);
        let arrived = peer.recv(&mut buffer).expect("relayed");
        assert_eq!(buffer[..arrived], payload);
        peer.send(&payload).expect("sent");
        assert_eq!(client.receive_data(), payload);
    }
    // No record holds this much; what comes after it arrives.
    peer.send(&[7; 17_000]).expect("sent");
    peer.send(b"after").expect("sent");
    assert_eq!(client.receive_data(), b"after");
    assert_eq!(relay::counters(&relay).packets_unsent, 1);
}

#[test]
fn a_client_over_dtls_is_told_of_what_did_not_arrive() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let mut client = over_dtls(dtls(&relay));
    client.allocate();
    let closed = UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr();
    let closed = closed.expect("bound");
    client.permit(closed);
    client.send_indication(closed, b"hello");
    let notice = client.carrier.receive().expect("in time");
    let notice = peerage::stun::Message::parse(&notice).expect("well formed");
    assert_eq!(
        notice.find(Attribute::ICMP),
        Some(&[0, 0, 3, 3, 0, 0, 0, 0][..])
    );
}

#[test]
fn an_allocation_ends_with_its_association() {
    let relay = relay::start(&[]);
    let mut client = over_dtls(dtls(&relay));
    client.allocate();
    await_counters(&relay, |counters| {
        counters.allocations() == 1 && counters.connections() == 1
    });
    client.carrier.close();
    await_counters(&relay, |counters| {
        counters.allocations() == 0 && counters.connections() == 0
    });
    assert_eq!(client.carrier.receive(), None);
}

#[test]
fn clients_hear_a_good_bye_when_the_relay_stops() {
    let relay = relay::start(&[]);
    let mut client = over_dtls(dtls(&relay));
    client.allocate();
    drop(relay);
    assert_eq!(client.carrier.receive(), None);
}

#[test]
fn a_record_that_the_kernel_gives_to_the_wrong_worker_still_arrives() {
    const CLIENTS: usize = 48;
    let relay = relay::start(&[]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| over_dtls(dtls(&relay))).collect();
    for client in &mut clients {
        client.allocate();
    }
    assert_eq!(relay::counters(&relay).packets_posted, 0);
    // Takes its share of what the listeners got so far, and makes the kernel deal anew.
    let intruder = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    intruder.set_reuse_port(true).expect("SO_REUSEPORT");
    intruder.bind(&dtls(&relay).into()).expect("shared");
    let intruder = UdpSocket::from(intruder);
    intruder.set_nonblocking(true).expect("not blocking");
    let mut lost = 0;
    for client in &mut clients {
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[5; 12]].concat();
        client.carrier.send(&request);
        let socket = &client.carrier.socket;
        let soon = Some(Duration::from_millis(500));
        socket.set_read_timeout(soon).expect("a timeout");
        lost += usize::from(client.carrier.step().is_none());
    }
    let taken = std::iter::from_fn(|| intruder.recv_from(&mut [0; 2_000]).ok());
    assert_eq!(lost, taken.count(), "only what the intruder took was lost");
    let counters = relay::counters(&relay);
    assert!(counters.packets_posted > 0, "nobody has moved");
    assert_eq!(counters.connections(), CLIENTS as u64);
}

#[test]
fn an_association_outlives_its_allocation_and_may_have_another() {
    let relay = relay::start(&[]);
    let mut client = over_dtls(dtls(&relay));
    client.allocate();
    let answer = client.request(Method::REFRESH, &|writer| {
        writer.u32(Attribute::LIFETIME, 0);
    });
    answer.expect("ended");
    client.allocate();
    assert_eq!(relay::counters(&relay).connections_made, 1);
}

#[test]
fn a_client_that_starts_anew_on_its_port_has_no_allocation_there_any_more() {
    let relay = relay::start(&[]);
    let mut client = over_dtls(dtls(&relay));
    client.allocate();
    let socket = client.carrier.socket.try_clone().expect("cloned");
    let mut anew = Client::new(Association::with(socket));
    // The old one would be in the way (437).
    anew.allocate();
    await_counters(&relay, |counters| {
        counters.allocations_made == 2 && counters.allocations() == 1
    });
    let counters = relay::counters(&relay);
    assert_eq!((counters.connections(), counters.connections_made), (1, 1));
}

#[test]
fn a_record_that_comes_twice_is_relayed_once() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let mut client = over_dtls(dtls(&relay));
    let peer = socket_to(client.allocate());
    let at_peer = peer.local_addr().expect("bound");
    client.bind_channel(0x4000, at_peer);
    let data = |payload: u8| [0x40, 0, 0, 1, payload];
    let [first, second] = [1, 2].map(|payload| client.carrier.seal(&data(payload)));
    for datagram in [&first, &first, &second, &first] {
        client.carrier.socket.send(datagram).expect("sent");
    }
    client.send_by_channel(0x4000, &[3]);
    for expected in [1, 2, 3] {
        let mut buffer = [0; 10];
        assert_eq!(peer.recv(&mut buffer).expect("relayed"), 1);
        assert_eq!(buffer[0], expected);
    }
}

#[test]
fn whatever_is_no_record_of_an_association_changes_nothing() {
    let relay = relay::start(&[]);
    let server = dtls(&relay);
    let mut client = over_dtls(server);
    client.allocate();
    let stranger = socket_to(server);
    let sealed = client.carrier.seal(b"spoilt below");
    for number in 0..2_000_usize {
        let mut spoilt = sealed.clone();
        let at = number % spoilt.len();
        spoilt[at] ^= 1 << (number % 8);
        let garbage: Vec<u8> = (0..number % 100).map(|at| (at * number) as u8).collect();
        let cut = &sealed[..number % sealed.len()];
        for datagram in [&spoilt[..], &garbage, cut] {
            stranger.send(datagram).expect("sent");
            // An unspoilt copy would be a good record.
            client.carrier.socket.send(datagram).expect("sent");
        }
        if number % 50 == 0 {
            client.bind();
        }
    }
    client.bind();
    let counters = relay::counters(&relay);
    assert_eq!((counters.connections(), counters.allocations()), (1, 1));
    assert_eq!(counters.connections_made, 1);
}

#[test]
fn a_classic_request_over_dtls_is_answered_by_500_and_an_indication_not_at_all() {
    let relay = relay::start(&[]);
    let mut client = over_dtls(dtls(&relay));
    client
        .carrier
        .send(&[&[0, 0x11, 0, 0][..], &[9; 16]].concat());
    client.carrier.send(&[&[0, 1, 0, 0][..], &[8; 16]].concat());
    let answer = client.carrier.receive().expect("an answer");
    assert_eq!(answer[..4], [1, 0x11, 0, 8]);
    assert_eq!(answer[4..20], [8; 16]);
    assert_eq!(answer[20..], [0, 9, 0, 4, 0, 0, 5, 0]);
}

#[test]
fn an_association_keeps_its_certificate_and_the_next_is_shown_the_new_one() {
    let shown = tls::server_by_datagrams();
    let relay = relay::start_adapted(|settings| settings.dtls = Some(Arc::clone(&shown)));
    let mut before = over_dtls(dtls(&relay));
    before.allocate();
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).expect("made");
    shown.store(Arc::new(tls::identity(&other)));
    before.permit("8.8.8.8:1".parse().expect("an address"));
    let after = over_dtls(dtls(&relay));
    assert_eq!(before.carrier.certificate, **tls::certificate().cert.der());
    assert_eq!(after.carrier.certificate, **other.cert.der());
}

#[test]
fn associations_and_connections_have_their_places_in_common() {
    let relay = relay::start_adapted(|settings| settings.connections = 2);
    let mut by_dtls = over_dtls(dtls(&relay));
    by_dtls.allocate();
    let mut by_tcp = over_tcp(relay::server(&relay, Transport::Tcp));
    by_tcp.allocate();
    let mut refused = Association::begin(socket_to(dtls(&relay)));
    // The hello, and the one with the cookie, which nobody answers.
    assert_eq!(refused.step(), None);
    await_counters(&relay, |counters| counters.connections_refused == 1);
    assert_eq!(relay::counters(&relay).connections_made, 2);
}

#[test]
fn uclient_relays_over_dtls() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let mut to = vec!["-S", "-c", "-e", "127.0.0.1", "-r", &peer.port];
    to.extend(["-n", "50", "-z", "5", "-l", "170"]);
    assert_lossless(&uclient_with_a_channel(dtls(&relay), &to), 50);
    to.push("-s");
    assert_lossless(&uclient(dtls(&relay), &to), 50);
}

#[test]
fn uclient_relays_over_dtls_through_the_real_binary() {
    let mut server = Process::start(LISTEN);
    let listeners = server.listeners("dtls");
    assert_eq!(listeners.len(), 2);
    for listener in listeners {
        let between = ["-S", "-y", "-s", "-c", "-m", "2", "-n", "50", "-z", "5"];
        assert_lossless(&uclient(listener, &between), 2 * 50);
    }
    let relayed = r#"peerage_turn_relayed_addresses{transport="dtls",family="ipv4"}"#;
    let made = "peerage_turn_connections_made_total";
    assert!(server.metric(relayed) > 0 && server.metric(made) > 3);
    server.stop();
}

/// What `openssl s_client` says of a handshake.
fn s_client(server: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("timeout")
        .args(["30", "openssl", "s_client", "-connect", &server.to_string()])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl is installed");
    [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat()
}

#[test]
fn openssl_agrees_on_every_suite_and_is_told_where_there_is_none() {
    let relay = relay::start(&[]);
    let with = |arguments: &[&str]| s_client(dtls(&relay), arguments);
    for suite in [
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ] {
        let report = with(&["-dtls1_2", "-cipher", suite]);
        assert!(report.contains(&format!("Cipher is {suite}")), "{report}");
        let secure = ["Secure Renegotiation IS supported", "Compression: NONE"];
        assert!(secure.iter().all(|line| report.contains(line)), "{report}");
    }
    let favourite = with(&["-dtls1_2"]);
    assert!(favourite.contains("Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"));
    let report = with(&["-dtls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
    assert!(report.contains("alert handshake failure"), "{report}");
    let report = with(&["-dtls1", "-cipher", "DEFAULT:@SECLEVEL=0"]);
    assert!(report.contains("alert protocol version"), "{report}");
    let counters = relay::counters(&relay);
    await_counters(&relay, |counters| counters.connections() == 0);
    assert_eq!(counters.connections_made, 4);
}

#[test]
fn hellos_without_a_cookie_leave_nothing_behind_and_are_not_amplified() {
    const SOURCES: usize = 10_000;
    let server = Process::start(LISTEN);
    let listener = server.listeners("dtls")[0];
    let hello = hello();
    let flood = |count| {
        for _ in 0..count {
            let socket = socket_to(listener);
            socket.send(&hello).expect("sent");
            let mut answer = [0; 2_000];
            let length = socket.recv(&mut answer).expect("an answer");
            assert!(length < hello.len(), "{length}");
            // A HelloVerifyRequest.
            assert_eq!((answer[0], answer[13]), (22, 3));
        }
    };
    flood(SOURCES / 20);
    let (memory, descriptors) = (server.resident(), server.descriptors());
    flood(SOURCES);
    let grown = server.resident().saturating_sub(memory);
    assert!(grown <= 1_024, "{grown} kB");
    // One is the metrics page's connection.
    assert!(server.descriptors() <= descriptors + 1);
    assert_eq!(server.metric("peerage_turn_connections_made_total"), 0);
    // And a client is served as before.
    over_dtls(listener).bind();
}

/// Certificate files that can be replaced.
struct Files(tempfile::TempDir);

impl Files {
    /// Files with a new certificate for such a key.
    fn with(algorithm: &'static rcgen::SignatureAlgorithm) -> (Self, Vec<u8>) {
        let this = Self(tempfile::tempdir().expect("a folder"));
        let certificate = this.replace(algorithm);
        (this, certificate)
    }

    /// Puts a new certificate in the place of the present one.
    fn replace(&self, algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        let [shown, secret] = self.paths();
        std::fs::write(shown, certificate.pem()).expect("written");
        std::fs::write(secret, key.serialize_pem()).expect("written");
        certificate.der().to_vec()
    }

    fn paths(&self) -> [String; 2] {
        ["certificate.pem", "key.pem"].map(|name| self.0.path().join(name).display().to_string())
    }

    /// A server that uses them.
    fn serve(&self) -> Process {
        let [shown, secret] = self.paths();
        let files = format!("[http.tls]\ncertificate = \"{shown}\"\nkey = \"{secret}\"\n");
        Process::start(&format!("{LISTEN}{files}"))
    }
}

#[test]
fn a_renewed_certificate_is_shown_over_dtls_unless_it_does_not_fit() {
    let (files, first) = Files::with(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut server = files.serve();
    let listener = server.listeners("dtls")[0];
    assert_eq!(over_dtls(listener).carrier.certificate, first);
    let second = files.replace(&rcgen::PKCS_ECDSA_P384_SHA384);
    server.signal("HUP");
    server.wait_for_log("another certificate is shown");
    assert_eq!(over_dtls(listener).carrier.certificate, second);
    files.replace(&rcgen::PKCS_RSA_SHA256);
    server.signal("HUP");
    let told = server.wait_for_log("over DTLS the certificate of before is shown still");
    assert!(
        told.contains("WARN") && told.contains("http.tls.key"),
        "{told}"
    );
    assert_eq!(over_dtls(listener).carrier.certificate, second);
}

#[test]
fn an_rsa_key_leaves_only_dtls_out_and_says_so() {
    let (files, _) = Files::with(&rcgen::PKCS_RSA_SHA256);
    let server = files.serve();
    let told = server.log.lines().filter(|line| line.contains("WARN"));
    let told: Vec<_> = told.filter(|line| line.contains("dtls://")).collect();
    let all = [
        "turn.listen: dtls://127.0.0.1:0, dtls://[::1]:0",
        "http.tls.key",
        "P-256",
    ];
    assert_eq!(told.len(), 1, "{}", server.log);
    assert!(all.iter().all(|part| told[0].contains(part)), "{told:?}");
    assert_eq!(server.listeners("dtls"), []);
    over_udp(server.turn).bind();
}
