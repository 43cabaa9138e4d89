//! Answers to requests, until they are encoded.

use std::net::SocketAddr;

use super::connection_id::ConnectionId;
use super::five_tuple::FiveTuple;
use super::nat_discovery::Behaviour;
use super::nonce::Nonce;
use super::request::Signer;
use super::reservation::ReservationToken;
use super::ticket::Ticket;
use crate::stun::{
    Attribute, Class, ErrorCode, Family, Full, Message, Method, PasswordAlgorithm, TransactionId,
    Writer,
};

/// The name that answers carry after authentication.
const SOFTWARE: &str = "Peerage";

/// An answer and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) client: FiveTuple,
    pub(super) method: Method,
    pub(super) transaction_id: TransactionId,
    /// What signs it; nothing before authentication.
    pub(super) signer: Option<Signer>,
    /// As the request had it.
    pub(super) fingerprint: bool,
    pub(super) body: Body,
}

/// What every challenge of a server says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenge<'a> {
    pub(super) realm: &'a str,
    /// By which name access tokens are made for the server, if it takes any.
    pub(super) token_server_name: Option<&'a str>,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Binding {
        mapped: SocketAddr,
    },
    /// The same, and more, for who finds out what NATs it is behind.
    Behaviour(Box<Behaviour>),
    Allocate(Box<Allocated>),
    Refresh {
        lifetime: u32,
        ticket: Option<Ticket>,
    },
    /// CreatePermission, ChannelBind and ConnectionBind say no more than that it is done.
    Done,
    /// Connect: the connection is there.
    Connection(ConnectionId),
    Error(ErrorCode),
    /// 300, with another server, and perhaps one of the other family.
    Elsewhere {
        first: SocketAddr,
        second: Option<SocketAddr>,
    },
    /// 420, with what was not understood.
    Unknown(UnknownAttributes),
    /// 401 or 438, with what the client needs for another try.
    Challenge {
        code: ErrorCode,
        nonce: Nonce,
    },
}

impl Body {
    /// The error that it tells, if it tells one.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Error(code) | Self::Challenge { code, .. } => Some(*code),
            Self::Unknown(_) => Some(ErrorCode::UNKNOWN_ATTRIBUTE),
            Self::Elsewhere { .. } => Some(ErrorCode::TRY_ALTERNATE),
            _ => None,
        }
    }
}

/// What a client is told of its new allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocated {
    pub(super) relayed: SocketAddr,
    /// That of the other family.
    pub(super) second: Option<SocketAddr>,
    /// The family that could not be had beside it, and why.
    pub(super) refused: Option<(Family, ErrorCode)>,
    pub(super) token: Option<ReservationToken>,
    pub(super) ticket: Option<Ticket>,
    pub(super) mapped: SocketAddr,
    pub(super) lifetime: u32,
}

fn write_ticket(writer: &mut Writer<'_>, ticket: Option<&Ticket>) {
    if let Some(Ticket(ticket)) = ticket {
        writer.attribute(Attribute::MOBILITY_TICKET, ticket);
    }
}

impl Allocated {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, self.relayed);
        if let Some(second) = self.second {
            writer.xor_address(Attribute::XOR_RELAYED_ADDRESS, second);
        }
        if let Some((family, code)) = self.refused {
            writer.address_error_code(family, code);
        }
        writer.u32(Attribute::LIFETIME, self.lifetime);
        if let Some(ReservationToken(token)) = self.token {
            writer.attribute(Attribute::RESERVATION_TOKEN, &token);
        }
        write_ticket(writer, self.ticket.as_ref());
        writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, self.mapped);
    }
}

/// The comprehension-required attributes of a request that the server does not know; the first
/// sixteen.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnknownAttributes {
    kinds: [Attribute; 16],
    count: usize,
}

impl UnknownAttributes {
    pub(super) fn of(kinds: impl Iterator<Item = Attribute>) -> Option<Self> {
        let mut unknown = Self {
            kinds: [Attribute(0); 16],
            count: 0,
        };
        for (kind, place) in kinds.zip(&mut unknown.kinds) {
            *place = kind;
            unknown.count += 1;
        }
        (unknown.count > 0).then_some(unknown)
    }
}

impl Response {
    /// The answer to `request` from `client`, unsigned.
    pub(super) fn to(request: &Message<'_>, client: FiveTuple, body: Body) -> Self {
        Self {
            client,
            method: request.method(),
            transaction_id: request.transaction_id(),
            signer: None,
            fingerprint: request.has_fingerprint(),
            body,
        }
    }

    /// The same, signed.
    pub(super) fn signed(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Writes the message into `buffer`.
    pub(super) fn encode(
        &self,
        challenge: Challenge<'_>,
        buffer: &mut [u8],
    ) -> Result<usize, Full> {
        let mut writer = Writer::new(buffer, self.class(), self.method, self.transaction_id);
        self.write_body(challenge, &mut writer);
        if self.signer.is_some() && matches!(self.method, Method::ALLOCATE | Method::REFRESH) {
            writer.text(Attribute::SOFTWARE, SOFTWARE);
        }
        if let Some(signer) = &self.signer {
            for kind in signer.integrity {
                writer.integrity(*kind, signer.key.as_bytes());
            }
        }
        if self.fingerprint {
            writer.fingerprint();
        }
        writer.finish()
    }

    fn class(&self) -> Class {
        match self.body.code() {
            Some(_) => Class::Error,
            None => Class::Success,
        }
    }

    fn write_body(&self, challenge: Challenge<'_>, writer: &mut Writer<'_>) {
        match &self.body {
            Body::Binding { mapped } => {
                writer.xor_address(Attribute::XOR_MAPPED_ADDRESS, *mapped);
            }
            Body::Behaviour(behaviour) => behaviour.write(writer),
            Body::Allocate(allocated) => allocated.write(writer),
            Body::Refresh { lifetime, ticket } => {
                writer.u32(Attribute::LIFETIME, *lifetime);
                write_ticket(writer, ticket.as_ref());
            }
            Body::Done => {}
            Body::Connection(ConnectionId(id)) => writer.attribute(Attribute::CONNECTION_ID, id),
            Body::Error(code) => writer.error_code(*code, self.reason(*code)),
            Body::Elsewhere { first, second } => {
                let code = ErrorCode::TRY_ALTERNATE;
                writer.error_code(code, self.reason(code));
                for server in [Some(*first), *second].into_iter().flatten() {
                    writer.address(Attribute::ALTERNATE_SERVER, server);
                }
            }
            Body::Unknown(unknown) => {
                let code = ErrorCode::UNKNOWN_ATTRIBUTE;
                writer.error_code(code, self.reason(code));
                writer.unknown_attributes(unknown.kinds[..unknown.count].iter().copied());
            }
            Body::Challenge { code, nonce } => {
                writer.error_code(*code, self.reason(*code));
                writer.text(Attribute::REALM, challenge.realm);
                writer.attribute(Attribute::NONCE, nonce.as_bytes());
                writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
                if let Some(name) = challenge.token_server_name {
                    writer.text(Attribute::THIRD_PARTY_AUTHORIZATION, name);
                }
            }
        }
    }

    /// The phrase for people. Strangers get none, so that their answers stay small.
    fn reason(&self, code: ErrorCode) -> &'static str {
        if self.signer.is_some() {
            code.reason()
        } else {
            ""
        }
    }
}
