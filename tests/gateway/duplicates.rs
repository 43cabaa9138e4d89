//! Somebody who comes into a room from a second device.

use serde_json::{Value, json};

use crate::bearer::{bearer, claims, server, token};
use crate::world::{Client, Server};

async fn come(server: &Server, subject: &str) -> Client {
    let rooms = json!([{"room": "blue", "role": "host"}]);
    bearer(server, &token(&claims(subject, &rooms))).await.0
}

async fn set_duplicates(host: &mut Client, id: u64, policy: &str) -> Value {
    host.send(json!({"type": "set_room", "id": id, "room": "blue", "duplicates": policy}))
        .await;
    host.expect("room").await["settings"].clone()
}

#[tokio::test]
async fn a_room_says_what_becomes_of_a_second_session_of_a_subject() {
    let server = server().await;
    let mut host = come(&server, "grace").await;
    let joined = host.join(1, "blue").await;
    assert_eq!(joined["settings"]["duplicates"], "allow");
    let mut older = come(&server, "ada").await;
    older.join(1, "blue").await;
    host.expect("presence").await;
    assert_eq!(
        set_duplicates(&mut host, 2, "reject").await["duplicates"],
        "reject"
    );

    let mut newer = come(&server, "ada").await;
    newer
        .send(json!({"type": "join", "id": 1, "room": "blue"}))
        .await;
    assert_eq!(newer.expect("error").await["code"], "duplicate_member");
    assert_eq!(server.counters.rejected.of("duplicate_member"), 1);

    assert_eq!(
        set_duplicates(&mut host, 3, "replace").await["duplicates"],
        "replace"
    );
    assert_eq!(
        newer.join(2, "blue").await["members"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(older.expect("removed").await["reason"], "replaced");
    let left = host.expect("presence").await["member"].clone();
    assert_eq!(
        (&left["session"], &left["reason"]),
        (&json!(older.session), &json!("replaced"))
    );
    let come = host.expect("presence").await["member"].clone();
    assert_eq!(
        (&come["session"], &come["state"]),
        (&json!(newer.session), &json!("joined"))
    );

    host.send(json!({"type": "set_room", "id": 4, "room": "blue", "duplicates": "maybe"}))
        .await;
    assert_eq!(host.expect("error").await["code"], "malformed");
}
