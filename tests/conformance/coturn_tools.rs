//! coturn's own client programs against our relay, version 4.6. Of `turnutils_uclient` some modes
//! are of no use: `-Z` asks for two addresses by a number that a draft had and RFC 8656 has not
//! (`turn-client-proto` asks by the right one), `-J` signs with half a key, `-b` wants SCTP and `-U`
//! a cipher that does nothing. What it can do to a server is in `coturn_abuse`.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use peerage::turn::Transport;

use crate::relay;

/// Runs `turnutils_uclient` with the static user; its whole output.
pub(crate) fn uclient(server: SocketAddr, arguments: &[&str]) -> String {
    let port = server.port().to_string();
    let (username, password) = relay::USER;
    let ip = server.ip().to_string();
    let output = Command::new("turnutils_uclient")
        .args(["-u", username, "-w", password, "-p", &port])
        .args(arguments)
        .arg(ip)
        .output()
        .expect("coturn's tools are installed");
    text(&output)
}

/// The same, where channels are bound. The tool picks one number, or now and then two, from the range
/// of RFC 5766, up to 0x7FFF; three out of four are refused by RFC 8656, and the tool gives up then.
/// It succeeds once in four to sixteen times, and a hundred are too few for ever.
pub(crate) fn uclient_with_a_channel(server: SocketAddr, arguments: &[&str]) -> String {
    let refused = "channel bind: error 400";
    for _ in 0..1_000 {
        let report = uclient(server, arguments);
        if report.contains("tot_send_msgs") {
            return report;
        }
        // What fails for another reason will not get better.
        assert!(report.contains(refused), "{report}");
    }
    panic!("a thousand times no number below 0x5000")
}

/// What `turnutils_natdiscovery` finds.
pub(crate) fn natdiscovery(server: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("turnutils_natdiscovery")
        .args(arguments)
        .args(["-p", &server.port().to_string(), &server.ip().to_string()])
        .output()
        .expect("coturn's tools are installed");
    text(&output)
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

/// All that was sent came back, and no packet was lost.
pub(crate) fn assert_lossless(report: &str, packets: usize) {
    let total = format!("tot_send_msgs={packets}, tot_recv_msgs={packets}");
    let lossless = "Total lost packets 0 (0.000000%)";
    assert!(
        report.contains(&total) && report.contains(lossless),
        "{report}"
    );
}

/// How many packets came back.
pub(crate) fn received(report: &str) -> usize {
    let (_, number) = report.rsplit_once("tot_recv_msgs=").unwrap_or_default();
    let end = number.find(|c: char| !c.is_ascii_digit());
    let number = number.get(..end.unwrap_or(number.len()));
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number of packets: {report}"))
}

/// coturn's echo server, for as long as the value lives.
pub(crate) struct EchoPeer {
    process: Child,
    pub(crate) port: String,
}

impl EchoPeer {
    pub(crate) fn start(ip: &str) -> Self {
        // A port that was free a moment ago; the tool takes none by itself.
        let probe = UdpSocket::bind((ip, 0)).expect("a free port");
        let port = probe.local_addr().expect("bound").port().to_string();
        drop(probe);
        let process = Command::new("turnutils_peer")
            .args(["-L", ip, "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("coturn's tools are installed");
        let this = Self { process, port };
        this.await_echo(ip);
        this
    }

    fn await_echo(&self, ip: &str) {
        let probe = UdpSocket::bind((ip, 0)).expect("a free port");
        probe
            .set_read_timeout(Some(std::time::Duration::from_millis(50)))
            .expect("a timeout");
        let peer: SocketAddr = SocketAddr::new(
            ip.parse().expect("an address"),
            self.port.parse().expect("a port"),
        );
        let answered = (0..200).any(|_| {
            // Until it listens, sending may be refused.
            let _ = probe.send_to(b"echo?", peer);
            probe.recv_from(&mut [0; 100]).is_ok()
        });
        assert!(answered, "turnutils_peer does not answer");
    }
}

impl Drop for EchoPeer {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was started here");
    }
}

#[test]
fn stunclient_learns_its_address() {
    let relay = relay::start(&[]);
    for server in relay.addresses() {
        let output = Command::new("turnutils_stunclient")
            .args(["-p", &server.port().to_string(), &server.ip().to_string()])
            .output()
            .expect("coturn's tools are installed");
        let report = text(&output);
        assert!(report.contains("UDP reflexive addr:"), "{report}");
    }
}

#[test]
fn uclient_relays_between_its_own_clients() {
    let relay = relay::start(&[]);
    let report = uclient(
        relay.addresses()[0],
        &["-y", "-c", "-s", "-m", "4", "-n", "50", "-z", "5"],
    );
    assert_lossless(&report, 4 * 50);
}

#[test]
fn uclient_moves_its_allocations() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    // To a peer that echoes: between its own clients the tool sends before the other side has
    // sent from its new address, and RFC 8016 gives such data to the old one.
    let to = [
        "-M",
        "-c",
        "-s",
        "-e",
        "127.0.0.1",
        "-r",
        &peer.port,
        "-n",
        "50",
        "-z",
        "5",
    ];
    assert_lossless(&uclient(relay.addresses()[0], &to), 50);
}

#[test]
fn uclient_relays_whatever_else_it_asks_for() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let [udp, tcp] = [Transport::Udp, Transport::Tcp].map(|it| relay::server(&relay, it));
    let ways: [(SocketAddr, &[&str]); 7] = [
        // An IPv4 address by name; DONT-FRAGMENT; more permissions than needed, again and again.
        (udp, &["-s", "-X"]),
        (udp, &["-s", "-g"]),
        (udp, &["-s", "-G"]),
        // ChannelData padded over UDP too, and over TCP, where it must be.
        (udp, &["-D", "-l", "101"]),
        (tcp, &["-D", "-l", "101", "-t"]),
        // ORIGIN and BANDWIDTH, which never became a standard.
        (udp, &["-s", "-o", "https://example.org", "-a", "100000"]),
        // Credentials that it makes itself from the shared secret.
        (udp, &["-s", "-W", relay::SECRET]),
    ];
    let to = ["-e", "127.0.0.1", "-r", &peer.port];
    let common = [&to[..], &["-c", "-n", "50", "-z", "5"]].concat();
    thread::scope(|scope| {
        for (server, way) in ways {
            let arguments = [&common, way].concat();
            scope.spawn(move || {
                assert_lossless(&uclient_with_a_channel(server, &arguments), 50);
            });
        }
    });
}

#[test]
fn uclient_relays_over_pairs_of_ports() {
    let relay = relay::start(&[]);
    // Without -c, every second client comes with the token of the one before.
    let report = uclient(
        relay.addresses()[0],
        &["-y", "-s", "-m", "4", "-n", "50", "-z", "5"],
    );
    assert_lossless(&report, 4 * 50);
}

#[test]
fn uclient_relays_to_an_echo_peer_through_indications() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let to = [
        "-c",
        "-s",
        "-e",
        "127.0.0.1",
        "-r",
        &peer.port,
        "-n",
        "50",
        "-z",
        "5",
    ];
    assert_lossless(&uclient(relay.addresses()[0], &to), 50);
}

#[test]
fn uclient_relays_to_an_echo_peer_through_a_channel() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let to = [
        "-c",
        "-e",
        "127.0.0.1",
        "-r",
        &peer.port,
        "-n",
        "50",
        "-z",
        "5",
        "-l",
        "1200",
    ];
    assert_lossless(&uclient_with_a_channel(relay.addresses()[0], &to), 50);
}

#[test]
fn uclient_relays_over_ipv6() {
    let relay = relay::start(&["::1"]);
    let peer = EchoPeer::start("::1");
    let to = [
        "-x", "-c", "-e", "::1", "-r", &peer.port, "-n", "50", "-z", "5",
    ];
    let report = uclient_with_a_channel(relay.addresses()[1], &to);
    assert_lossless(&report, 50);
}

#[test]
fn uclient_cannot_reach_other_services_on_the_servers_own_address() {
    let relay = relay::start(&[]);
    let peer = EchoPeer::start("127.0.0.1");
    let to = ["-c", "-s", "-e", "127.0.0.1", "-r", &peer.port, "-n", "5"];
    let report = uclient(relay.addresses()[0], &to);
    assert!(
        report.contains("tot_send_msgs=5, tot_recv_msgs=0"),
        "{report}"
    );
    let counters = relay::counters(&relay);
    assert_eq!(
        (counters.packets_to_peers, counters.packets_refused),
        (0, 5)
    );
}

#[test]
fn uclient_relays_between_its_own_clients_without_relay_sockets() {
    let relay = relay::start_portless(&[]);
    let report = uclient(
        relay.addresses()[0],
        &["-y", "-c", "-s", "-m", "4", "-n", "50", "-z", "5"],
    );
    assert_lossless(&report, 4 * 50);
}

#[test]
fn uclient_is_refused_everybody_outside_without_relay_sockets() {
    let relay = relay::start_portless(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let to = [
        "-v",
        "-c",
        "-s",
        "-e",
        "127.0.0.2",
        "-r",
        &peer.port,
        "-n",
        "5",
    ];
    let report = uclient(relay.addresses()[0], &to);
    assert!(report.contains("403"), "{report}");
}

#[test]
fn uclient_is_refused_with_a_wrong_password() {
    let relay = relay::start(&[]);
    let report = uclient(relay.addresses()[0], &["-v", "-y", "-c", "-w", "wrong"]);
    assert!(!report.contains("tot_send_msgs"), "{report}");
    let counters = relay::counters(&relay);
    assert!(counters.unauthenticated >= 2, "{report}");
    assert_eq!(counters.allocations_made, 0);
}
