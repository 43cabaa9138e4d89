//! The servers that are compared, each a process on loopback.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peerage::load::Process;

use crate::rounds::{Error, free_port};
use crate::tls::Certificate;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bare,
    Peerage,
    Peer,
    YWebrtc,
    SocketIo,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Bare,
        Self::Peerage,
        Self::Peer,
        Self::YWebrtc,
        Self::SocketIo,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare relay",
            Self::Peerage => "Peerage",
            Self::Peer => "peer",
            Self::YWebrtc => "y-webrtc",
            Self::SocketIo => "socket.io",
        }
    }

    /// Its package, if it comes from npm.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::Bare | Self::Peerage => None,
            Self::Peer | Self::YWebrtc | Self::SocketIo => Some(self.name()),
        }
    }

    pub(crate) fn has_tls(self) -> bool {
        self != Self::YWebrtc
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/signaling")
}

/// All but what cannot be installed.
pub(crate) fn available() -> Vec<Kind> {
    let mut kinds = Kind::ALL.to_vec();
    if let Err(error) = install() {
        eprintln!("servers from npm are left out: {error}");
        kinds.retain(|kind| kind.package().is_none());
    }
    kinds
}

/// Installs what comes from npm, unless it is there.
fn install() -> Result<(), Error> {
    let installed = std::fs::metadata(folder().join("node_modules/.package-lock.json"));
    let wanted = std::fs::metadata(folder().join("package-lock.json"))?.modified()?;
    if installed.is_ok_and(|installed| installed.modified().is_ok_and(|at| at >= wanted)) {
        return Ok(());
    }
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder())
        .status()?;
    let installed = status.success().then_some(());
    installed.ok_or_else(|| "npm ci has failed".into())
}

/// The versions of what comes from elsewhere.
pub(crate) fn versions() -> String {
    let of_package = |package: &str| {
        let file = folder().join(format!("node_modules/{package}/package.json"));
        let text = std::fs::read_to_string(file).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(format!("{package} {}", json["version"].as_str()?))
    };
    let packages = Kind::ALL.into_iter().filter_map(Kind::package);
    let mut versions: Vec<String> = packages.filter_map(of_package).collect();
    if let Ok(output) = Command::new("node").arg("--version").output() {
        let version = String::from_utf8_lossy(&output.stdout);
        versions.push(format!(
            "Node.js {}",
            version.trim().trim_start_matches('v')
        ));
    }
    versions.join(", ")
}

/// A server that runs for as long as the value lives.
pub(crate) struct Running {
    child: Child,
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Keeps what the server writes.
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts a server of this kind, with TLS if there is a certificate.
    pub(crate) fn start(kind: Kind, certificate: Option<&Certificate>) -> Result<Self, Error> {
        let port = free_port(|port| TcpListener::bind(("127.0.0.1", port)))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let state = tempfile::tempdir()?;
        let child = command(kind, address, certificate, state.path())?
            .current_dir(folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut this = Self {
            child,
            kind,
            address,
            _folder: state,
        };
        this.await_listener()?;
        Ok(this)
    }

    fn await_listener(&mut self) -> Result<(), Error> {
        for _ in 0..1_500 {
            if TcpStream::connect(self.address).is_ok() {
                // A server may still be busy with its start.
                std::thread::sleep(Duration::from_millis(200));
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} has ended: {status}", self.kind.name()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} does not listen", self.kind.name()).into())
    }

    pub(crate) fn process(&self) -> Result<Process, Error> {
        Ok(Process::new(self.child.id())?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(
    kind: Kind,
    address: SocketAddr,
    certificate: Option<&Certificate>,
    state: &Path,
) -> Result<Command, Error> {
    let port = address.port().to_string();
    let files = certificate.map(|made| [made.certificate.as_path(), made.key.as_path()]);
    let mut command = Command::new("node");
    match kind {
        Kind::Bare => {
            command = Command::new(std::env::current_exe()?);
            command.arg("--bare").arg(address.to_string());
            command.args(files.into_iter().flatten());
        }
        Kind::Peerage => command = peerage(address, certificate, state),
        Kind::Peer => {
            command.args(["node_modules/peer/dist/bin/peerjs.js", "--port", &port]);
            // It lets in 5,000, and puts out who has not sent a heartbeat for a minute.
            command.args(["--host", "127.0.0.1", "--concurrent_limit", "100000"]);
            command.args(["--alive_timeout", "3600000"]);
            if let Some([certificate, key]) = files {
                command.arg("--sslcert").arg(certificate);
                command.arg("--sslkey").arg(key);
            }
        }
        Kind::YWebrtc => {
            let server = "node_modules/y-webrtc/bin/server.js";
            command.arg(server).env("PORT", &port);
        }
        Kind::SocketIo => {
            command.args(["socket_io_relay.js", &port]);
            command.args(files.into_iter().flatten());
        }
    }
    Ok(command)
}

/// As it comes, but for the ports and as many connections as there will be.
fn peerage(address: SocketAddr, certificate: Option<&Certificate>, state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PEERAGE_") {
            command.env_remove(name);
        }
    }
    let (plain, tls) = match certificate {
        Some(made) => {
            command.env("PEERAGE_HTTP_TLS_CERTIFICATE", &made.certificate);
            command.env("PEERAGE_HTTP_TLS_KEY", &made.key);
            (String::new(), address.to_string())
        }
        None => (address.to_string(), String::new()),
    };
    command
        .args(["serve", "--listen", &plain, "--tls-listen", &tls])
        .args(["--metrics-listen", "", "--turn-listen", "udp://127.0.0.1:0"])
        .arg("--state-directory")
        .arg(state)
        .env("PEERAGE_HTTP_CONNECTIONS", "18000");
    command
}
