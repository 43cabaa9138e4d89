//! Requests that carry a session: queries, headers and bodies of any bytes. Each line is a request
//! of one client. Each is answered with a status that the interface has, and with JSON.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, Uri};
use axum::response::Response;
use peerage::gateway::{Gateway, Settings};
use peerage::metrics::SignalCounters;
use peerage::signal::{Config, Hub};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tower::ServiceExt;

const HELLO: &str = r#"{"type":"hello","version":1}"#;
/// A request that is held is given up after so long.
const HELD: Duration = Duration::from_millis(2);
const STATUSES: [u16; 9] = [200, 204, 400, 401, 403, 404, 409, 410, 413];

pub(crate) fn run(input: &[u8]) {
    thread_local! {
        static RUNTIME: RefCell<Runtime> = {
            let runtime = Builder::new_current_thread().enable_time().build();
            RefCell::new(runtime.expect("a runtime"))
        };
    }
    RUNTIME.with_borrow_mut(|runtime| runtime.block_on(requests(input)));
}

async fn requests(input: &[u8]) {
    let hub = Hub::new(Config::default(), [1; 32]);
    let counters = Arc::new(SignalCounters::default());
    let router = Gateway::start(hub, Settings::default(), counters).router();
    let hello = post("/v1/connect", HELLO.as_bytes(), b"");
    let (status, welcome) = ask(&router, hello).await;
    assert_eq!(status, StatusCode::OK);
    let text = |name: &str| welcome[name].as_str().expect("it is there").to_owned();
    let key = format!("Bearer {}", text("connection"));
    for line in input.split(|&byte| byte == b'\n').take(16) {
        let (which, rest) = line.split_first().unwrap_or((&0, line));
        let Some(request) = request(*which, rest, &key, &text("ticket")) else {
            continue;
        };
        if let Ok((status, _)) = timeout(HELD, ask(&router, request)).await {
            assert!(STATUSES.contains(&status.as_u16()), "{status}");
        }
    }
}

fn request(which: u8, rest: &[u8], key: &str, ticket: &str) -> Option<Request<Body>> {
    let key = key.as_bytes();
    let query = |path: &str| -> Option<Uri> {
        let query = std::str::from_utf8(rest).ok()?;
        format!("{path}?{query}").parse().ok()
    };
    match which % 8 {
        0 => get(&query("/v1/poll")?, key, None),
        1 => get(&query("/v1/events")?, key, None),
        2 => get(&query("/v1/events")?, b"", None),
        3 => get(&Uri::from_static("/v1/events"), key, Some(rest)),
        4 => get(&Uri::from_static("/v1/poll?wait=0"), rest, None),
        5 => Some(post("/v1/connect", rest, b"")),
        6 => {
            let rest = std::str::from_utf8(rest).ok()?;
            let uri = format!("/v1/events?ticket={ticket}{rest}").parse().ok()?;
            get(&uri, b"", None)
        }
        _ => Some(post("/v1/messages", rest, key)),
    }
}

/// A request, where its headers are some that may be sent at all.
fn get(uri: &Uri, key: &[u8], last: Option<&[u8]>) -> Option<Request<Body>> {
    let mut request = Request::get(uri);
    if !key.is_empty() {
        request = request.header("authorization", key);
    }
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.body(Body::empty()).ok()
}

fn post(path: &str, body: &[u8], key: &[u8]) -> Request<Body> {
    let request = Request::post(path).header("authorization", key);
    let body = Body::from(Bytes::copy_from_slice(body));
    request.body(body).expect("a key is ASCII")
}

/// The answer. What is no stream of events is JSON, or nothing.
async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, serde_json::Value) {
    let answer = router.clone().oneshot(request).await;
    let answer: Response = answer.expect("a router never fails");
    let (head, body) = answer.into_parts();
    let kind = head.headers.get("content-type");
    if kind.is_none_or(|kind| kind == "text/event-stream") {
        return (head.status, serde_json::Value::Null);
    }
    let body = to_bytes(body, usize::MAX).await.expect("it is whole");
    let json = serde_json::from_slice(&body).expect("what is answered is JSON");
    (head.status, json)
}
