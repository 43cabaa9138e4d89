//! What coturn's client of RFC 5780 finds out about each NAT, asking the real binary.

use crate::lay;
use crate::network::{Nat, Network};
use crate::processes::{command_in, run};
use crate::server::Server;

const DISCOVERY: [(&str, &str); 1] = [("PEERAGE_TURN_NAT_DISCOVERY_ALTERNATE", "5.0.0.2:3479")];

/// What the peer on side "a" finds out.
fn found(network: &Network, flags: &[&str]) -> String {
    let mut command = command_in(&network.space("peer-a"), "turnutils_natdiscovery");
    run(command.args(flags).arg("5.0.0.1"), "")
}

fn told_apart(nat: Nat, mapping: &str, filtering: &str) {
    let Some(network) = lay([nat, nat]) else {
        return;
    };
    let _server = Server::start(&network, &DISCOVERY);
    // With -P requests and answers are longer than a packet.
    for flags in [&["-m", "-f"][..], &["-m", "-f", "-P"]] {
        let said = found(&network, flags);
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
fn an_answer_to_a_second_socket_comes_by_the_mapping_of_the_first() {
    let nat = Nat::PortRestricted;
    let Some(network) = lay([nat, nat]) else {
        return;
    };
    let _server = Server::start(&network, &DISCOVERY);
    let said = found(&network, &["-t", "-T", "1"]);
    assert!(said.contains("RFC 5780 response 2"), "{said}");
}
