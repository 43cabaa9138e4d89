//! What is refused before the upgrade.

use peerage::gateway::Settings;
use peerage::signal::Config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};

use crate::world::Server;

type Answer = Response<Option<Vec<u8>>>;

async fn connect(server: &Server, path: &str, origin: Option<&str>) -> Result<(), Box<Answer>> {
    let url = format!("ws://{}{path}", server.address);
    let mut request = url.into_client_request().expect("a URL");
    if let Some(origin) = origin {
        let origin = HeaderValue::from_str(origin).expect("a header");
        request.headers_mut().insert("origin", origin);
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok(_) => Ok(()),
        Err(Error::Http(answer)) => Err(answer),
        Err(other) => panic!("{other}"),
    }
}

async fn status(server: &Server, path: &str, origin: Option<&str>) -> u16 {
    match connect(server, path, origin).await {
        Ok(()) => 101,
        Err(answer) => answer.status().as_u16(),
    }
}

#[tokio::test]
async fn only_pages_of_this_server_and_programs_may_connect() {
    let server = Server::start().await;
    let own = format!("http://{}", server.address);
    assert_eq!(status(&server, "/v1/ws", None).await, 101);
    assert_eq!(status(&server, "/v1/ws", Some(&own)).await, 101);
    for origin in ["https://evil.example", "null", &format!("{own}.evil")] {
        assert_eq!(status(&server, "/v1/ws", Some(origin)).await, 403);
    }
}

#[tokio::test]
async fn a_listed_origin_may_connect() {
    let settings = Settings {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    assert_eq!(
        status(&server, "/v1/ws", Some("https://app.example")).await,
        101
    );
    assert_eq!(
        status(&server, "/v1/ws", Some("http://app.example")).await,
        403
    );
}

#[tokio::test]
async fn who_finds_no_place_is_told_when_to_come_back() {
    let settings = Settings {
        max_connections: 1,
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let first = server.client().await;
    let answer = connect(&server, "/v1/ws", None).await.expect_err("full");
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    drop(first);
}

#[tokio::test]
async fn another_path_is_not_found() {
    let server = Server::start().await;
    assert_eq!(status(&server, "/v2/ws", None).await, 404);
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .expect("it listens");
    stream
        .write_all(b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("upgrade: websocket"), "{answer}");
}

#[tokio::test]
async fn no_extension_is_negotiated() {
    let server = Server::start().await;
    let url = format!("ws://{}/v1/ws", server.address);
    let mut request = url.into_client_request().expect("a URL");
    let offer = HeaderValue::from_static("permessage-deflate");
    request
        .headers_mut()
        .insert("sec-websocket-extensions", offer);
    let (_, answer) = tokio_tungstenite::connect_async(request)
        .await
        .expect("101");
    assert!(!answer.headers().contains_key("sec-websocket-extensions"));
}
