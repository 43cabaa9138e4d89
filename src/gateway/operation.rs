//! What can be asked for, as an OpenAPI document tells it.

/// One method of one path.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// In lower case.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// A name for code that is made of the document.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) shown: Shown,
    pub(crate) parameters: &'static [Parameter],
    /// The schema of the body, if there is one.
    pub(crate) body: Option<&'static str>,
    /// What is answered when all is well, or when the connection is over.
    pub(crate) answers: Vec<Answer>,
    /// What is answered instead.
    pub(crate) refusals: Vec<Refused>,
}

/// What a request shows, so that it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    /// The key of a connection in `Authorization`.
    Key,
    /// The key, or a ticket in the query.
    KeyOrTicket,
    /// The operator's token in `Authorization`, where the operator has set one.
    TokenIfSet,
}

/// A parameter. None is required.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// `query` or `header`.
    pub(crate) place: &'static str,
    /// `integer` or `string`.
    pub(crate) kind: &'static str,
    pub(crate) description: &'static str,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    pub(crate) body: Body,
    /// Whether `Retry-After` may stand there.
    pub(crate) retry_after: bool,
}

/// What an answer carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// A JSON object of this media type.
    Object(&'static str),
    /// Text of this media type.
    Text(&'static str),
}

/// The media type of text for people.
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";

/// Why a request is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) text: &'static str,
    pub(crate) retry_after: bool,
}
