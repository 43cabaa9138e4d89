//! Sessions that requests carry: streams of events, held requests, polls.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::Method;
use peerage::gateway::{Farewell, Settings};
use peerage::signal::{Config, Drain};
use serde_json::{Value, json};

use crate::asking::{Asking, WAYS, Way, json_of, request};
use crate::world::{Client, Server};

fn join(id: u64) -> Value {
    json!({"type": "join", "id": id, "room": "blue"})
}

/// A member that asks, one on a WebSocket, and the epoch of the pair.
async fn members(server: &Server, way: Way) -> (Asking, Client, Value) {
    let mut asking = Asking::new(server, way).await;
    asking.send(join(1)).await;
    asking.expect("joined").await;
    let (other, joined) = server.member("blue").await;
    asking.expect("presence").await;
    (asking, other, joined["members"][0]["epoch"].clone())
}

fn offer(id: u64, to: &str, epoch: &Value) -> Value {
    json!({"type": "offer", "id": id, "room": "blue", "to": to, "epoch": epoch, "body": id})
}

#[tokio::test]
async fn members_on_different_transports_talk_to_each_other() {
    for way in WAYS {
        let server = Server::start().await;
        let (mut asking, mut other, epoch) = members(&server, way).await;
        for id in 2..22 {
            asking.send(offer(id, &other.session, &epoch)).await;
            other.send(offer(id, &asking.session, &epoch)).await;
        }
        for id in 2..22 {
            let (a, b) = (asking.expect("offer").await, other.expect("offer").await);
            assert_eq!(
                (&a["body"], &b["body"]),
                (&json!(id), &json!(id)),
                "{way:?}"
            );
            assert_eq!(a["from"], other.session);
        }
        // Many in one request are taken in order.
        let offers: Vec<Value> = (22..42)
            .map(|id| offer(id, &other.session, &epoch))
            .collect();
        asking.send(json!(offers)).await;
        for id in 22..42 {
            assert_eq!(other.expect("offer").await["body"], id);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_given_again() {
    let server = Server::start().await;
    let asking = Asking::new(&server, Way::Polls).await;
    asking.send(join(1)).await;
    let first = asking.poll(asking.cursor, 25).await;
    assert_eq!(first["messages"][0]["type"], "joined");
    assert_eq!(asking.poll(asking.cursor, 25).await, first);
    let cursor = first["cursor"].as_u64().expect("a number");
    let next = asking.poll(cursor, 0).await;
    assert_eq!(next, json!({"cursor": cursor, "messages": []}));
}

#[tokio::test]
async fn what_a_cursor_confirms_is_acknowledged() {
    let config = Config {
        mailbox_messages: 4,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let (mut asking, mut other, epoch) = members(&server, Way::Held).await;
    for id in 2..40 {
        other.send(offer(id, &asking.session, &epoch)).await;
        assert_eq!(asking.expect("offer").await["body"], id);
        asking.poll(asking.cursor, 0).await;
        let receipt = other.expect("delivered").await;
        assert_eq!(receipt["through"], id);
        other
            .send(json!({"type": "ack", "seq": receipt["seq"]}))
            .await;
    }
}

#[tokio::test]
async fn an_event_stream_goes_on_after_the_last_event() {
    let server = Server::start().await;
    let (mut asking, mut other, epoch) = members(&server, Way::Events).await;
    for id in 2..6 {
        other.send(offer(id, &asking.session, &epoch)).await;
    }
    assert_eq!(asking.expect("offer").await["body"], 2);
    // The stream breaks; what was sent on it and not read is sent again on the next one.
    asking.events = None;
    for id in 3..6 {
        assert_eq!(asking.expect("offer").await["body"], id);
    }
}

#[tokio::test]
async fn only_the_newest_reader_is_served() {
    let server = Server::start().await;
    let asking = Asking::new(&server, Way::Held).await;
    let path = format!("/v1/poll?cursor={}&wait=25", asking.cursor);
    let mut polls: FuturesUnordered<_> = (0..50)
        .map(|_| asking.ask(Method::GET, &path, ""))
        .collect();
    // Each that comes takes the place of the one before.
    for _ in 0..49 {
        let answer = polls.next().await.expect("an answer");
        assert_eq!(answer.status(), 409);
    }
    let (last, ()) = tokio::join!(polls.next(), asking.send(join(1)));
    let answer = json_of(last.expect("the newest")).await;
    assert_eq!(answer["messages"][0]["type"], "joined");
}

#[tokio::test]
async fn a_stream_says_that_it_lives_and_ends_before_others_end_it() {
    let settings = Settings {
        ping_interval: Duration::from_millis(50),
        stream_life: Duration::from_millis(500),
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let mut asking = Asking::new(&server, Way::Events).await;
    let text = asking.stream(asking.cursor).await.rest().await;
    assert!(text.starts_with("retry: 1000\n\n"), "{text:?}");
    let comments = text.matches(":\n\n").count();
    assert!((2..=10).contains(&comments), "{text:?}");
    // The next one goes on where it ended.
    asking.send(join(1)).await;
    assert_eq!(asking.expect("joined").await["seq"], 1);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_keep_the_session() {
    let patience = Duration::from_millis(300);
    let settings = Settings {
        write_timeout: patience,
        absence: patience,
        ..Settings::default()
    };
    let config = Config {
        message_burst: 10_000,
        byte_burst: 1 << 30,
        // Nothing but the stream itself can fill up: a socket holds some megabytes.
        mailbox_messages: 1_000,
        mailbox_bytes: 1 << 30,
        ..Config::default()
    };
    let server = Server::with(config, settings).await;
    let (mut asking, mut other, epoch) = members(&server, Way::Events).await;
    let _unread = asking.events.take();
    let _unread = asking.stream(asking.cursor).await;
    let body = "x".repeat(60_000);
    for id in 2..400 {
        let offer = json!({"type": "offer", "id": id, "room": "blue", "to": asking.session,
            "epoch": epoch, "body": body});
        other.send(offer).await;
        let ping = json!({"type": "ping"}).to_string();
        let answer = asking.ask(Method::POST, "/v1/messages", &ping).await;
        if answer.status() == 410 {
            break;
        }
    }
    loop {
        let presence = other.expect("presence").await;
        if presence["member"]["state"] == "suspended" {
            return;
        }
    }
}

#[tokio::test]
async fn a_session_moves_between_all_transports_and_loses_nothing() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, joined) = server.member("blue").await;
    ada.expect("presence").await;
    let epoch = joined["members"][0]["epoch"].clone();
    let (session, mut token, mut seq) = (grace.session.clone(), grace.token.clone(), 1);
    let mut sent = 1;
    for way in WAYS.into_iter().chain(WAYS) {
        // Said while it is between two transports, or on either.
        for _ in 0..3 {
            sent += 1;
            ada.send(offer(sent, &session, &epoch)).await;
        }
        let (mut asking, welcome) = Asking::resume(&server, way, &session, &token, seq).await;
        assert_eq!(welcome["resumed"], "full", "{way:?}");
        token = asking.token.clone();
        for body in sent - 2..=sent {
            let offer = asking.expect("offer").await;
            assert_eq!(offer["body"], body, "{way:?}");
            seq = offer["seq"].as_u64().expect("a number");
        }
    }
    assert_eq!(grace.close_code().await, 4409);
    let mut back = server.connect().await;
    assert_eq!(back.resume(&session, &token, seq).await["resumed"], "full");
    ada.send(json!({"type": "ping"})).await;
    // Nothing but receipts of what it has said itself came back: nobody saw a transport change.
    let mut told = ada.receive().await;
    while told["type"] == "delivered" {
        told = ada.receive().await;
    }
    assert_eq!(told["type"], "pong");
}

#[tokio::test]
async fn a_request_that_is_repeated_is_applied_once() {
    let server = Server::start().await;
    let (mut asking, mut other, epoch) = members(&server, Way::Polls).await;
    for _ in 0..3 {
        asking.send(offer(2, &other.session, &epoch)).await;
    }
    asking.send(offer(3, &other.session, &epoch)).await;
    assert_eq!(other.expect("offer").await["body"], 2);
    assert_eq!(other.expect("offer").await["body"], 3);
    asking.send(json!({"type": "ping"})).await;
    asking.expect("pong").await;
}

#[tokio::test]
async fn who_asks_no_more_is_suspended() {
    let settings = Settings {
        absence: Duration::from_millis(200),
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let (asking, mut other, _) = members(&server, Way::Held).await;
    let presence = other.expect("presence").await;
    assert_eq!(presence["member"]["session"], asking.session);
    assert_eq!(presence["member"]["state"], "suspended");
    let answer = asking.ask(Method::POST, "/v1/messages", "{}").await;
    assert_eq!(answer.status(), 410);
    assert_eq!(json_of(answer).await["closed"]["code"], 4408);
    let (_, welcome) = Asking::resume(&server, Way::Held, &asking.session, &asking.token, 2).await;
    assert_eq!(welcome["resumed"], "full");
}

/// Longer than a busy machine takes from one request to the next.
const ABSENCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_request_that_is_held_keeps_the_session() {
    // Both at once, since they only wait.
    tokio::join!(is_kept(Way::Held), is_kept(Way::Events));
}

async fn is_kept(way: Way) {
    let settings = Settings {
        absence: ABSENCE,
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let mut asking = Asking::new(&server, way).await;
    asking.send(join(1)).await;
    asking.expect("joined").await;
    let held = asking.expect("presence");
    let come = async {
        tokio::time::sleep(ABSENCE + ABSENCE / 2).await;
        server.member("blue").await
    };
    let (presence, _other) = tokio::join!(held, come);
    assert_eq!(presence["member"]["state"], "joined", "{way:?}");
}

#[tokio::test]
async fn the_end_is_told_wherever_the_client_reads() {
    for way in WAYS {
        let server = Server::start().await;
        let mut asking = Asking::new(&server, way).await;
        asking.send(json!({"type": "bye"})).await;
        assert_eq!(asking.receive().await, None);
        let answer = asking.poll(asking.cursor, 25).await;
        assert_eq!(
            answer["closed"],
            json!({"code": 1000, "reason": "bye", "advice": "never"})
        );
        let answer = asking.ask(Method::POST, "/v1/messages", "{}").await;
        assert_eq!(answer.status(), 410);
    }
}

#[tokio::test]
async fn a_server_that_stops_answers_every_held_request() {
    for way in WAYS {
        let server = Server::start().await;
        let mut asking = Asking::new(&server, way).await;
        let told = async {
            let goaway = asking.expect("goaway").await;
            assert!(goaway["reconnect_in_ms"].is_u64());
            assert_eq!(asking.receive().await, None);
        };
        // Longer than the test may take: it does not wait for clients that have been told.
        let drain = server.gateway.drain(Farewell {
            drain: Drain::default(),
            closing: Duration::from_secs(600),
            linger: Duration::ZERO,
        });
        tokio::join!(told, drain);
    }
}

#[tokio::test]
async fn a_ticket_opens_one_event_stream() {
    let server = Server::start().await;
    let asking = Asking::new(&server, Way::Events).await;
    let open = |ticket: String| async move {
        let path = format!("/v1/events?ticket={ticket}&cursor=1");
        request(server.address, Method::GET, &path, &[], "")
            .await
            .status()
    };
    assert_eq!(open(asking.ticket.clone()).await, 200);
    assert_eq!(open(asking.ticket.clone()).await, 404);
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let answer = asking.ask(Method::POST, "/v1/ticket", "").await;
        let ticket = json_of(answer).await["ticket"].as_str().map(str::to_owned);
        tickets.push(ticket.expect("a ticket"));
    }
    // A newer one makes the older void.
    assert_eq!(open(tickets.remove(0)).await, 404);
    assert_eq!(open(tickets.remove(0)).await, 200);
}

#[tokio::test]
async fn who_shows_no_key_gets_nowhere() {
    let server = Server::start().await;
    let asking = Asking::new(&server, Way::Polls).await;
    for shown in ["", "Bearer ", "Bearer AAAAAAAAAAAAAAAAAAAAAA", &*asking.key] {
        for (method, path) in [
            (Method::GET, "/v1/poll"),
            (Method::GET, "/v1/events"),
            (Method::POST, "/v1/messages"),
            (Method::POST, "/v1/ticket"),
        ] {
            let headers = [("authorization", shown)];
            let answer = request(server.address, method, path, &headers, "{}").await;
            assert_eq!(answer.status(), 404, "{path} {shown:?}");
            let body = json_of(answer).await;
            assert_eq!(body["error"]["code"], "unknown_connection");
        }
    }
}

#[tokio::test]
async fn pages_of_other_servers_are_refused_unless_they_are_listed() {
    let settings = Settings {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let hello = r#"{"type":"hello","version":1}"#;
    for (origin, status) in [("https://app.example", 200), ("https://evil.example", 403)] {
        let headers = [("origin", origin)];
        let answer = request(server.address, Method::POST, "/v1/connect", &headers, hello).await;
        assert_eq!(answer.status(), status);
        let allowed = answer.headers().get("access-control-allow-origin");
        let allowed = allowed.map(|value| value.to_str().expect("text"));
        assert_eq!(allowed, (status == 200).then_some(origin));
        // The question that a browser asks before.
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        let answer = request(
            server.address,
            Method::OPTIONS,
            "/v1/messages",
            &headers,
            "",
        )
        .await;
        let allowed = answer.headers().contains_key("access-control-allow-origin");
        assert_eq!(allowed, status == 200);
    }
}

#[tokio::test]
async fn what_is_malformed_is_said_as_on_every_transport() {
    let server = Server::start().await;
    let mut asking = Asking::new(&server, Way::Held).await;
    for body in ["", "{", "[1]", "[{\"type\":\"ping\"},", "null"] {
        let answer = asking.ask(Method::POST, "/v1/messages", body).await;
        assert_eq!(answer.status(), 204, "{body}");
        assert_eq!(asking.expect("error").await["code"], "malformed", "{body}");
    }
    let long = " ".repeat(65_537);
    let answer = asking.ask(Method::POST, "/v1/messages", &long).await;
    assert_eq!(answer.status(), 413);
    let many = json!(vec![json!({"type": "ping"}); 257]).to_string();
    let answer = asking.ask(Method::POST, "/v1/messages", &many).await;
    assert_eq!(answer.status(), 400);
    for query in ["cursor=x", "cursor=99", "wait=-1"] {
        let path = format!("/v1/poll?{query}");
        let answer = asking.ask(Method::GET, &path, "").await;
        assert_eq!(answer.status(), 400, "{query}");
    }
    for hello in [
        "",
        "{\"type\":\"ping\"}",
        "{\"type\":\"hello\",\"version\":9}",
    ] {
        let answer = request(server.address, Method::POST, "/v1/connect", &[], hello).await;
        assert_eq!(answer.status(), 400, "{hello}");
        let body = json_of(answer).await;
        assert_eq!(body["messages"][0]["type"], "error");
        assert_eq!(body["closed"]["code"], 4400);
    }
}

#[tokio::test]
async fn who_reads_nothing_is_not_waited_for() {
    let config = Config {
        message_burst: 1_000,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let (mut asking, mut other, epoch) = members(&server, Way::Polls).await;
    // More than are kept.
    for id in 2..300 {
        other.send(offer(id, &asking.session, &epoch)).await;
    }
    loop {
        let presence = other.expect("presence").await;
        if presence["member"]["state"] == "suspended" {
            break;
        }
    }
    asking.way = Way::Held;
    let mut read = 0;
    while asking.receive().await.is_some() {
        read += 1;
    }
    assert!((200..=260).contains(&read), "{read}");
}

#[tokio::test]
async fn connections_that_requests_carry_count_like_all_others() {
    let settings = Settings {
        max_connections: 2,
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let _first = Asking::new(&server, Way::Held).await;
    let _second = server.client().await;
    let hello = r#"{"type":"hello","version":1}"#;
    let answer = request(server.address, Method::POST, "/v1/connect", &[], hello).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}
