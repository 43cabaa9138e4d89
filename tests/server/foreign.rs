//! Testers that others have made: the WebSocket cases of Autobahn, and Schemathesis, which asks
//! what the OpenAPI document promises and what it forbids.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::routing::any;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use peerage::gateway;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::process::Server;
use crate::programs::{make_python, text};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/foreign");
const MADE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/testers");

/// A program of the virtual environment, which is made if it has not been. That may take a while.
fn tester(name: &str) -> Command {
    make_python(MADE, SOURCES);
    Command::new(format!("{MADE}/python/bin/{name}"))
}

/// Says again whatever comes, within the bounds and with the ends of the server's WebSockets.
async fn echo(mut socket: WebSocket) {
    while let Some(received) = socket.recv().await {
        let sent = match received {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await,
            Ok(_) => Ok(()),
            Err(error) => {
                if let Some(close) = gateway::unreadable(error) {
                    gateway::give_up(&mut socket, close).await;
                }
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn start_echo() -> SocketAddr {
    let upgrade = |request: WebSocketUpgrade| async { gateway::bounded(request).on_upgrade(echo) };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let router = Router::new().route("/", any(upgrade));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The outcomes of all cases, by their numbers.
fn outcomes(folder: &Path) -> Vec<(String, String)> {
    let index = std::fs::read_to_string(folder.join("index.json")).expect("a report");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let agents = index.as_object().expect("agents").values();
    let cases = agents.flat_map(|agent| agent.as_object().expect("cases"));
    cases
        .flat_map(|(case, told)| {
            ["behavior", "behaviorClose"].map(|field| {
                let outcome = told[field].as_str().unwrap_or_default();
                (format!("{case} {field}"), outcome.to_owned())
            })
        })
        .collect()
}

#[tokio::test]
async fn autobahn_finds_no_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let echo = start_echo().await;
    let mut kosoku = tester("kosoku");
    kosoku.args(["-m", "fuzzingclient", &echo.to_string(), "-p", "12"]);
    // Not those of performance, with messages of megabytes, nor those of compression.
    kosoku.args(["-x", "9.*", "-x", "12.*", "-x", "13.*", "-o"]);
    kosoku.arg(folder.path());
    let run = tokio::task::spawn_blocking(move || kosoku.output());
    let output = run.await.expect("no panic").expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let outcomes = outcomes(folder.path());
    assert!(
        outcomes.len() > 400,
        "{}: {}",
        outcomes.len(),
        text(&output)
    );
    let is_fault = |outcome: &str| !matches!(outcome, "OK" | "INFORMATIONAL" | "NON-STRICT");
    let faults = outcomes.iter().filter(|(_, outcome)| is_fault(outcome));
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// The key of a connection that Schemathesis may use.
async fn key(server: &Server) -> String {
    let stream = TcpStream::connect(server.http).await.expect("it listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(connection);
    let hello = hyper::Request::post("/v1/connect").header("host", "localhost");
    let body = Full::<Bytes>::from(r#"{"type":"hello","version":1}"#);
    let hello = hello.body(body).expect("a request");
    let answer = sender.send_request(hello).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("whole");
    let answer: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    answer["connection"].as_str().expect("a key").to_owned()
}

/// What Schemathesis looks at. It is not asked whether keys are checked: it would have 401 for one
/// that is unknown, and nothing else.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance";

/// Has Schemathesis ask for all that a document on `listener` promises: so many operations, since it
/// does not ask for the document that it reads.
async fn ask_for(document: &str, listener: SocketAddr, operations: usize, more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://{listener}");
    let mut run = tester("schemathesis");
    run.current_dir(folder.path());
    run.args(["run", &format!("{url}{document}"), "--url", &url]);
    run.args(["--checks", CHECKS, "--seed", "1"]);
    run.args(["--max-examples", "25"]);
    run.args(more);
    let run = tokio::task::spawn_blocking(move || run.output());
    let output = run.await.expect("no panic").expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let tested = format!("Tested: {operations}");
    assert!(text(&output).contains(&tested), "{}", text(&output));
}

#[tokio::test]
async fn schemathesis_finds_no_fault() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let key = format!("Authorization: Bearer {}", key(&server).await);
    // A stream of events has no end within a test's patience.
    let more = [
        "--header",
        &key,
        "--exclude-path",
        "/v1/events",
        "--max-time",
        "15",
    ];
    ask_for("/v1/openapi.json", server.http, 9, &more).await;
}

#[tokio::test]
async fn schemathesis_finds_no_fault_with_what_operators_ask_for() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    ask_for("/openapi.json", server.metrics, 4, &["--max-time", "5"]).await;
}
