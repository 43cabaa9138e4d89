//! How a server that stops sends its clients away.

use std::sync::Arc;
use std::time::Duration;

/// How a server that stops sends its clients away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// Over how long it is spread that they come back, or go.
    pub within: Duration,
    /// The base URL of the server to which they go, such as `https://green.example.org`. `None`:
    /// they come back to this one, or what takes its place.
    pub elsewhere: Option<Arc<str>>,
}
