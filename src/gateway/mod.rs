//! The transports of signaling: the WebSocket at `/v1/ws`, and for those whose network passes
//! none, streams of events, requests that are held, and polls.
//!
//! Each connection has a task of its own, which decodes, hands to the [`Hub`] what its client
//! says, encodes and waits for its socket; the hub waits for nobody. What it wants sent goes
//! through bounded queues to the tasks of the connections: a client that reads too slowly loses its
//! connection.

mod admission;
mod documents;
mod door;
mod farewell;
mod frames;
mod gate;
mod guesses;
mod lease;
mod operation;
mod origin;
mod outbox;
mod requests;
mod settings;
mod shared;
mod sink;
mod switchboard;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Semaphore;

pub(crate) use self::documents::openapi::Interface;
use self::door::{Door, Visitor};
pub use self::farewell::Farewell;
pub use self::frames::{bounded, give_up, unreadable};
use self::gate::Gate;
pub use self::lease::Lease;
pub(crate) use self::operation::{Answer, Body, Operation, PLAIN, Shown};
use self::outbox::outbox;
use self::requests::keys::Keys;
pub use self::settings::Settings;
use self::shared::Shared;
pub use self::sink::Sink;
use self::switchboard::Switchboard;
use self::websocket::{Carrier, Place};
use crate::auth::Secret;
use crate::auth::jwt::AccessTokens;
use crate::metrics::SignalCounters;
use crate::net::Admission;
use crate::signal::{Hub, Revocation, Revoked};

/// The door to a hub. A clone is another handle of the same.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// Takes `hub`, and spawns the tasks that keep its time and watch it on the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn start(hub: Hub, settings: Settings, counters: Arc<SignalCounters>) -> Self {
        let door = Door::new(
            settings.tokens.clone(),
            settings.guesses_per_address,
            Arc::clone(&counters),
            settings.unknown_keys.clone(),
        );
        let gate = Arc::new(Gate::new(&settings, Arc::clone(&counters)));
        let sinks = (settings.redemptions.clone(), settings.announcements.clone());
        let hub = Switchboard::start(hub, counters, sinks);
        tokio::spawn(Arc::clone(&gate).watch(Arc::downgrade(&hub)));
        Self {
            shared: Arc::new(Shared {
                places: Arc::new(Semaphore::new(settings.max_connections as usize)),
                addresses: Arc::new(Admission::new(
                    settings.max_connections as usize,
                    settings.connections_per_address,
                )),
                gate,
                door: Arc::new(door),
                keys: Keys::default(),
                settings,
                hub,
                ready: AtomicBool::new(true),
                sends_on: AtomicBool::new(false),
                connections: AtomicU64::new(0),
            }),
        }
    }

    /// Serves everything under `/v1/`.
    pub fn router(&self) -> Router {
        self.router_beside(Vec::new())
    }

    /// The same, on a listener that also serves `others`: the OpenAPI document has them, too.
    pub(crate) fn router_beside(&self, others: Vec<Operation>) -> Router {
        let of_requests = requests::operations::routes();
        let mut operations = vec![websocket_operation()];
        operations.extend(of_requests.into_iter().map(|(operation, _)| operation));
        operations.extend(others);
        Router::new()
            // Over HTTP/2 it is CONNECT that opens a WebSocket (RFC 8441).
            .route("/v1/ws", get(upgrade).connect(upgrade))
            .merge(requests::router(&self.shared))
            .merge(documents::router(operations))
            .with_state(Arc::clone(&self.shared))
    }

    /// Whether connections are let in: from the start until the drain.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed) && !self.shared.hub.is_over()
    }

    /// Has the hub hand out credentials of another secret of the relay, also to those who have some.
    pub fn renew_secret(&self, secret: Secret) {
        // An error means that the hub is gone, and with it all who have credentials.
        let renew = |hub: &mut Hub, now| hub.handle_secret(secret, now);
        let _ = self.shared.hub.ask(renew);
    }

    /// Checks access tokens with other keys, or by other rules, from now on. Who is in stays in.
    pub fn replace_tokens(&self, tokens: Arc<AccessTokens>) {
        self.shared.door.replace(tokens);
    }

    /// Ends what `revocation` names, for good. Gives whose relay credentials are not to
    /// be taken any more; `None` if too many revocations are remembered, or the hub is gone.
    pub fn revoke(&self, revocation: Revocation) -> Option<Revoked> {
        let revoke = |hub: &mut Hub, now| hub.handle_revocation(revocation, now);
        self.shared.hub.ask(revoke).ok()?.ok()
    }
}

/// The upgrade, as it is described.
fn websocket_operation() -> Operation {
    const fn answer(status: u16, description: &'static str, body: Body) -> Answer {
        Answer {
            status,
            description,
            body,
            retry_after: matches!(status, 429 | 503),
        }
    }
    Operation {
        method: "get",
        path: "/v1/ws",
        id: "websocket",
        summary: "Open a WebSocket; the AsyncAPI document says what travels on it.",
        shown: Shown::Nothing,
        parameters: &[],
        body: None,
        answers: vec![
            answer(101, "A WebSocket from here on", Body::None),
            answer(403, "The page's origin is not allowed", Body::Text(PLAIN)),
            answer(426, "This was no upgrade to a WebSocket", Body::Text(PLAIN)),
            answer(429, "Too many guesses from this address", Body::Text(PLAIN)),
            answer(
                503,
                "As many connections as there may be, or too many come",
                Body::Text(PLAIN),
            ),
        ],
        refusals: Vec::new(),
    }
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    lease: Option<Extension<Lease>>,
    headers: HeaderMap,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !origin::is_allowed(&headers, &shared.settings.allowed_origins) {
        let text = "this origin may not connect: it is neither this server's own nor allowed";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let Ok(request) = request else {
        let headers = [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
        let text = "this is a WebSocket";
        return (StatusCode::UPGRADE_REQUIRED, headers, text).into_response();
    };
    let address = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    if let Some(barred) = shared.door.barred_for(address) {
        let headers = [(RETRY_AFTER, barred.as_secs() + 1)];
        let text = "too many guesses from this address";
        return (StatusCode::TOO_MANY_REQUESTS, headers, text).into_response();
    }
    let place = match shared.place() {
        Ok(place) => place,
        Err(turned_back) => {
            let headers = [(RETRY_AFTER, turned_back.seconds())];
            let text = "no more connections at present";
            return (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response();
        }
    };
    let lease = lease.map(|Extension(lease)| lease);
    frames::bounded(request).on_upgrade(move |socket| {
        let visitor = Visitor::new(&shared.door, address);
        carry(shared, visitor, socket, (place, lease))
    })
}

async fn carry(shared: Arc<Shared>, visitor: Visitor, socket: WebSocket, place: Place) {
    let id = shared.next_connection();
    let (slot, outbox) = outbox();
    let hub = Arc::clone(&shared.hub);
    if hub.open(id, slot).is_ok() {
        let settings = &shared.settings;
        let carrier = Carrier::new(id, visitor, (socket, place), (hub, outbox), settings);
        // In a task of its own: that of the upgrade is several times as large.
        tokio::spawn(carrier.run());
    }
}
