//! DTLS at the relay's listeners. Whether it can be spoken depends on the key of the certificate.

use tracing::{info, warn};

use super::config::Config;
use super::tls::Tls;
use crate::net::{DtlsConfig, UnfitKey};
use crate::relay::Listener;
use crate::turn::Transport;

/// The listeners that are bound, and what DTLS is spoken with. A key that does not fit leaves
/// those for DTLS out: few clients use them, and the others must not suffer from a certificate
/// that is good for all else.
pub(super) fn listeners(config: &Config, tls: Option<&Tls>) -> (Vec<Listener>, Option<DtlsConfig>) {
    let listen = config.turn.listen.clone();
    let Some(tls) = tls.filter(|_| wanted(config).next().is_some()) else {
        return (listen, None);
    };
    match tls.certificate.dtls() {
        Ok(dtls) => {
            tell_of_chain(tls);
            (listen, Some(dtls))
        }
        Err(unfit) => {
            warn!("{}", left_out(config, unfit).unwrap_or_default());
            let others = listen.into_iter().filter(|listener| !is_dtls(listener));
            (others.collect(), None)
        }
    }
}

/// What an operator is told who wants DTLS with a key that does not fit; `None` where no listener
/// is for DTLS.
#[must_use]
pub fn left_out(config: &Config, unfit: UnfitKey) -> Option<String> {
    let wanted: Vec<String> = wanted(config).map(ToString::to_string).collect();
    let wanted = (!wanted.is_empty()).then(|| wanted.join(", "))?;
    Some(format!(
        "turn.listen: {wanted} left out, since the key in http.tls.key is of another kind: {unfit}"
    ))
}

fn tell_of_chain(tls: &Tls) {
    let intermediates = tls.certificate.intermediates();
    if intermediates > 0 {
        info!(
            "over DTLS only the first certificate of http.tls.certificate is shown; clients that \
             check it must know the {intermediates} behind it"
        );
    }
}

fn wanted(config: &Config) -> impl Iterator<Item = &Listener> {
    config
        .turn
        .listen
        .iter()
        .filter(|listener| is_dtls(listener))
}

fn is_dtls(listener: &Listener) -> bool {
    listener.transport == Transport::Dtls
}
