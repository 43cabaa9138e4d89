//! From what was written to what holds.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::access::auth;
use super::addresses::Alternate;
use super::error::ConfigError;
use super::explain::explain;
use super::model::{
    AuditTarget, CertificateSource, Config, Http, LogLevel, Metrics, Peers, PublicUrl, RelayPorts,
    Signal, Turn,
};
use super::reader::{Entry, Reader};
use super::secrets::{Secrets, Users};
use super::sources::Sources;
use super::value::Value;
use super::values::Bandwidth;
use crate::auth::{Secret, TokenKeys, prepare};
use crate::relay::{Listener, RelayAddress};
use crate::server::interfaces::Interfaces;
use crate::signal::Duplicates;
use crate::turn::{Cidr, PeerPolicy, Transport};

/// Secrets at a time: whoever signs with a time-limited name is checked against all of them.
const MOST_SECRETS: usize = 4;

/// The ports of STUN and TURN (RFC 8656 section 6, RFC 8489 section 18.6).
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    entries: Vec<Entry>,
}

impl Resolved {
    /// The value of a key as `peerage check` shows it.
    pub(super) fn shown(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        entry.value.as_deref()
    }
}

impl Resolved {
    /// Checks `sources` and fills in defaults. `interfaces` are this machine's addresses;
    /// `state_directory` is used where none is written.
    ///
    /// # Errors
    /// For the first value that is wrong.
    pub fn new(
        sources: &Sources,
        interfaces: &Interfaces,
        state_directory: PathBuf,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        let config = Config {
            state_directory: reader.path_or("state_directory", state_directory)?,
            log_level: reader.get("log_level", LogLevel::Info)?,
            http: http(&mut reader)?,
            signal: signal(&mut reader)?,
            turn: turn(&mut reader, interfaces)?,
            auth: auth(&mut reader)?,
            metrics: metrics(&mut reader)?,
        };
        not_yet(&mut reader)?;
        let entries = reader.into_entries();
        Ok(Self { config, entries })
    }

    /// The configuration as TOML, secrets redacted, with the origin of each value behind it.
    #[must_use]
    pub fn explain(&self) -> String {
        explain(&self.entries)
    }
}

fn http(reader: &mut Reader<'_>) -> Result<Http, ConfigError> {
    Ok(Http {
        listen: reader.get(
            "http.listen",
            vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
        )?,
        tls_listen: reader.get(
            "http.tls_listen",
            vec![SocketAddr::from(([0, 0, 0, 0], 8443))],
        )?,
        public_url: reader.optional("http.public_url")?,
        allowed_origins: reader.get("http.allowed_origins", Vec::new())?,
        other_servers: reader.get("http.other_servers", Vec::new())?,
        web_root: web_root(reader)?,
        connections: count(reader, "http.connections", 8192, 1_000_000)?,
        connections_per_address: reader.get("http.connections_per_address", 512_u32)? as usize,
        certificate: certificate(reader)?,
    })
}

fn web_root(reader: &mut Reader<'_>) -> Result<Option<PathBuf>, ConfigError> {
    let root = reader.path("http.web_root")?;
    if let Some(root) = &root {
        reader.ensure("http.web_root", root.is_dir(), "a folder that exists")?;
    }
    Ok(root)
}

fn certificate(reader: &mut Reader<'_>) -> Result<CertificateSource, ConfigError> {
    let local = reader.get("http.tls.local_ca", true)?;
    let certificate = reader.path("http.tls.certificate")?;
    let key = reader.path("http.tls.key")?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(CertificateSource::Files { certificate, key }),
        (Some(_), None) => {
            Err(reader.refuse("http.tls.certificate", "needs http.tls.key beside it"))
        }
        (None, Some(_)) => {
            Err(reader.refuse("http.tls.key", "needs http.tls.certificate beside it"))
        }
        (None, None) if local => Ok(CertificateSource::LocalCa),
        (None, None) => Err(reader.refuse(
            "http.tls.local_ca",
            "must be true, or http.tls.certificate and http.tls.key must be set",
        )),
    }
}

fn signal(reader: &mut Reader<'_>) -> Result<Signal, ConfigError> {
    let resume_window = reader.get("signal.resume_window", Duration::from_secs(60))?;
    let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
    reader.ensure(
        "signal.resume_window",
        bounds.contains(&resume_window),
        r#"from "1s" to "1h""#,
    )?;
    let presence_grace = reader.get("signal.presence_grace", Duration::from_secs(2))?;
    reader.ensure(
        "signal.presence_grace",
        presence_grace <= resume_window,
        "at most signal.resume_window",
    )?;
    let empty_room_life = reader.get("signal.empty_room_life", Duration::from_secs(30))?;
    reader.ensure(
        "signal.empty_room_life",
        empty_room_life <= Duration::from_secs(3600),
        r#"from "0s" to "1h""#,
    )?;
    let max_delay = reader.get("signal.max_delay", Duration::from_secs(1))?;
    reader.ensure(
        "signal.max_delay",
        max_delay <= Duration::from_secs(60),
        r#"from "0s" (no limit) to "60s""#,
    )?;
    Ok(Signal {
        connect_rate: rate(reader, "signal.connect_rate", 5_000)?,
        session_rate: rate(reader, "signal.session_rate", 3_000)?,
        max_delay,
        empty_room_life,
        presence_grace,
        connections: count(reader, "signal.connections", 20_000, 10_000_000)?,
        sessions: count(reader, "signal.sessions", 100_000, 10_000_000)?,
        duplicates: reader.get("signal.duplicates", Duplicates::Allow)?,
        room_members: count(reader, "signal.room_members", 64, 1024)?,
        drain: drain(reader, resume_window)?,
        elsewhere: elsewhere(reader)?,
        resume_window,
    })
}

/// Whoever comes later finds nothing of its session any more.
fn drain(reader: &mut Reader<'_>, resume_window: Duration) -> Result<Duration, ConfigError> {
    const DRAIN: Duration = Duration::from_millis(2500);
    let drain = reader.get("signal.drain", resume_window.min(DRAIN))?;
    let allowed = format!(
        r#"from "0s" to signal.resume_window ({})"#,
        resume_window.show()
    );
    reader.ensure("signal.drain", drain <= resume_window, &allowed)?;
    Ok(drain)
}

/// It must fit a close frame (RFC 6455, section 5.5), beside what else stands there.
fn elsewhere(reader: &mut Reader<'_>) -> Result<Option<PublicUrl>, ConfigError> {
    const LONGEST: usize = 50;
    let key = "signal.elsewhere";
    let elsewhere: Option<PublicUrl> = reader.optional(key)?;
    if let Some(url) = &elsewhere {
        let allowed = format!("at most {LONGEST} characters long");
        reader.ensure(key, url.as_str().len() <= LONGEST, &allowed)?;
    }
    Ok(elsewhere)
}

/// So many a second; 0 is no limit.
fn rate(reader: &mut Reader<'_>, key: &'static str, default: u32) -> Result<u32, ConfigError> {
    const MOST: u32 = 1_000_000;
    let rate = reader.get(key, default)?;
    let allowed = format!("a whole number from 0 (no limit) to {MOST}");
    reader.ensure(key, rate <= MOST, &allowed)?;
    Ok(rate)
}

/// A number from 1 to `most`.
fn count(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: u32,
    most: u32,
) -> Result<usize, ConfigError> {
    let count = reader.get(key, default)?;
    let allowed = format!("a whole number from 1 to {most}");
    reader.ensure(key, (1..=most).contains(&count), &allowed)?;
    Ok(count as usize)
}

fn turn(reader: &mut Reader<'_>, interfaces: &Interfaces) -> Result<Turn, ConfigError> {
    let realm = realm(reader)?;
    let listen = turn_listen(reader, interfaces)?;
    let relay_addresses = relay_addresses(reader, interfaces)?;
    let relay_ports = relay_ports(reader)?;
    Ok(Turn {
        token_keys: token_keys(reader, &realm)?,
        realm,
        nat_discovery_alternate: nat_discovery(reader, &listen, &relay_addresses)?,
        listen,
        share_https: reader.get("turn.share_https", true)?,
        relay_addresses,
        relay_ports,
        secrets: secrets(reader)?,
        credential_lifetime: credential_lifetime(reader)?,
        audit_log: audit_log(reader)?,
        username_anonymity: reader.get("turn.username_anonymity", false)?,
        users: reader.get("turn.users", Users::default())?.0,
        alternate_servers: alternate_servers(reader)?,
        allow_peers: allow_peers(reader)?,
        peer_policy: reader.get("turn.peer_policy", Peers::Any)?,
        max_allocations: reader.get("turn.max_allocations", 50_000)?,
        max_allocations_per_user: reader.get("turn.max_allocations_per_user", 150)?,
        unauthenticated_rate: reader.get("turn.unauthenticated_rate", 200)?,
        max_bandwidth_per_allocation: reader
            .get("turn.max_bandwidth_per_allocation", Bandwidth(0))?
            .0,
        max_bandwidth_per_user: reader.get("turn.max_bandwidth_per_user", Bandwidth(0))?.0,
        max_new_peers_per_user: reader.get("turn.max_new_peers_per_user", 6_000)?,
        strict_expiry: reader.get("turn.strict_expiry", false)?,
        mobility: reader.get("turn.mobility", false)?,
        tcp_relay: tcp_relay(reader, relay_ports)?,
        peer_connections: count(reader, "turn.peer_connections", 4096, 1_000_000)?,
        peer_connections_per_user: reader.get("turn.peer_connections_per_user", 256_u32)? as usize,
        connections: count(reader, "turn.connections", 8192, 1_000_000)?,
        connections_per_address: reader.get("turn.connections_per_address", 512_u32)? as usize,
        proxy_protocol_from: reader.get("turn.proxy_protocol_from", Vec::new())?,
        copy_traffic_class: copy_traffic_class(reader)?,
        workers: workers(reader)?,
        pin_workers: reader.get("turn.pin_workers", false)?,
        batching: reader.get("turn.batching", true)?,
    })
}

/// TCP allocations need ports.
fn tcp_relay(reader: &mut Reader<'_>, ports: RelayPorts) -> Result<bool, ConfigError> {
    let wanted = reader.get("turn.tcp_relay", false)?;
    reader.ensure(
        "turn.tcp_relay",
        !wanted || ports != RelayPorts::None,
        "false where turn.relay_ports is \"none\"",
    )?;
    Ok(wanted)
}

/// The realm as RFC 8489 section 14.9 wants it.
fn realm(reader: &mut Reader<'_>) -> Result<String, ConfigError> {
    let written = reader.get("turn.realm", "peerage".to_owned())?;
    let prepared = prepare(&written).filter(|realm| realm.len() < 128 && !realm.contains('"'));
    reader.ensure(
        "turn.realm",
        prepared.is_some(),
        "1 to 127 bytes, without quotes and control characters",
    )?;
    Ok(prepared.map_or_else(String::new, Cow::into_owned))
}

/// One secret or several.
fn secrets(reader: &mut Reader<'_>) -> Result<Vec<Secret>, ConfigError> {
    let Secrets(secrets) = reader.optional("turn.secret")?.unwrap_or_default();
    reader.ensure(
        "turn.secret",
        secrets.len() <= MOST_SECRETS,
        "at most 4 secrets",
    )?;
    Ok(secrets)
}

fn turn_listen(
    reader: &mut Reader<'_>,
    interfaces: &Interfaces,
) -> Result<Vec<Listener>, ConfigError> {
    let on_all = |transport, port| {
        let mut listeners = vec![Listener {
            transport,
            address: SocketAddr::from(([0; 4], port)),
        }];
        if interfaces.has_ipv6() {
            listeners.push(Listener {
                transport,
                address: SocketAddr::from(([0_u16; 8], port)),
            });
        }
        listeners
    };
    let default = [
        on_all(Transport::Udp, PORT),
        on_all(Transport::Tcp, PORT),
        on_all(Transport::Tls, TLS_PORT),
        on_all(Transport::Dtls, TLS_PORT),
    ];
    reader.get("turn.listen", default.concat())
}

/// What opens access tokens; they are made for the realm unless another name is written.
fn token_keys(reader: &mut Reader<'_>, realm: &str) -> Result<Option<Arc<TokenKeys>>, ConfigError> {
    let Users(written) = reader.get("turn.token_keys", Users::default())?;
    let name = reader.get("turn.token_server_name", String::new())?;
    reader.ensure(
        "turn.token_server_name",
        name.len() < 128,
        "at most 127 bytes",
    )?;
    if written.is_empty() {
        return Ok(None);
    }
    let none = TokenKeys::new(if name.is_empty() { realm } else { &name });
    let keys = written
        .iter()
        .try_fold(none, |keys, (kid, key)| keys.with_key(kid, key));
    let allowed = "must be a table of key ids and keys, each key 16 or 32 bytes in base64";
    keys.map(|keys| Some(Arc::new(keys)))
        .map_err(|_| reader.refuse("turn.token_keys", allowed))
}

fn alternate_servers(reader: &mut Reader<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let key = "turn.alternate_servers";
    let servers: Vec<SocketAddr> = reader.get(key, Vec::new())?;
    let can_be_reached = |server: &SocketAddr| server.port() != 0 && !server.ip().is_unspecified();
    reader.ensure(
        key,
        servers.iter().all(can_be_reached),
        "addresses and ports that clients can reach",
    )?;
    Ok(servers)
}

/// Exceptions that mean something: whoever writes another one expects what cannot be had.
fn allow_peers(reader: &mut Reader<'_>) -> Result<Vec<Cidr>, ConfigError> {
    let key = "turn.allow_peers";
    let ranges: Vec<Cidr> = reader.get(key, Vec::new())?;
    for range in &ranges {
        if let Some(why) = PeerPolicy::void_exception(range) {
            return Err(reader.refuse(key, format!("{range} can have no effect: {why}")));
        }
    }
    Ok(ranges)
}

/// The second address and port of RFC 5780. What makes the first is a listener, so the alternate
/// must fit one.
fn nat_discovery(
    reader: &mut Reader<'_>,
    listeners: &[Listener],
    relay_addresses: &[RelayAddress],
) -> Result<Option<SocketAddr>, ConfigError> {
    let key = "turn.nat_discovery_alternate";
    let Alternate(alternate) = reader.get(key, Alternate(None))?;
    let Some(alternate) = alternate else {
        return Ok(None);
    };
    let Some(primary) = Listener::discovery_primary(listeners, alternate) else {
        let problem = "needs a udp:// listener in turn.listen at one address of the same family \
                       (not 0.0.0.0 or [::]), with another address and another port than this";
        return Err(reader.refuse(key, problem));
    };
    let ports = [primary.port(), alternate.port()];
    let is_in_the_way = |listener: &Listener| {
        let Listener { transport, address } = listener;
        !transport.is_stream()
            && address.ip().is_unspecified()
            && address.is_ipv4() == alternate.is_ipv4()
            && ports.contains(&address.port())
    };
    if let Some(listener) = listeners.iter().find(|it| is_in_the_way(it)) {
        let problem = format!("{listener} in turn.listen takes what comes to the port");
        return Err(reader.refuse(key, problem));
    }
    let is_mapped = |relay: &RelayAddress| {
        relay.bound != relay.advertised && relay.bound.is_ipv4() == alternate.is_ipv4()
    };
    if relay_addresses.iter().any(is_mapped) {
        let problem = "needs two addresses that the machine has itself, and \
                       turn.external_addresses says that it is behind a NAT";
        return Err(reader.refuse(key, problem));
    }
    Ok(Some(alternate))
}

/// A file, or the word "stderr".
fn audit_log(reader: &mut Reader<'_>) -> Result<Option<AuditTarget>, ConfigError> {
    let key = "turn.audit_log";
    let path = reader.path(key)?;
    Ok(path.map(|path| {
        if reader.is_written(key, "stderr") {
            AuditTarget::Stderr
        } else {
            AuditTarget::File(path)
        }
    }))
}

fn credential_lifetime(reader: &mut Reader<'_>) -> Result<Duration, ConfigError> {
    let key = "turn.credential_lifetime";
    let lifetime = reader.get(key, Duration::from_secs(3600))?;
    let bounds = Duration::from_secs(10)..=Duration::from_secs(86_400);
    reader.ensure(key, bounds.contains(&lifetime), r#"from "10s" to "24h""#)?;
    Ok(lifetime)
}

fn workers(reader: &mut Reader<'_>) -> Result<usize, ConfigError> {
    let workers = reader.get("turn.workers", 0_u32)?;
    reader.ensure(
        "turn.workers",
        workers <= 256,
        "a whole number from 0 to 256",
    )?;
    Ok(workers as usize)
}

fn copy_traffic_class(reader: &mut Reader<'_>) -> Result<bool, ConfigError> {
    let key = "turn.copy_traffic_class";
    let copies = reader.get(key, false)?;
    let can_be_had = !copies || cfg!(target_os = "linux");
    reader.ensure(key, can_be_had, "false on this system: it takes Linux")?;
    Ok(copies)
}

fn relay_ports(reader: &mut Reader<'_>) -> Result<RelayPorts, ConfigError> {
    let default = RelayPorts::Range {
        first: 49152,
        last: 65535,
    };
    reader.get("turn.relay_ports", default)
}

/// Pairs what relay sockets are bound to with what clients are told, family by family.
fn relay_addresses(
    reader: &mut Reader<'_>,
    interfaces: &Interfaces,
) -> Result<Vec<RelayAddress>, ConfigError> {
    let bound = reader.get_or_find("turn.relay_addresses", || interfaces.relay_addresses())?;
    one_a_family(reader, "turn.relay_addresses", &bound)?;
    let usable = bound
        .iter()
        .all(|address| !address.is_unspecified() && !address.is_multicast());
    reader.ensure(
        "turn.relay_addresses",
        usable,
        "addresses of this machine, not 0.0.0.0 or [::]",
    )?;
    let external: Vec<IpAddr> = reader.get("turn.external_addresses", Vec::new())?;
    one_a_family(reader, "turn.external_addresses", &external)?;
    let of_family = |addresses: &[IpAddr], like: IpAddr| {
        addresses
            .iter()
            .copied()
            .find(|address| address.is_ipv4() == like.is_ipv4())
    };
    for address in &external {
        if of_family(&bound, *address).is_none() {
            let problem = format!("{address} has no partner of its family in turn.relay_addresses");
            return Err(reader.refuse("turn.external_addresses", problem));
        }
    }
    let pair = |bound: IpAddr| RelayAddress {
        bound,
        advertised: of_family(&external, bound).unwrap_or(bound),
    };
    Ok(bound.into_iter().map(pair).collect())
}

fn one_a_family(
    reader: &Reader<'_>,
    key: &'static str,
    addresses: &[IpAddr],
) -> Result<(), ConfigError> {
    let v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    let one = v4 <= 1 && addresses.len() - v4 <= 1;
    reader.ensure(key, one, "at most one IPv4 and one IPv6 address")
}

fn metrics(reader: &mut Reader<'_>) -> Result<Metrics, ConfigError> {
    let listen = reader.get(
        "metrics.listen",
        vec![SocketAddr::from(([127, 0, 0, 1], 9090))],
    )?;
    let token = reader.optional("metrics.token")?;
    let local = listen.iter().all(|address| address.ip().is_loopback());
    reader.ensure(
        "metrics.listen",
        local || token.is_some(),
        "loopback addresses such as \"127.0.0.1:9090\", unless metrics.token is set",
    )?;
    Ok(Metrics { listen, token })
}

/// Keys that the design names and that only have one value so far.
fn not_yet(reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    let bus = reader.get("cluster.bus", "local".to_owned())?;
    reader.available("cluster.bus", bus == "local", r#""local""#)?;
    let acme = reader.get("http.tls.acme", false)?;
    reader.available("http.tls.acme", !acme, "false")
}
