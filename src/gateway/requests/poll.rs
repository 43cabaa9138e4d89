//! Requests for what was said, held until there is something or answered at once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::super::shared::Shared;
use super::answers::{Refusal, batch, json_response, retry_after};
use super::carried::{News, Reader};
use super::promptness::Reading;
use super::shown::shown;

/// How long a request is held at most, and where it does not say.
const LONGEST: Duration = Duration::from_secs(25);

/// What a client should wait, in seconds, that has just been told something, or for whose words
/// somebody waits; and any other.
const SOON: u64 = 1;
const LATER: u64 = 2;

/// What a poll asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Poll {
    /// What the client has got.
    cursor: u64,
    /// How long to hold the request.
    wait: Duration,
}

/// `GET /v1/poll?cursor=N&wait=S`: what was said after `N`, as soon as there is something or `S`
/// seconds have passed.
pub(super) async fn poll(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (_, carried) = shown(&shared, &headers)?;
        let poll = Poll::parse(query.as_deref().unwrap_or_default())?;
        let confirmed = carried.confirm(poll.cursor);
        confirmed.map_err(|_| Refusal::Malformed("this cursor was never given"))?;
        poll.answer(&Reader::new(&carried, Reading::Poll)).await
    };
    answer.await.unwrap_or_else(Refusal::into_response)
}

impl Poll {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut poll = Self {
            cursor: 0,
            wait: LONGEST,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let number = |text: &str| {
                let wrong = Refusal::Malformed("cursor and wait are whole numbers");
                text.parse::<u64>().map_err(|_| wrong)
            };
            match pair.split_once('=') {
                Some(("cursor", text)) => poll.cursor = number(text)?,
                Some(("wait", text)) => poll.wait = Duration::from_secs(number(text)?).min(LONGEST),
                _ => {}
            }
        }
        Ok(poll)
    }

    async fn answer(self, reader: &Reader) -> Result<Response, Refusal> {
        let (said, closed) = match reader.after(self.cursor, Instant::now() + self.wait).await {
            News::Said(said, closed) => (said, closed),
            News::Nothing | News::Asked => (Vec::new(), None),
            News::Superseded => return Err(Refusal::Superseded),
        };
        let cursor = said.last().map_or(self.cursor, |said| said.number);
        let body = batch("", &said, cursor, closed.as_ref());
        let mut response = json_response(StatusCode::OK, body);
        let mut pause = 0;
        if self.wait.is_zero() && closed.is_none() {
            let is_soon = !said.is_empty() || reader.carried().is_hurried();
            pause = if is_soon { SOON } else { LATER };
            retry_after(&mut response, pause);
        }
        reader.carried().lets_go_for(Duration::from_secs(pause));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_held_as_long_as_it_says_but_not_longer_than_may_be() {
        let parsed = |query| Poll::parse(query).map(|poll| (poll.cursor, poll.wait.as_secs()));
        assert_eq!(parsed(""), Ok((0, 25)));
        assert_eq!(parsed("cursor=7&wait=0"), Ok((7, 0)));
        assert_eq!(parsed("wait=3600&cursor=7&other=x"), Ok((7, 25)));
        for wrong in ["cursor=", "cursor=-1", "cursor=1.5", "wait=long"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
