//! The keys that exist.

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether it can be changed while the server runs.
    pub live: bool,
}

impl Key {
    /// The environment variable that sets it: `PEERAGE_SECTION_KEY`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("PEERAGE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The key of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str) -> Key {
    Key {
        name,
        secret: false,
        live: false,
    }
}

const fn secret(name: &'static str) -> Key {
    Key {
        secret: true,
        ..key(name)
    }
}

/// Also while the server runs.
const fn live(key: Key) -> Key {
    Key { live: true, ..key }
}

/// All keys, in the order in which `peerage check` prints them.
pub const KEYS: &[Key] = &[
    key("state_directory"),
    live(key("log_level")),
    key("http.listen"),
    key("http.tls_listen"),
    key("http.public_url"),
    key("http.allowed_origins"),
    live(key("http.other_servers")),
    key("http.web_root"),
    key("http.connections"),
    key("http.connections_per_address"),
    live(key("http.tls.local_ca")),
    live(key("http.tls.certificate")),
    live(key("http.tls.key")),
    key("http.tls.acme"),
    key("signal.connections"),
    key("signal.sessions"),
    key("signal.connect_rate"),
    key("signal.session_rate"),
    key("signal.max_delay"),
    key("signal.room_members"),
    key("signal.duplicates"),
    key("signal.empty_room_life"),
    key("signal.resume_window"),
    key("signal.presence_grace"),
    live(key("signal.drain")),
    live(key("signal.elsewhere")),
    key("turn.realm"),
    key("turn.listen"),
    key("turn.share_https"),
    key("turn.relay_addresses"),
    key("turn.external_addresses"),
    key("turn.relay_ports"),
    live(secret("turn.secret")),
    key("turn.credential_lifetime"),
    key("turn.username_anonymity"),
    key("turn.alternate_servers"),
    live(key("turn.allow_peers")),
    key("turn.peer_policy"),
    live(key("turn.max_allocations")),
    live(key("turn.max_allocations_per_user")),
    key("turn.max_bandwidth_per_allocation"),
    key("turn.max_bandwidth_per_user"),
    key("turn.max_new_peers_per_user"),
    key("turn.strict_expiry"),
    live(key("turn.unauthenticated_rate")),
    key("turn.connections"),
    key("turn.connections_per_address"),
    key("turn.audit_log"),
    key("turn.proxy_protocol_from"),
    key("turn.copy_traffic_class"),
    key("turn.workers"),
    key("turn.pin_workers"),
    key("turn.batching"),
    key("turn.tcp_relay"),
    key("turn.peer_connections"),
    key("turn.peer_connections_per_user"),
    key("turn.mobility"),
    key("turn.nat_discovery_alternate"),
    live(secret("turn.users")),
    secret("turn.token_keys"),
    key("turn.token_server_name"),
    key("auth.mode"),
    live(secret("auth.secret")),
    live(key("auth.public_keys")),
    live(key("auth.jwks")),
    live(key("auth.jwks_ca")),
    live(key("auth.issuer")),
    live(key("auth.audience")),
    live(key("auth.leeway")),
    live(key("auth.max_lifetime")),
    key("auth.grace"),
    key("auth.sessions_per_subject"),
    key("auth.guesses_per_address"),
    secret("cluster.bus"),
    key("metrics.listen"),
    secret("metrics.token"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_keys_share_a_variable() {
        let variables: HashSet<_> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(variables.len(), KEYS.len());
        assert!(!variables.contains("PEERAGE_CONFIG"));
    }

    #[test]
    fn the_operators_guide_names_every_key_and_variable() {
        let guide = include_str!("../../../docs/operator.md");
        for key in KEYS {
            assert!(guide.contains(&key.variable()), "{}", key.variable());
        }
    }
}
