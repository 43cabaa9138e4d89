//! What can be asked for, as the OpenAPI document tells it.

/// One method of one path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// A name for code that is made of the document.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) shown: Shown,
    pub(super) parameters: &'static [Parameter],
    /// The schema of the body, if there is one.
    pub(super) body: Option<&'static str>,
    /// What is answered when all is well, or when the connection is over.
    pub(super) answers: Vec<Answer>,
    /// What is answered instead.
    pub(super) refusals: Vec<Refused>,
}

/// How a request says to which connection it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Not at all.
    Nothing,
    /// By the key in `Authorization`.
    Key,
    /// By the key, or by a ticket in the query.
    KeyOrTicket,
}

/// A parameter. None is required.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `query` or `header`.
    pub(super) place: &'static str,
    /// `integer` or `string`.
    pub(super) kind: &'static str,
    pub(super) description: &'static str,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) body: Body,
    /// Whether `Retry-After` may stand there.
    pub(super) retry_after: bool,
}

/// What an answer carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// A stream of events.
    Events,
    /// Text for people.
    Text,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) text: &'static str,
    pub(super) retry_after: bool,
}
