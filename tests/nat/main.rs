//! Real NATs: two peers in network namespaces, each behind a NAT of its own, and the server on
//! an internet between them. The peers are processes of `tests/browser/native_peer`, which finds
//! its way by ICE as a browser does; the tests look at the pair of candidates that it chooses. Its
//! library gets to a relay over UDP only: what needs TCP or TLS is tested with browsers, in
//! `tests/browser/nat.test.js`, over the same networks.
//!
//! It needs root, for the namespaces; without, every test is skipped and says so.

mod discovery;
mod network;
mod peer;
mod processes;
mod server;

use network::{Nat, Network};
use peer::Peer;
use server::Server;

/// Two peers in a call: Ada on the side "a", and Grace on the side "b".
struct Call {
    ada: Peer,
    grace: Peer,
    server: Server,
    // Last: it goes when nobody is in it any more.
    network: Network,
}

impl Call {
    fn begin(network: Network, nats: [Nat; 2], settings: &[(&str, &str)], peers: &[&str]) -> Self {
        let server = Server::start(&network, settings);
        let start = |side, nat: Nat| {
            let from = ["--from", nat.address()];
            let flags = [&from[..], peers].concat();
            Peer::start(&network, side, &server.signaling(nat), &flags)
        };
        let ada = start("a", nats[0]);
        ada.tells("joined", |_| true);
        let grace = start("b", nats[1]);
        Self {
            ada,
            grace,
            server,
            network,
        }
    }

    /// Both hear each other and can talk.
    fn assert_flows(&self) {
        for peer in [&self.ada, &self.grace] {
            peer.tells("chat", |event| event["text"] == "hello from Native");
            self.assert_media_go_on(peer);
        }
    }

    /// More media come than have come so far.
    fn assert_media_go_on(&self, peer: &Peer) {
        let so_far = peer.packets();
        peer.tells("rtp", |event| event["packets"].as_u64() > Some(so_far + 20));
    }

    /// Both NATs lose their mappings, and media go on.
    fn assert_outlives_forgetting(&self) {
        self.network.forget("a");
        self.network.forget("b");
        self.assert_media_go_on(&self.ada);
        self.assert_media_go_on(&self.grace);
    }

    fn assert_is_direct(&self) {
        for peer in [&self.ada, &self.grace] {
            peer.tells("selected", |pair| {
                pair["local"] != "relay" && pair["remote"] != "relay"
            });
        }
        self.assert_flows();
    }

    fn assert_is_relayed(&self) {
        for peer in [&self.ada, &self.grace] {
            peer.tells("selected", |pair| {
                pair["local"] == "relay" || pair["remote"] == "relay"
            });
        }
        self.assert_flows();
        // Nothing better has been found in the meantime.
        for peer in [&self.ada, &self.grace] {
            let pair = peer.last("selected").expect("told before");
            assert!(
                pair["local"] == "relay" || pair["remote"] == "relay",
                "{pair}"
            );
        }
    }
}

/// An internet with these two NATs; `None`, and a loud word, without root.
fn lay(nats: [Nat; 2]) -> Option<Network> {
    if network::is_root() {
        return Some(Network::lay(nats[0], nats[1]));
    }
    eprintln!("SKIPPED: network namespaces need root, and this test was run without");
    None
}

fn connect_directly(nats: [Nat; 2]) {
    let Some(network) = lay(nats) else { return };
    Call::begin(network, nats, &[], &[]).assert_is_direct();
}

fn meet_on_the_relay(nats: [Nat; 2]) {
    let Some(network) = lay(nats) else { return };
    Call::begin(network, nats, &[], &[]).assert_is_relayed();
}

#[test]
fn two_full_cones_connect_directly() {
    connect_directly([Nat::FullCone, Nat::FullCone]);
}

#[test]
fn two_port_restricted_nats_connect_directly() {
    connect_directly([Nat::PortRestricted, Nat::PortRestricted]);
}

#[test]
fn a_symmetric_nat_and_a_full_cone_connect_directly() {
    connect_directly([Nat::Symmetric, Nat::FullCone]);
}

#[test]
fn two_symmetric_nats_meet_on_the_relay() {
    meet_on_the_relay([Nat::Symmetric, Nat::Symmetric]);
}

#[test]
fn a_symmetric_and_a_port_restricted_nat_meet_on_the_relay() {
    meet_on_the_relay([Nat::Symmetric, Nat::PortRestricted]);
}

#[test]
fn an_ipv6_only_and_an_ipv4_only_peer_meet_on_the_relay() {
    meet_on_the_relay([Nat::Ipv6, Nat::PortRestricted]);
}

/// The peers tell each other their private addresses, too, and the relay tries those.
#[test]
fn a_peer_that_cannot_be_reached_costs_a_packet_and_never_the_call() {
    let nats = [Nat::Symmetric, Nat::Symmetric];
    let Some(network) = lay(nats) else { return };
    network.remove_void();
    let call = Call::begin(
        network,
        nats,
        &[("PEERAGE_TURN_ALLOW_PEERS", "10.0.0.0/8")],
        &[],
    );
    call.assert_is_relayed();
    let unsent = call.server.metric("peerage_turn_packets_unsent_total");
    assert!(unsent > 0, "no packet met an error");
}

#[test]
fn a_direct_call_outlives_that_both_nats_forget_it() {
    let nats = [Nat::PortRestricted, Nat::PortRestricted];
    let Some(network) = lay(nats) else { return };
    let call = Call::begin(network, nats, &[], &[]);
    call.assert_is_direct();
    call.assert_outlives_forgetting();
}

#[test]
fn a_relayed_call_outlives_that_both_nats_forget_it() {
    let nats = [Nat::PortRestricted, Nat::PortRestricted];
    let Some(network) = lay(nats) else { return };
    let call = Call::begin(network, nats, &[], &["--relay-only"]);
    call.assert_is_relayed();
    call.assert_outlives_forgetting();
}
