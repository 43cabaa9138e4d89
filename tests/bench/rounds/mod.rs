//! What comparisons with other servers share: their options, medians over rounds, free ports, and
//! the page that keeps a result.

mod medians;
mod options;
mod page;
mod ports;

pub(crate) use medians::Medians;
pub(crate) use options::Options;
pub(crate) use page::{machine, record};
pub(crate) use ports::free_port;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
