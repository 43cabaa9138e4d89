//! Clients that are not written in Rust: aioice, and Pion's. Each is a program beside this file
//! which does the same as the other, as its library does it.

use std::net::SocketAddr;
use std::process::Command;

use peerage::turn::Transport;

use crate::coturn_tools::EchoPeer;
use crate::programs::{self, make_python, text};
use crate::relay::{self, await_counters};
use crate::tls;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/foreign");
const MADE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/foreign");

/// A program, and how it is called.
#[derive(Clone, Copy, Debug)]
enum Client {
    Aioice,
    Pion,
}

impl Client {
    fn command(self) -> Command {
        match self {
            Self::Aioice => {
                let mut command = Command::new(format!("{MADE}/python/bin/python"));
                command.arg(format!("{SOURCES}/aioice_client.py"));
                command
            }
            Self::Pion => Command::new(format!("{MADE}/pion")),
        }
    }

    /// Runs it to its end; gives what it has told, line by line.
    fn run(
        self,
        (transport, server): (&str, SocketAddr),
        user: (&str, &str),
        peer: &EchoPeer,
        more: &[&str],
    ) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, tls::certificate().cert.pem()).expect("written");
        let output = self
            .command()
            .args([transport, &server.port().to_string()])
            .args([user.0, user.1, &peer.port])
            .arg(ca)
            .args(more)
            .output()
            .expect("it was made");
        assert!(output.status.success(), "{self:?}: {}", text(&output));
        let told = String::from_utf8(output.stdout).expect("text");
        told.lines().map(str::to_owned).collect()
    }
}

/// Makes the clients if they have not been made. It may take a while.
fn make() {
    make_python(MADE, SOURCES);
    programs::make(&format!("{SOURCES}/pion.sh"), &[MADE]);
}

/// Over UDP, TCP and TLS: an allocation, 50 datagrams to a peer and back, and an end that the
/// relay is told of.
fn relays_over_every_transport(client: Client, echoes: u64) {
    make();
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let transports = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
    ];
    for (number, (name, transport)) in (1..).zip(transports) {
        let minted = relay::time_limited("ada");
        let user = (&*minted.username, minted.password.expose());
        let server = relay::server(&relay, transport);
        let told = client.run((name, server), user, &peer, &[]);
        assert_eq!(told.last().map(String::as_str), Some("closed"), "{told:?}");
        await_counters(&relay, |counters| {
            counters.allocations_made == number
                && counters.allocations() == 0
                && counters.connections() == 0
                && counters.packets_to_peers == echoes * number
                && counters.packets_to_clients == echoes * number
        });
    }
}

/// A client that wants to keep its allocation refreshes it. With credentials that are about to
/// expire it is short, so that nobody has to wait for that.
fn refreshes(client: Client) {
    make();
    let relay = relay::start_adapted(|settings| {
        settings.strict_expiry = true;
        settings.allow_peers = vec!["127.0.0.0/8".parse().expect("a range")];
    });
    let peer = EchoPeer::start("127.0.0.1");
    let server = ("udp", relay::server(&relay, Transport::Udp));
    let minted = relay::time_limited_for(8, "ada");
    let user = (&*minted.username, minted.password.expose());
    let told = client.run(server, user, &peer, &["refresh"]);
    assert!(told.iter().any(|line| line == "refreshed"), "{told:?}");
    await_counters(&relay, |counters| counters.allocations() == 0);
    assert_eq!(relay::counters(&relay).allocations_made, 1);
}

#[test]
fn aioice_relays_over_udp_tcp_and_tls() {
    relays_over_every_transport(Client::Aioice, 50);
}

#[test]
fn aioice_refreshes_its_allocation_and_renews_its_channel() {
    refreshes(Client::Aioice);
}

#[test]
fn pions_client_relays_over_udp_tcp_and_tls() {
    relays_over_every_transport(Client::Pion, 100);
}

#[test]
fn pions_client_refreshes_its_allocation() {
    refreshes(Client::Pion);
}
