//! What the relay is told of rooms, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerage::gateway::{Settings, Sink};
use peerage::signal::{Announcement, Config};
use serde_json::json;

use crate::world::Server;

/// Whoever is told of an address asks the relay for it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_knows_of_members_and_their_addresses_before_anybody_else() {
    let known = Arc::new(Mutex::new(Vec::new()));
    let relay = Arc::clone(&known);
    let announcements = Sink::new(move |announcement| {
        // A relay that is slow to learn: were anybody told before, that one would be faster. Other
        // tasks of this thread go on meanwhile.
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(100)));
        let mut known = relay.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(announcement);
    });
    let config = Config {
        announces: true,
        ..Config::default()
    };
    let settings = Settings {
        announcements: Some(announcements),
        ..Settings::default()
    };
    let server = Server::with(config, settings).await;
    let told = || std::mem::take(&mut *known.lock().unwrap_or_else(PoisonError::into_inner));
    let (mut ada, _) = server.member("blue").await;
    assert!(matches!(told()[..], [Announcement::Entered { .. }]));
    let (mut grace, joined) = server.member("blue").await;
    ada.expect("presence").await;
    assert!(matches!(told()[..], [Announcement::Entered { .. }]));
    let candidate = "candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host";
    let said = json!({"type": "candidate", "id": 2, "room": "blue", "to": ada.session,
        "epoch": joined["members"][0]["epoch"], "body": {"candidate": candidate}});
    grace.send(said).await;
    ada.expect("candidate").await;
    let told = told();
    let [
        Announcement::Addresses {
            session, addresses, ..
        },
    ] = &told[..]
    else {
        panic!("told {told:?}");
    };
    assert_eq!(session.to_string(), grace.session);
    assert_eq!(
        *addresses,
        ["192.0.2.7".parse::<std::net::IpAddr>().expect("an address")]
    );
}
