//! What coturn's client of RFC 5780 finds out about each NAT, asking the real binary.

use crate::lay;
use crate::network::{Nat, Network};
use crate::processes::{command_in, run};
use crate::server::Server;

const ALTERNATE: &str = "PEERAGE_TURN_NAT_DISCOVERY_ALTERNATE";

/// A server with a second address for who is behind `nat`.
fn serve(network: &Network, nat: Nat) -> Server {
    let alternate = match nat {
        Nat::Ipv6 => "[2a01::2]:3479",
        _ => "5.0.0.2:3479",
    };
    Server::start(network, &[(ALTERNATE, alternate)])
}

/// What the peer on side "a" finds out, behind `nat`.
fn found(network: &Network, nat: Nat, flags: &[&str]) -> String {
    let mut command = command_in(&network.space("peer-a"), "turnutils_natdiscovery");
    let server = nat.server().trim_matches(['[', ']']);
    run(command.args(flags).arg(server), "")
}

fn told_apart(nat: Nat, mapping: &str, filtering: &str) {
    let Some(network) = lay([nat, nat]) else {
        return;
    };
    let _server = serve(&network, nat);
    // With -P requests and answers are longer than a packet.
    for flags in [&["-m", "-f"][..], &["-m", "-f", "-P"]] {
        let said = found(&network, nat, flags);
        for expected in [
            format!("NAT with {mapping} Mapping!"),
            format!("NAT with {filtering} Filtering!"),
        ] {
            assert!(said.contains(&expected), "no {expected:?} in\n{said}");
        }
    }
}

#[test]
fn a_full_cone_is_told_from_other_nats() {
    told_apart(
        Nat::FullCone,
        "Endpoint Independent",
        "Endpoint Independent",
    );
}

#[test]
fn a_port_restricted_nat_is_told_from_other_nats() {
    told_apart(
        Nat::PortRestricted,
        "Endpoint Independent",
        "Address and Port Dependent",
    );
}

#[test]
fn a_symmetric_nat_is_told_from_other_nats() {
    told_apart(
        Nat::Symmetric,
        "Address and Port Dependent",
        "Address and Port Dependent",
    );
}

#[test]
fn who_has_ipv6_and_no_nat_is_told_so() {
    told_apart(Nat::Ipv6, "Endpoint Independent", "Endpoint Independent");
}

#[test]
fn an_answer_to_a_second_socket_comes_by_the_mapping_of_the_first() {
    let nat = Nat::PortRestricted;
    let Some(network) = lay([nat, nat]) else {
        return;
    };
    let _server = serve(&network, nat);
    let said = found(&network, nat, &["-t", "-T", "1"]);
    assert!(said.contains("RFC 5780 response 2"), "{said}");
}
