//! What DTLS sessions are begun with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dimpl::crypto::Dtls12CipherSuite;
use dimpl::{Config, DtlsCertificate};

use super::accepted;
use super::hello::ClientHello;

/// What sessions are begun with. It may be replaced at any time; those that have begun keep what
/// they have.
pub type DtlsConfig = Arc<ArcSwap<DtlsIdentity>>;

/// TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256.
const CHACHA20: u16 = 0xcca9;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many datagrams of a handshake may wait for those before them.
const WAITING: usize = 12;

/// How long datagrams of the handshake may be, for IPv6 with some tunnels on the way.
const HANDSHAKE_MTU: usize = 1_200;

/// A certificate with its key, and the rules for handshakes.
pub struct DtlsIdentity {
    certificate: DtlsCertificate,
    chacha20: Arc<Config>,
    gcm: Arc<Config>,
}

/// The key is of a kind that DTLS is not spoken with here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfitKey;

impl fmt::Display for UnfitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DTLS takes only keys for ECDSA on the curves P-256 and P-384")
    }
}

impl std::error::Error for UnfitKey {}

impl fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsIdentity").finish_non_exhaustive()
    }
}

impl DtlsIdentity {
    /// The certificate `leaf` with its `key`, both in DER.
    ///
    /// # Errors
    /// If the key is of another kind than ECDSA on P-256 or P-384.
    pub fn new(leaf: &[u8], key: &[u8]) -> Result<Self, UnfitKey> {
        let provider = accepted::provider();
        // Sessions take for granted that they can read it.
        provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| UnfitKey)?;
        let config = |suites: &[Dtls12CipherSuite]| {
            let config = Config::builder()
                .with_crypto_provider(accepted::provider())
                .require_client_certificate(false)
                .dtls12_cipher_suites(suites)
                .mtu(HANDSHAKE_MTU)
                .max_queue_rx(WAITING)
                .handshake_timeout(HANDSHAKE)
                .build();
            Arc::new(config.expect("the library accepts its own suites"))
        };
        Ok(Self {
            certificate: DtlsCertificate {
                certificate: leaf.to_vec(),
                private_key: key.to_vec(),
            },
            chacha20: config(&[Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256]),
            gcm: config(&[
                Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
                Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
            ]),
        })
    }

    pub(super) fn certificate(&self) -> DtlsCertificate {
        self.certificate.clone()
    }

    /// The rules for this client, and whether nonces come from the numbers of the records. The
    /// library makes those of GCM by chance, so that two may meet one day; hence ChaCha20 comes
    /// first, whatever the client likes best.
    pub(super) fn rules(&self, hello: &ClientHello<'_>) -> (Arc<Config>, bool) {
        let counts = hello.offers(CHACHA20);
        let config = if counts { &self.chacha20 } else { &self.gcm };
        (Arc::clone(config), counts)
    }
}
