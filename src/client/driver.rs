//! A session with its connections and a clock.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::carrier::Carrier;
use super::error::{ClientError, Full};
use super::event::Event;
use super::happened::Happened;
use super::request::{AccessToken, Request, RequestId};
use super::seal::Seal;
use super::session::{Session, Step};
use super::settings::{Settings, Transport};
use super::stream::Target;
use super::tls;
use crate::net::Clock;
use crate::signal::SessionId;
use crate::time::Instant;

/// One session with a server. The module's documentation has an example.
///
/// It lives while [`Client::next`] is awaited. An application that does not come back to that for
/// long is taken for gone by the server, and is caught up when it does.
pub struct Client {
    session: Session,
    target: Target,
    clock: Clock,
    carrier: Carrier,
    /// Which of the transports is used, or is next.
    transport: usize,
    /// Whether the present connection has brought a welcome.
    is_welcome: bool,
    timer: Pin<Box<Sleep>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session.id();
        f.debug_struct("Client")
            .field("session", &session)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that connects with the first [`Client::next`].
    ///
    /// # Errors
    /// The settings trust nobody and the URL asks for TLS, name no transport, or a certificate in
    /// them is none.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let tls = tls::config(&settings.trust)?;
        if settings.place.is_secure && tls.is_none() {
            return Err(ClientError("wss:// needs to know whom to trust".to_owned()));
        }
        if settings.transports.is_empty() {
            return Err(ClientError("there is no transport to use".to_owned()));
        }
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| ClientError(error.to_string()))?;
        let session = Session::new(&settings, u64::from_ne_bytes(seed));
        let settings = Arc::new(settings);
        Ok(Self {
            session,
            target: Target { settings, tls },
            clock: Clock::start(),
            carrier: Carrier::None,
            transport: 0,
            is_welcome: false,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        })
    }

    /// Asks for something. It goes out while [`Client::next`] is awaited, and events tell what
    /// becomes of it.
    ///
    /// # Errors
    /// As much waits already as may wait.
    pub fn ask(&mut self, request: Request) -> Result<RequestId, Full> {
        let now = self.now();
        self.session.ask(request, now)
    }

    /// Takes another access token, such as when [`Event::AccessExpires`] or
    /// [`Event::AccessRefused`] has come. It is shown at once where there is a connection, and with
    /// each one that follows.
    ///
    /// # Errors
    /// As much waits already as may wait; only connections that follow show it.
    pub fn authorize(&mut self, access_token: AccessToken) -> Result<Option<RequestId>, Full> {
        let now = self.now();
        self.session.authorize(access_token, now)
    }

    /// From now on, what is said in the room [`Seal::room`] is sealed, and what does not open there
    /// is not heard. To be called before the room is joined; requests and events go on naming the
    /// room as the server knows it.
    pub fn seal(&mut self, seal: Seal) {
        self.session.seal(seal);
    }

    /// Ends the session. [`Client::next`] gives [`Event::Ended`] once the server knows.
    pub fn close(&mut self) {
        let now = self.now();
        self.session.handle_close(now);
    }

    /// Moves the session to another connection, over this transport. It stays in use until it
    /// fails.
    pub fn move_to(&mut self, transport: Transport) {
        let transports = &self.target.settings.transports;
        if let Some(index) = transports.iter().position(|&known| known == transport) {
            self.transport = index;
        } else {
            let mut settings = Settings::clone(&self.target.settings);
            self.transport = settings.transports.len();
            settings.transports.push(transport);
            self.target.settings = Arc::new(settings);
        }
        self.is_welcome = true;
        let now = self.now();
        self.session.handle_move(now);
    }

    /// The session, by which others address this client; `None` before the first welcome.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session.id()
    }

    /// How many requests wait to be sent, answered or confirmed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.session.waiting()
    }

    /// What happens next; `None` after [`Event::Ended`]. This is what keeps the session alive. It
    /// may be cancelled, and loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            self.take_steps();
            if let Some(event) = self.session.poll_event() {
                self.is_welcome |= matches!(event, Event::Connected { .. });
                return Some(event);
            }
            if self.session.is_over() {
                return None;
            }
            self.set_timer();
            let happened = std::future::poll_fn(|context| self.poll(context)).await;
            let now = self.now();
            match happened {
                Some(Happened::Text(text)) => self.session.handle_text(&text, now),
                Some(Happened::Alive) => self.session.handle_alive(now),
                Some(Happened::Ended(end)) => self.session.handle_end(&end, now),
                None => self.session.handle_timeout(now),
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Happened>> {
        if let Poll::Ready(happened) = self.carrier.poll(&mut self.session, context) {
            return Poll::Ready(Some(happened));
        }
        self.timer.as_mut().poll(context).map(|()| None)
    }

    fn take_steps(&mut self) {
        while let Some(step) = self.session.poll_step() {
            match step {
                Step::Drop => self.drop_connection(),
                Step::Open => self.open(),
            }
        }
    }

    fn drop_connection(&mut self) {
        self.carrier = Carrier::None;
        if !self.is_welcome {
            self.transport = (self.transport + 1) % self.target.settings.transports.len();
        }
    }

    fn open(&mut self) {
        self.is_welcome = false;
        let place = self.session.place();
        if self.target.settings.place != *place {
            let mut settings = Settings::clone(&self.target.settings);
            settings.place = place.clone();
            self.target.settings = Arc::new(settings);
            // Another network may pass what the first did not.
            self.transport = 0;
        }
        let transport = self.target.settings.transports[self.transport];
        let (carrier, is_open) = Carrier::open(&self.target, transport);
        self.carrier = carrier;
        if is_open {
            self.session.handle_open();
        }
    }

    fn set_timer(&mut self) {
        let at = self.session.poll_timeout().unwrap_or_default();
        let at = tokio::time::Instant::from_std(self.clock.system(at));
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
    }

    fn now(&self) -> Instant {
        self.clock.now().instant
    }
}
