//! The certificate that the server shows: whether one is needed, and for which names.

use super::config::Config;
use super::error::StartError;
use super::interfaces::{Interfaces, hostname};
use super::state::StateDirectory;
use super::tls::{self, Loaded, Tls};
use crate::turn::Transport;

/// The certificate, unless there is no listener to show it.
pub(super) fn prepare(
    config: &Config,
    state: &StateDirectory,
    interfaces: &Interfaces,
) -> Result<Option<Tls>, StartError> {
    let mut turn = config.turn.listen.iter();
    let turn_shows_it =
        turn.any(|listener| matches!(listener.transport, Transport::Tls | Transport::Dtls));
    if config.http.tls_listen.is_empty() && !turn_shows_it {
        return Ok(None);
    }
    let names = names(config, interfaces);
    Ok(Some(tls::prepare(&config.http.certificate, state, &names)?))
}

/// The certificate as it is now: what to replace the one that is shown with.
pub(super) fn load(
    config: &Config,
    state: &StateDirectory,
    interfaces: &Interfaces,
) -> Result<Loaded, StartError> {
    let names = names(config, interfaces);
    Ok(tls::load(&config.http.certificate, state, &names)?)
}

/// The names of a generated certificate.
fn names(config: &Config, interfaces: &Interfaces) -> Vec<String> {
    let mut names = tls::leaf_names(interfaces, hostname().as_deref());
    let public = config.http.public_url.as_ref();
    let public = public.map(|url| url.host().to_owned());
    names.extend(public.filter(|public| !names.contains(public)));
    names
}
