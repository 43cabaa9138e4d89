//! One HTTP connection to the server, for one request after the other.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::closing::{End, Told};
use super::message::LONGEST;
use super::stream::Target;

/// How long the server may take to answer beyond the time for which it was asked to wait.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    prefix: Box<str>,
    /// The key of the connection, once there is one.
    pub(super) key: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    closed: Option<Told>,
}

impl Http {
    pub(super) async fn open(target: &Target, key: Option<String>) -> Result<Self, End> {
        let stream = target.connect().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends when the sender is dropped, or the body that is being read.
        tokio::spawn(connection);
        let place = &target.settings.place;
        Ok(Self {
            sender,
            host: place.authority(),
            prefix: place.prefix.clone(),
            key,
        })
    }

    /// Makes a request; whatever is not a success is the end.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: String,
        wait: Duration,
    ) -> Result<Response<Incoming>, End> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::from(body)).map_err(broken)?;
        self.sender.ready().await.map_err(broken)?;
        let answer = tokio::time::timeout(wait + PATIENCE, self.sender.send_request(request));
        let answer = answer.await.map_err(|_| End::broken("no answer came"))?;
        let answer = answer.map_err(broken)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refused(answer).await)
    }
}

/// The whole of an answer.
pub(super) async fn body(answer: Response<Incoming>) -> Result<Bytes, End> {
    let body = tokio::time::timeout(
        PATIENCE,
        Limited::new(answer.into_body(), LONGEST).collect(),
    );
    let body = body.await.map_err(|_| End::broken("an answer stopped"))?;
    Ok(body.map_err(broken)?.to_bytes())
}

/// How long an answer asks to wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

pub(super) fn broken(error: impl std::fmt::Display) -> End {
    End::broken(&error.to_string())
}

async fn refused(answer: Response<Incoming>) -> End {
    let (status, wait) = (answer.status(), retry_after(answer.headers()));
    let bytes = body(answer).await.unwrap_or_default();
    let refusal = serde_json::from_slice::<Refusal>(&bytes).ok();
    let mut end = match refusal.and_then(|refusal| refusal.closed) {
        Some(told) => End::from(told),
        None => End::broken(&said(status)),
    };
    end.retry_after = end.retry_after.or(wait);
    end
}

fn said(status: StatusCode) -> String {
    format!("the server answers {status}")
}
