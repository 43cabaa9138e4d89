//! What harms nobody, however it is sent.

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::world::{Client, Server};

/// Says pings until the server has enough.
async fn flood(mut client: Client) -> u16 {
    let text = json!({"type": "ping"}).to_string();
    for _ in 0..2_000 {
        if client.socket.send(Message::text(&text)).await.is_err() {
            break;
        }
    }
    client.close_code().await
}

/// Two members exchange offers and receipts while `attackers` come to their ends.
async fn talk_meanwhile<T>(server: &Server, attackers: impl Future<Output = T>) -> T {
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, joined) = server.member("blue").await;
    let epoch = joined["members"][0]["epoch"].clone();
    let talk = async {
        for id in 2..22 {
            ada.send(
                json!({"type": "offer", "id": id, "room": "blue", "to": grace.session,
                "epoch": epoch, "body": id}),
            )
            .await;
            let offer = grace.expect("offer").await;
            assert_eq!(offer["body"], id);
            grace
                .send(json!({"type": "ack", "seq": offer["seq"]}))
                .await;
            let receipt = ada.expect("delivered").await;
            assert_eq!(receipt["through"], id);
            ada.send(json!({"type": "ack", "seq": receipt["seq"]}))
                .await;
        }
    };
    tokio::join!(attackers, talk).0
}

#[tokio::test]
async fn clients_that_flood_are_closed_and_others_go_on() {
    let server = Server::start().await;
    let mut floods = Vec::new();
    for _ in 0..20 {
        floods.push(flood(server.client().await));
    }
    let codes = talk_meanwhile(&server, futures_util::future::join_all(floods)).await;
    assert_eq!(codes, [4429; 20]);
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_anything_of_it_comes() {
    let server = Server::start().await;
    for length in [65_537_u64, 1 << 30, u64::MAX >> 1] {
        let mut client = server.client().await;
        let mut head = vec![0x81, 0xff];
        head.extend(length.to_be_bytes());
        head.extend([0; 4]);
        let stream = client.socket.get_mut();
        stream.write_all(&head).await.expect("it reads");
        assert_eq!(client.close_code().await, 1009, "{length}");
    }
}

#[tokio::test]
async fn fragments_count_as_much_as_a_message() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let fragment = |first, last| {
        let code = if first { Data::Text } else { Data::Continue };
        Frame::message("x", OpCode::Data(code), last)
    };
    let attack = async {
        for number in 0..70_000 {
            let frame = Message::Frame(fragment(number == 0, false));
            // It closes at once when there is too much.
            if client.socket.send(frame).await.is_err() {
                break;
            }
            if number % 1_000 == 0 && client.socket.send(Message::Ping("".into())).await.is_err() {
                break;
            }
        }
        client.close_code().await
    };
    assert_eq!(talk_meanwhile(&server, attack).await, 1009);
}

#[tokio::test]
async fn a_body_arrives_as_it_was_said_whatever_is_in_it() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, joined) = server.member("blue").await;
    let epoch = joined["members"][0]["epoch"].clone();
    let sdp = "v=0\r\na=x\u{0}\u{1b}[2J\u{202e}\n\n</script>\u{2028}";
    let body = json!({"type": "offer", "sdp": sdp, "from": "nobody", "seq": 0});
    ada.send(
        json!({"type": "offer", "id": 2, "room": "blue", "to": grace.session,
        "epoch": epoch, "body": body}),
    )
    .await;
    let offer = grace.expect("offer").await;
    assert_eq!(offer["body"], body);
    assert_eq!(offer["from"], ada.session);
}
