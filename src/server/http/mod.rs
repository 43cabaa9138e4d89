//! The web side: the page, health, metrics, and the listeners that carry them.

mod admin;
mod admission;
mod assets;
mod bounds;
mod content_type;
mod headers;
mod health;
mod http2;
mod listener;
mod metrics;
mod occupancy;
mod operations;
mod router;

pub(super) use admission::Admission;
pub(super) use assets::Assets;
pub(super) use headers::{Dress, OtherServers};
pub(super) use health::{Readiness, State};
pub(super) use listener::Listener;
pub(super) use metrics::MetricsPage;
pub(super) use router::{metrics_router, public_router};
