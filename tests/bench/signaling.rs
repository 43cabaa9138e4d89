//! What signaling costs the server: resident bytes an idle WebSocket, and CPU time a relayed
//! message.
//!
//! `cargo bench --bench signaling` runs the server as a child of its own (this same program with
//! `--server`), so that what is read of its process is the server's alone, and prints a table.
//! `PEERAGE_BENCH_CONNECTIONS` changes the number of idle connections.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use peerage::auth::Secret;
use peerage::gateway::{Gateway, Settings};
use peerage::metrics::SignalCounters;
use peerage::signal::{Config, Hub, IceConfig};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

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
    println!("| what | figure |");
    println!("|---|--:|");
    idle().await?;
    relayed(200).await?;
    relayed(2_000).await
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

    fn proc(&self, file: &str) -> Result<String, Error> {
        let path = format!("/proc/{}/{file}", self.child.id());
        Ok(std::fs::read_to_string(path)?)
    }

    fn resident_bytes(&self) -> Result<u64, Error> {
        let status = self.proc("status")?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = line
            .and_then(|line| line.split_whitespace().next())
            .ok_or("no VmRSS")?
            .parse()?;
        Ok(kibibytes * 1_024)
    }

    /// CPU time in user space and in the kernel, of all threads.
    fn cpu(&self) -> Result<Duration, Error> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedstat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = schedstat.split_whitespace().next();
            nanoseconds += on_cpu.ok_or("an empty schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Client = WebSocketStream<TcpStream>;

async fn connect(server: &Server) -> Result<(Client, Value), Error> {
    let stream = TcpStream::connect(server.address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{}/v1/ws", server.address);
    let config = WebSocketConfig::default().read_buffer_size(4_096);
    let (mut client, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
    let welcome = ask(&mut client, json!({"type": "hello", "version": 1})).await?;
    Ok((client, welcome))
}

async fn send(client: &mut Client, message: Value) -> Result<(), Error> {
    client.send(Message::text(message.to_string())).await?;
    Ok(())
}

async fn receive(client: &mut Client) -> Result<Value, Error> {
    loop {
        let frame = client.next().await.ok_or("the server closed")??;
        if let Message::Text(text) = frame {
            return Ok(serde_json::from_str(&text)?);
        }
    }
}

async fn ask(client: &mut Client, message: Value) -> Result<Value, Error> {
    send(client, message).await?;
    receive(client).await
}

async fn idle() -> Result<(), Error> {
    let count: usize = match std::env::var("PEERAGE_BENCH_CONNECTIONS") {
        Ok(count) => count.parse()?,
        Err(_) => 5_000,
    };
    let server = Server::start()?;
    let mut clients = Vec::with_capacity(count + 100);
    // What the first ones cost is the process's, not theirs.
    for _ in 0..100 {
        clients.push(connect(&server).await?.0);
    }
    let before = server.resident_bytes()?;
    for _ in 0..count {
        clients.push(connect(&server).await?.0);
    }
    let grown = server.resident_bytes()?.saturating_sub(before);
    println!("| idle WebSockets with a session | {count} |");
    println!("| resident bytes each | {} |", grown / count as u64);
    Ok(())
}

/// Two members of a room: one sends offers, the other acknowledges. Some are always under way.
async fn relayed(body_bytes: usize) -> Result<(), Error> {
    const ROUNDS: u64 = 2_000;
    const WINDOW: u64 = 16;
    let server = Server::start()?;
    let (mut receiver, welcome) = connect(&server).await?;
    let (mut sender, _) = connect(&server).await?;
    let join = json!({"type": "join", "id": 1, "room": "bench"});
    ask(&mut receiver, join.clone()).await?;
    let joined = ask(&mut sender, join).await?;
    receive(&mut receiver).await?;
    let body = json!({"type": "offer", "sdp": "x".repeat(body_bytes)});
    let (before, start) = (server.cpu()?, Instant::now());
    let mut id = 1;
    for _ in 0..ROUNDS {
        for _ in 0..WINDOW {
            id += 1;
            send(
                &mut sender,
                json!({"type": "offer", "id": id, "room": "bench", "body": body,
                    "to": welcome["session"], "epoch": joined["members"][0]["epoch"]}),
            )
            .await?;
        }
        let mut seq = Value::Null;
        for _ in 0..WINDOW {
            seq = receive(&mut receiver).await?["seq"].clone();
        }
        send(&mut receiver, json!({"type": "ack", "seq": seq})).await?;
    }
    let messages = ROUNDS * WINDOW;
    let cpu = (server.cpu()? - before).as_secs_f64() * 1e6 / messages as f64;
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    println!("| CPU µs a relayed offer of {body_bytes} bytes | {cpu:.1} |");
    println!("| … so many a second from one sender | {rate:.0} |");
    Ok(())
}
