//! Requests that carry a session, where no WebSocket comes through.

use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::closing::{End, Told};
use super::event_stream::{EventStream, Item};
use super::happened::Happened;
use super::http::{Http, body, broken, retry_after};
use super::session::Session;
use super::settings::Transport;
use super::stream::Target;

/// How long the server holds a poll.
const HELD: Duration = Duration::from_secs(25);
/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(45);
/// How many messages go into one request, and how many bytes.
const MESSAGES: usize = 256;
const BYTES: usize = 60_000;
/// How long what the server has said last may take to be read: longer than the pause between polls.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How many messages may wait to be sent.
const QUEUE: usize = 256;

/// A session's requests, in a task of their own.
pub(super) struct Requests {
    texts: mpsc::Sender<String>,
    happened: mpsc::Receiver<Happened>,
    task: JoinHandle<()>,
}

impl Requests {
    /// The first text that the session has to say begins the connection.
    pub(super) fn open(target: Target, transport: Transport) -> Self {
        let (texts, to_send) = mpsc::channel(QUEUE);
        // Of one: a message is taken by the session before the next is handed over, so that
        // whatever a later request confirms is in its hands.
        let (tell, happened) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let end = carry(&target, transport, to_send, &tell).await;
            // Nobody listens once the session has another connection.
            let _ = tell.send(Happened::Ended(end)).await;
        });
        Self {
            texts,
            happened,
            task,
        }
    }

    pub(super) fn poll(
        &mut self,
        session: &mut Session,
        context: &mut Context<'_>,
    ) -> Poll<Happened> {
        while session.has_text() {
            // A full queue is tried again when an answer to what is in it has come.
            let Ok(place) = self.texts.try_reserve() else {
                break;
            };
            if let Some(text) = session.poll_text() {
                place.send(text);
            }
        }
        let happened = self.happened.poll_recv(context);
        happened.map(|happened| {
            happened.unwrap_or_else(|| Happened::Ended(End::broken("the requests have ended")))
        })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Deserialize)]
struct Connected<'a> {
    connection: String,
    cursor: u64,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Polled<'a> {
    cursor: u64,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    closed: Option<Told>,
}

type Tell = mpsc::Sender<Happened>;

async fn carry(
    target: &Target,
    transport: Transport,
    mut to_send: mpsc::Receiver<String>,
    tell: &Tell,
) -> End {
    let begun = begin(target, &mut to_send, tell).await;
    let (http, key, cursor) = match begun {
        Ok(begun) => begun,
        Err(end) => return end,
    };
    let asked = Notify::new();
    let reading = async {
        let reader = Http::open(target, Some(key)).await?;
        match transport {
            Transport::Events => read_events(reader, cursor, &asked, tell).await,
            Transport::HeldPoll => poll(reader, cursor, Some(HELD), target, tell).await,
            _ => poll(reader, cursor, None, target, tell).await,
        }
    };
    // Either ends only with the end of the connection.
    tokio::select! {
        end = reading => end.err(),
        end = post(http, to_send, &asked, tell) => end.err(),
    }
    .unwrap_or_default()
}

async fn begin(
    target: &Target,
    to_send: &mut mpsc::Receiver<String>,
    tell: &Tell,
) -> Result<(Http, String, u64), End> {
    let hello = to_send.recv().await.ok_or_else(End::default)?;
    let mut http = Http::open(target, None).await?;
    let answer = http.ask(Method::POST, "/connect", hello, Duration::ZERO);
    let bytes = body(answer.await?).await?;
    let connected: Connected<'_> = serde_json::from_slice(&bytes).map_err(broken)?;
    for message in connected.messages {
        hand(tell, message.get()).await?;
    }
    http.key = Some(connected.connection.clone());
    Ok((http, connected.connection, connected.cursor))
}

async fn hand(tell: &Tell, message: &str) -> Result<(), End> {
    let told = tell.send(Happened::Text(message.into())).await;
    told.map_err(|_| End::default())
}

/// Waits until the session has taken everything in.
async fn all_taken(tell: &Tell) -> Result<(), End> {
    let place = tell.reserve().await;
    place.map(drop).map_err(|_| End::default())
}

/// Sends what there is to send, and says that this client is there whenever it has been asked.
async fn post(
    mut http: Http,
    mut to_send: mpsc::Receiver<String>,
    asked: &Notify,
    tell: &Tell,
) -> Result<(), End> {
    let mut next = None;
    loop {
        let batch = tokio::select! {
            // It asks for an answer of its own, which says nothing else.
            biased;
            () = asked.notified() => "[]".to_owned(),
            text = first(&mut next, &mut to_send) => {
                let text = text.ok_or_else(End::default)?;
                batch(&text, &mut next, &mut to_send)
            }
        };
        let answer = http.ask(Method::POST, "/messages", batch, Duration::ZERO);
        match answer.await {
            Ok(answer) => drop(body(answer).await?),
            Err(end) => return Err(last_words(end).await),
        }
        tell.send(Happened::Alive)
            .await
            .map_err(|_| End::default())?;
    }
}

/// What had no room in the last batch, or is the first to be sent since.
async fn first(next: &mut Option<String>, to_send: &mut mpsc::Receiver<String>) -> Option<String> {
    match next.take() {
        Some(text) => Some(text),
        None => to_send.recv().await,
    }
}

/// An array of `text` and of what else waits, as far as there is room. What has none is `next`.
fn batch(text: &str, next: &mut Option<String>, to_send: &mut mpsc::Receiver<String>) -> String {
    let mut batch = format!("[{text}");
    let mut count = 1;
    while let Ok(text) = to_send.try_recv() {
        if count == MESSAGES || batch.len() + text.len() > BYTES {
            *next = Some(text);
            break;
        }
        batch.push(',');
        batch.push_str(&text);
        count += 1;
    }
    batch.push(']');
    batch
}

/// Where the server has closed the connection, it may have said something before, such as the
/// ticket for another server: whoever reads has the time for that, and hears of the end, too.
async fn last_words(end: End) -> End {
    if end.code.is_some() {
        tokio::time::sleep(LAST_WORDS).await;
    }
    end
}

async fn poll(
    mut http: Http,
    mut cursor: u64,
    held: Option<Duration>,
    target: &Target,
    tell: &Tell,
) -> Result<(), End> {
    let wait = held.unwrap_or_default();
    loop {
        all_taken(tell).await?;
        let path = format!("/poll?cursor={cursor}&wait={}", wait.as_secs());
        let answer = http.ask(Method::GET, &path, String::new(), wait).await?;
        let pause = retry_after(answer.headers());
        let bytes = body(answer).await?;
        let polled: Polled<'_> = serde_json::from_slice(&bytes).map_err(broken)?;
        for message in &polled.messages {
            hand(tell, message.get()).await?;
        }
        cursor = polled.cursor;
        if let Some(told) = polled.closed {
            return Err(End::from(told));
        }
        tell.send(Happened::Alive)
            .await
            .map_err(|_| End::default())?;
        if held.is_none() {
            let pause = target.settings.poll_interval.or(pause);
            tokio::time::sleep(pause.unwrap_or(Duration::from_secs(1))).await;
        }
    }
}

async fn read_events(
    mut http: Http,
    mut cursor: u64,
    asked: &Notify,
    tell: &Tell,
) -> Result<(), End> {
    loop {
        all_taken(tell).await?;
        let path = format!("/events?cursor={cursor}");
        let answer = http.ask(Method::GET, &path, String::new(), Duration::ZERO);
        let mut body = answer.await?.into_body();
        let mut events = EventStream::default();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| End::broken("the stream is silent"))? else {
                break;
            };
            if let Ok(bytes) = frame.map_err(broken)?.into_data() {
                events.take(&bytes).map_err(broken)?;
            }
            while let Some(item) = events.next() {
                match item {
                    Item::Message { id, text } => {
                        hand(tell, &text).await?;
                        cursor = id;
                    }
                    Item::Asked => asked.notify_one(),
                    Item::Closed(told) => return Err(End::from(told)),
                }
            }
            tell.send(Happened::Alive)
                .await
                .map_err(|_| End::default())?;
        }
    }
}
