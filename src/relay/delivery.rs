//! What has become of a message for a client that comes by a connection.

/// What has become of a message for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It will be sent.
    Done,
    /// There was no room for it.
    Lost,
    /// The client has no connection here.
    Elsewhere,
}
