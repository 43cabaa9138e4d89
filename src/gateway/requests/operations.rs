//! What can be asked for: the routes, and how each is described.

use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

use super::super::operation::{Answer, Body, Operation, Parameter, Refused, Shown};
use super::super::shared::Shared;
use super::answers::Refusal;
use super::{connect, events, poll, post};

/// A route, and what is told of it.
type Route = (Operation, MethodRouter<Arc<Shared>>);

const CURSOR: Parameter = Parameter {
    name: "cursor",
    place: "query",
    kind: "integer",
    description: "The number of the last message that the client has got; 0 where it is left out.",
};

/// Every route.
pub(crate) fn routes() -> [Route; 5] {
    [
        (connecting(), post(connect::connect)),
        (sending(), post(post::messages)),
        (polling(), get(poll::poll)),
        (streaming(), get(events::events)),
        (taking_a_ticket(), post(connect::ticket)),
    ]
}

fn connecting() -> Operation {
    const FULL: &str = "Nobody more is let in at present: `messages` and `closed` say why";
    Operation {
        method: "post",
        path: "/v1/connect",
        id: "connect",
        summary: "Begin a connection.",
        shown: Shown::Nothing,
        parameters: &[],
        body: Some("client_hello"),
        answers: vec![
            answer(200, "`welcome`, and the key of the connection", "connected"),
            answer(
                400,
                "This was no `hello`: `messages` and `closed` say why",
                "read",
            ),
            answer(
                401,
                "Another access token is needed, or none will do: `messages` and `closed` say which",
                "read",
            ),
            Answer {
                retry_after: true,
                ..answer(503, FULL, "read_or_refusal")
            },
        ],
        refusals: told(&[
            Refusal::Origin,
            Refusal::TooSlow,
            Refusal::TooLarge,
            Refusal::Guesses(1),
            Refusal::Full(1),
            Refusal::Busy(1),
        ]),
    }
}

fn sending() -> Operation {
    Operation {
        method: "post",
        path: "/v1/messages",
        id: "send",
        summary: "Say something.",
        shown: Shown::Key,
        parameters: &[],
        body: Some("client_messages"),
        answers: vec![
            Answer {
                body: Body::None,
                ..answer(
                    204,
                    "Taken in; what becomes of it is said where the client reads",
                    "",
                )
            },
            answer(410, "The connection is over", "gone"),
        ],
        refusals: told(&[
            Refusal::Malformed("more than 256 messages"),
            Refusal::Origin,
            Refusal::UnknownConnection,
            Refusal::TooSlow,
            Refusal::TooLarge,
        ]),
    }
}

fn polling() -> Operation {
    const WAIT: Parameter = Parameter {
        name: "wait",
        place: "query",
        kind: "integer",
        description: "For how many seconds the request may be held: 25 at most, and where it is \
            left out.",
    };
    Operation {
        method: "get",
        path: "/v1/poll",
        id: "poll",
        summary: "Read what was said after the cursor, as soon as there is something.",
        shown: Shown::Key,
        parameters: &[CURSOR, WAIT],
        body: None,
        answers: vec![Answer {
            retry_after: true,
            ..answer(200, "What was said, or nothing", "read")
        }],
        refusals: told(&[
            Refusal::Malformed("a cursor or a time that is no number, or was never given"),
            Refusal::Origin,
            Refusal::UnknownConnection,
            Refusal::Superseded,
        ]),
    }
}

fn streaming() -> Operation {
    const LAST_EVENT_ID: Parameter = Parameter {
        name: "Last-Event-ID",
        place: "header",
        kind: "integer",
        description: "As `cursor`, and before it.",
    };
    const EVENTS: &str = "Events: `id` is a message's number, `data` the message; an event `closed` \
        ends the connection; an event `ping` is answered with an empty array to /v1/messages, at once";
    Operation {
        method: "get",
        path: "/v1/events",
        id: "events",
        summary: "Read what is said after the cursor, as a stream of events.",
        shown: Shown::KeyOrTicket,
        parameters: &[CURSOR, LAST_EVENT_ID],
        body: None,
        answers: vec![Answer {
            body: Body::Text("text/event-stream"),
            ..answer(200, EVENTS, "")
        }],
        refusals: told(&[
            Refusal::Malformed("an id that is no number, or was never given"),
            Refusal::Origin,
            Refusal::UnknownConnection,
        ]),
    }
}

fn taking_a_ticket() -> Operation {
    Operation {
        method: "post",
        path: "/v1/ticket",
        id: "ticket",
        summary: "Get a ticket for one stream of events; one before it is void.",
        shown: Shown::Key,
        parameters: &[],
        body: None,
        answers: vec![answer(200, "A ticket", "ticket")],
        refusals: told(&[
            Refusal::Origin,
            Refusal::UnknownConnection,
            Refusal::Full(1),
        ]),
    }
}

const fn answer(status: u16, description: &'static str, schema: &'static str) -> Answer {
    Answer {
        status,
        description,
        body: Body::Json(schema),
        retry_after: false,
    }
}

fn told(refusals: &[Refusal]) -> Vec<Refused> {
    refusals.iter().map(|refusal| refusal.told()).collect()
}
