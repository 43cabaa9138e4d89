//! What a transport tells.

use super::closing::End;

#[derive(Debug)]
pub(super) enum Happened {
    /// A message has come.
    Text(Box<str>),
    /// The connection lives.
    Alive,
    /// It is over.
    Ended(End),
}
