//! The servers that are compared, each a process on loopback.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peerage::auth::Secret;
use peerage::load::{Login, Process, Protocol};

use crate::Error;
use crate::rounds::free_port;

const SECRET: &str = "a-secret-of-the-benchmark-long-enough";
const REALM: &str = "example.org";
const USER: (&str, &str) = ("alice", "alice's password");

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Forwarder,
    Peerage,
    Coturn,
    TurnCrate,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Forwarder,
        Self::Peerage,
        Self::Coturn,
        Self::TurnCrate,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forwarder => "bare forwarder",
            Self::Peerage => "Peerage",
            Self::Coturn => "coturn",
            Self::TurnCrate => "turn crate",
        }
    }
}

/// All but what is not installed.
pub(crate) fn available() -> Vec<Kind> {
    let has_coturn = coturn_version().is_some();
    if !has_coturn {
        eprintln!("coturn is missing and left out: apt-get install coturn");
    }
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|&kind| kind != Kind::Coturn || has_coturn);
    kinds
}

pub(crate) fn coturn_version() -> Option<String> {
    let output = Command::new("turnserver").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().last().unwrap_or_default().trim().to_owned())
}

fn folder() -> &'static Path {
    let binary = Path::new(env!("CARGO_BIN_EXE_peerage"));
    binary.parent().unwrap_or(binary)
}

fn example(name: &str) -> PathBuf {
    folder().join("examples").join(name)
}

/// Builds what cargo does not build with a benchmark.
pub(crate) fn build_yardsticks() -> Result<(), Error> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--locked"])
        .args([
            "--example",
            "bare-forwarder",
            "--example",
            "turn-crate-server",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    status
        .success()
        .then_some(())
        .ok_or("the yardsticks do not build".into())
}

/// A server that runs for as long as the value lives.
pub(crate) struct Running {
    child: Child,
    kind: Kind,
    pub(crate) address: SocketAddr,
    /// Where a forwarder sends everything.
    pub(crate) peer: Option<SocketAddr>,
    /// Keeps what the server writes.
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts a server of this kind; trains matter to the forwarder, which is told about them.
    pub(crate) fn start(kind: Kind, trains: bool) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let (address, peer) = (free_address()?, free_address()?);
        let mut command = match kind {
            Kind::Forwarder => {
                let mut command = Command::new(example("bare-forwarder"));
                command.args([address.to_string(), peer.to_string()]);
                command.args(trains.then_some("--gro"));
                command
            }
            Kind::Peerage => peerage(address, folder.path()),
            Kind::Coturn => coturn(address, folder.path()),
            Kind::TurnCrate => {
                let mut command = Command::new(example("turn-crate-server"));
                command.args([&address.to_string(), REALM, USER.0, USER.1]);
                command
            }
        };
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut this = Self {
            child,
            kind,
            address,
            peer: (kind == Kind::Forwarder).then_some(peer),
            _folder: folder,
        };
        this.await_listener()?;
        Ok(this)
    }

    fn await_listener(&mut self) -> Result<(), Error> {
        let port = format!(":{:04X} ", self.address.port());
        for _ in 0..500 {
            if std::fs::read_to_string("/proc/net/udp")?.contains(&port) {
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

    pub(crate) fn protocol(&self) -> Protocol {
        match self.kind {
            Kind::Forwarder => Protocol::Forwarder,
            Kind::Peerage | Kind::Coturn => Protocol::Turn(Login::Secret(Secret::new(SECRET))),
            Kind::TurnCrate => Protocol::Turn(Login::User {
                username: USER.0.to_owned(),
                password: Secret::new(USER.1),
            }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn peerage(address: SocketAddr, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    command
        .args([
            "serve",
            "--listen",
            "",
            "--tls-listen",
            "",
            "--metrics-listen",
            "",
        ])
        .args(["--turn-listen", &format!("udp://{address}")])
        .arg("--state-directory")
        .arg(folder)
        .env("PEERAGE_TURN_SECRET", SECRET)
        .env("PEERAGE_TURN_REALM", REALM)
        .env("PEERAGE_TURN_RELAY_ADDRESSES", address.ip().to_string())
        .env("PEERAGE_TURN_ALLOW_PEERS", "127.0.0.0/8")
        .env("PEERAGE_TURN_UNAUTHENTICATED_RATE", "0")
        .env("PEERAGE_TURN_MAX_ALLOCATIONS_PER_USER", "0")
        .env("PEERAGE_TURN_MAX_NEW_PEERS_PER_USER", "0")
        // As many as the forwarder has: on two cores, the generator has the other one.
        .env("PEERAGE_TURN_WORKERS", "1");
    command
}

fn coturn(address: SocketAddr, folder: &Path) -> Command {
    let ip = address.ip().to_string();
    let mut command = Command::new("turnserver");
    command
        .args([
            "-n",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--allow-loopback-peers",
        ])
        .args(["-L", &ip, "-E", &ip])
        .arg(format!("--listening-port={}", address.port()))
        .args([
            "--use-auth-secret",
            &format!("--static-auth-secret={SECRET}"),
        ])
        .args([
            &format!("--realm={REALM}"),
            "--log-file=stdout",
            "--simple-log",
        ])
        .arg(format!("--userdb={}", folder.join("turndb").display()))
        .arg(format!("--pidfile={}", folder.join("pid").display()));
    command
}

fn free_address() -> Result<SocketAddr, Error> {
    let port = free_port(|port| UdpSocket::bind(("127.0.0.1", port)))?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
