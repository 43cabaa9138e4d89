//! What signaling costs the server: resident bytes an idle session, CPU time a relayed message, and
//! the return of all sessions at once.
//!
//! `cargo bench --bench signaling` runs the server as a child of its own (this same program with
//! `--server`), so that what is read of its process is the server's alone, and prints what `peerage bench signal` does.
//! `PEERAGE_BENCH_CONNECTIONS` changes the number of idle sessions.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use peerage::auth::Secret;
use peerage::client::{self, Transport};
use peerage::gateway::{Gateway, Settings};
use peerage::load::{Process, signal};
use peerage::metrics::SignalCounters;
use peerage::signal::{Config, Hub, IceConfig};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if std::env::args().any(|argument| argument == "--server") {
        return runtime.block_on(serve());
    }
    runtime.block_on(measure())
}

/// The child: serves until it is killed.
async fn serve() -> Result<(), Error> {
    let ice = IceConfig {
        stun_urls: vec!["stun:198.51.100.7:3478".to_owned()],
        turn_urls: vec!["turn:198.51.100.7:3478?transport=udp".to_owned()],
        secret: Some(Secret::new("a secret of the bench")),
        ..IceConfig::default()
    };
    let config = Config {
        messages_per_second: 1_000_000,
        message_burst: 1_000_000,
        bytes_per_second: u32::MAX,
        byte_burst: u32::MAX,
        ice,
        ..Config::default()
    };
    let hub = Hub::new(config, [5; 32]);
    let gateway = Gateway::start(
        hub,
        Settings::default(),
        Arc::new(SignalCounters::default()),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    // Without this the last of several small messages waits for the peer's delayed ACK.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, gateway.router()).await?;
    Ok(())
}

async fn measure() -> Result<(), Error> {
    let count = match std::env::var("PEERAGE_BENCH_CONNECTIONS") {
        Ok(count) => count.parse()?,
        Err(_) => 5_000,
    };
    for (sessions, pairs) in [(count, 0), (2, 1), (2, 100)] {
        let server = Server::start()?;
        let mut client = client::Settings::new(&format!("ws://{}/v1/ws", server.address))?;
        client.transports = vec![Transport::WebSocket];
        let settings = signal::Settings {
            client,
            sessions,
            at_once: 64,
            pairs,
            bytes: 600,
            rate: None,
            duration: Duration::from_secs(5),
            storm: pairs == 0,
            restart_command: None,
            process: Some(Process::new(server.child.id())?),
        };
        let report = signal::run(&settings, &|_| ()).await?;
        match report.talk {
            Some(talk) => println!("{pairs} pairs\n{talk}"),
            None => println!("{report}"),
        }
    }
    Ok(())
}

/// The server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--server")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the child has an output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
