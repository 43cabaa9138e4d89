//! Hosts look after a room, and members keep something in it; every message on the wire.

use serde_json::json;

use crate::world::{Client, Server};

async fn ask(client: &mut Client, message: serde_json::Value) {
    client.send(message).await;
}

#[tokio::test]
async fn a_host_locks_lets_in_and_puts_out() {
    let server = Server::start().await;
    let (mut ada, joined) = server.member("blue").await;
    assert_eq!(
        joined["settings"],
        json!({"locked": false, "limit": 64, "duplicates": "allow"})
    );
    let lock = json!({"type": "set_room", "id": 2, "room": "blue", "locked": true, "limit": 2});
    ask(&mut ada, lock).await;
    let told = ada.expect("room").await;
    assert_eq!(told["re"], 2);
    assert_eq!(
        told["settings"],
        json!({"locked": true, "limit": 2, "duplicates": "allow"})
    );

    let mut grace = server.client().await;
    let join = |id: u64, knock: bool| {
        json!({"type": "join", "id": id, "room": "blue", "name": "Grace", "data": [1],
            "knock": knock})
    };
    ask(&mut grace, join(1, false)).await;
    assert_eq!(grace.expect("error").await["code"], "room_locked");
    ask(&mut grace, join(1, true)).await;
    assert_eq!(grace.expect("knocking").await["re"], 1);
    let knock = ada.expect("knock").await;
    assert_eq!(knock["session"], grace.session);
    assert_eq!(
        (&knock["name"], &knock["data"]),
        (&json!("Grace"), &json!([1]))
    );
    let about = |kind: &str, id: u64| json!({"type": kind, "id": id, "room": "blue", "session": grace.session});
    let (deny, admit, remove) = (about("deny", 3), about("admit", 4), about("remove", 6));
    let mut host = about("set_role", 5);
    host["role"] = json!("host");

    ask(&mut ada, deny).await;
    assert_eq!(ada.expect("knock").await["state"], "denied");
    assert_eq!(ada.expect("done").await["re"], 3);
    let denied = grace.expect("error").await;
    assert_eq!(
        (&denied["code"], &denied["seq"]),
        (&json!("knock_denied"), &json!(2))
    );
    ask(&mut grace, join(2, true)).await;
    ada.expect("knock").await;
    ask(&mut ada, admit).await;
    grace.expect("knocking").await;
    assert_eq!(grace.expect("joined").await["re"], 2);

    ask(&mut ada, host).await;
    let role = grace.expect("role").await;
    assert_eq!(role["role"], "host");
    ask(&mut ada, remove).await;
    assert_eq!(grace.expect("removed").await["reason"], "removed");
    let mut presence = ada.expect("presence").await;
    while presence["member"]["state"] != "left" {
        presence = ada.expect("presence").await;
    }
    assert_eq!(presence["member"]["reason"], "removed");
    assert_eq!(ada.expect("done").await["re"], 6);
}

#[tokio::test]
async fn a_room_keeps_what_members_give_it_and_passes_on_what_they_say_to_all() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, _) = server.member("blue").await;
    let set = |id: u64, value: serde_json::Value| {
        json!({"type": "set_state", "id": id, "room": "blue", "key": "topic", "value": value,
            "if_version": 0})
    };
    ask(&mut grace, set(2, json!({"b": 1}))).await;
    let answer = grace.expect("state").await;
    assert_eq!(answer["re"], 2);
    let told = ada.expect("state").await;
    assert_eq!(told["re"], serde_json::Value::Null);
    let entry = json!({"key": "topic", "value": {"b": 1}, "version": 3, "by": grace.session});
    assert_eq!(told["entries"], json!([entry]));
    ask(&mut grace, set(3, json!(2))).await;
    assert_eq!(grace.expect("error").await["code"], "version_conflict");
    let (_, joined) = server.member("blue").await;
    assert_eq!(joined["state"], json!([entry]));

    let said = json!({"type": "broadcast", "id": 4, "room": "blue", "body": {"hand": true}});
    ask(&mut grace, said).await;
    let heard = ada.expect("broadcast").await;
    assert_eq!(heard["body"], json!({"hand": true}));
    assert_eq!(heard["from"], grace.session);
    ask(&mut ada, json!({"type": "ack", "seq": heard["seq"]})).await;
    ask(&mut ada, json!({"type": "bye"})).await;
}
