//! What changes while the relay runs, and what does not.

use std::net::UdpSocket;
use std::time::Duration;

use crate::prober::Prober;
use crate::process::{Process, configuration};

const NO_LIMITS: &str = "unauthenticated_rate = 0\nmax_allocations_per_user = 0";

/// What `[turn.users]` says when alice is gone.
fn without_alice(turn: &str) -> String {
    configuration(turn).replace("alice = ", "# alice = ")
}

fn of_bob(server: &Process) -> Prober {
    let mut bob = Prober::new(server.turn);
    bob.sign_in_as("bob", "bob's password");
    bob
}

/// The worker of a client is told of a change before the log tells of it; after this it has
/// finished the round in which it has heard of it.
fn heeded(client: &Prober) {
    assert_eq!(client.settle(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_user_who_is_struck_out_is_gone_and_others_do_not_notice() {
    let mut server = Process::start(NO_LIMITS);
    let (alice, bob) = (Prober::new(server.turn), of_bob(&server));
    let [of_alice, of_bob] = [&alice, &bob].map(|it| it.allocate().expect("allocated"));
    for (client, peer) in [(&alice, of_bob), (&bob, of_alice)] {
        assert_eq!(client.bind_channel(0x4000, peer), Ok(()));
    }
    server.configure(&without_alice(NO_LIMITS));
    server.signal("HUP");
    server.wait_for_log("configuration reloaded, changed: turn.users");
    let took = server.wait_for_metric("peerage_turn_allocations", 1);
    assert!(took < Duration::from_secs(1), "{took:?}");
    bob.channel(0x4000, b"is anybody there?");
    assert_eq!(alice.settle(), Vec::<Vec<u8>>::new());
    assert_eq!(alice.allocate(), Err(401));
    assert_eq!(bob.refresh(600), Ok(()));
}

#[test]
fn a_changed_file_is_read_without_a_signal() {
    let mut server = Process::start(NO_LIMITS);
    let alice = Prober::new(server.turn);
    alice.allocate().expect("allocated");
    server.configure(&without_alice(NO_LIMITS));
    server.wait_for_log("configuration reloaded, changed: turn.users");
    server.wait_for_metric("peerage_turn_allocations", 0);
}

#[test]
fn a_wrong_file_changes_nothing() {
    let mut server = Process::start(NO_LIMITS);
    let alice = Prober::new(server.turn);
    alice.allocate().expect("allocated");
    server.configure(&without_alice("allow_peers = [\"ten\"]"));
    server.signal("HUP");
    let line = server.wait_for_log("the old one goes on");
    assert!(
        line.contains("WARN") && line.contains("turn.allow_peers"),
        "{line}"
    );
    assert_eq!(alice.refresh(600), Ok(()));
}

#[test]
fn what_waits_for_a_new_start_is_named() {
    let mut server = Process::start(NO_LIMITS);
    server.configure(&without_alice(NO_LIMITS).replace("example.org", "example.net"));
    server.signal("HUP");
    let line = server.wait_for_log("only taken over by a new start");
    assert!(
        line.contains("WARN") && line.ends_with("turn.realm"),
        "{line}"
    );
    server.wait_for_log("changed: turn.users");
    // The users are others; the realm they sign in is as it was.
    assert!(of_bob(&server).allocate().is_ok());
    assert_eq!(Prober::new(server.turn).allocate(), Err(401));
}

#[test]
fn a_peer_that_is_allowed_no_more_gets_nothing_more() {
    let allowed = format!("{NO_LIMITS}\nallow_peers = [\"127.0.0.0/8\"]");
    let mut server = Process::start(&allowed);
    let client = Prober::new(server.turn);
    let relayed = client.allocate().expect("allocated");
    let peer = UdpSocket::bind("127.0.0.2:0").expect("bound");
    let address = peer.local_addr().expect("bound");
    assert_eq!(client.bind_channel(0x4000, address), Ok(()));
    client.channel(0x4000, b"first");
    let mut buffer = [0; 100];
    assert_eq!(peer.recv(&mut buffer).expect("arrived"), 5);
    server.configure(&configuration(NO_LIMITS));
    server.signal("HUP");
    server.wait_for_log("changed: turn.allow_peers");
    heeded(&client);
    client.channel(0x4000, b"second");
    client.indicate(address, b"third");
    peer.send_to(b"back", relayed).expect("sent");
    assert_eq!(client.settle(), Vec::<Vec<u8>>::new());
    peer.set_nonblocking(true).expect("set");
    assert!(peer.recv(&mut buffer).is_err());
    assert_eq!(client.permit(&[address]), Err(403));
}

#[test]
fn limits_and_the_secret_change_while_calls_go_on() {
    let mut server = Process::start(&format!("{NO_LIMITS}\nsecret = \"north\""));
    let mut bob = of_bob(&server);
    bob.allocate().expect("allocated");
    server.configure(&configuration(
        "unauthenticated_rate = 0\nmax_allocations = 1\nsecret = \"south\"",
    ));
    server.signal("HUP");
    server.wait_for_log("turn.secret");
    let mut newcomer = Prober::new(server.turn);
    heeded(&newcomer);
    newcomer.learn_nonce();
    assert_eq!(newcomer.allocate(), Err(508));
    heeded(&bob);
    // Nonces are made with the secret, and clients ask for new ones by themselves.
    assert_eq!(bob.refresh(600), Err(438));
    bob.learn_nonce();
    assert_eq!(bob.refresh(600), Ok(()));
}
