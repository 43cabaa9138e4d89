//! The real binary, with a relay on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::relay::REALM;

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs until it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    pub(crate) log: String,
    folder: tempfile::TempDir,
    pub(crate) turn: SocketAddr,
    pub(crate) metrics_at: SocketAddr,
}

impl Process {
    /// Starts a server with these lines in the section `[turn]`: TURN over UDP on a free port of
    /// 127.0.0.1 unless these say otherwise, relayed addresses on 127.0.0.1 and ::1, and no web
    /// side. It logs all that it can.
    pub(crate) fn start(turn: &str) -> Self {
        Self::start_with(&configuration(turn))
    }

    /// Starts a server with this configuration.
    pub(crate) fn start_with(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("peerage.toml");
        std::fs::write(&file, configuration).expect("written");
        Self::start_in(folder)
    }

    /// Kills it, and starts another one with the same files.
    pub(crate) fn restart(mut self) -> Self {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        let empty = tempfile::tempdir().expect("a folder");
        Self::start_in(std::mem::replace(&mut self.folder, empty))
    }

    fn start_in(folder: tempfile::TempDir) -> Self {
        let file = folder.path().join("peerage.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PEERAGE_") {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--config"]).arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let (send, lines) = channel();
        let stderr = child.stderr.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self {
            child,
            lines,
            log: String::new(),
            folder,
            turn: nowhere,
            metrics_at: nowhere,
        };
        let ready = process.wait_for_log(" ready ");
        process.turn = address(&ready, "turn_listeners=");
        process.metrics_at = address(&ready, "metrics=");
        process
    }

    /// Writes another configuration in the place of the present one.
    pub(crate) fn configure(&self, text: &str) {
        let (file, new) = ("peerage.toml", "peerage.toml.new");
        std::fs::write(self.file(new), text).expect("written");
        std::fs::rename(self.file(new), self.file(file)).expect("renamed");
    }

    /// A file in the configuration's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for a line with `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in the log:\n{}", self.log));
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal: `TERM` or `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Stops it; gives all of the log.
    pub(crate) fn stop(&mut self) -> String {
        self.signal("TERM");
        self.child.wait().expect("it ends");
        let rest: Vec<String> = self.lines.iter().collect();
        format!("{}{}\n", self.log, rest.join("\n"))
    }

    /// Where its listeners of this transport are.
    pub(crate) fn listeners(&self, transport: &str) -> Vec<SocketAddr> {
        let told = self.log.split("turn_listeners=").nth(1).expect("ready");
        let listeners = told.lines().next().unwrap_or_default().split(',');
        let scheme = format!("{transport}://");
        let addresses = listeners.filter_map(|listener| listener.strip_prefix(&scheme));
        addresses
            .map(|address| address.parse().expect("an address"))
            .collect()
    }

    /// Where it speaks plain HTTP.
    pub(crate) fn http_at(&self) -> SocketAddr {
        let told = self.log.lines().find(|line| line.contains(" ready "));
        address(told.expect("ready"), "http=")
    }

    /// A metric by its name and labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics();
        let value = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix(' ')
                .map(str::to_owned)
        };
        let value = text.lines().find_map(value);
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse().expect("a number")
    }

    /// Waits until a metric has a value; gives how long that took.
    pub(crate) fn wait_for_metric(&self, name: &str, value: u64) -> Duration {
        let began = Instant::now();
        while self.metric(name) != value {
            assert!(began.elapsed() < PATIENCE, "{name} is not {value}");
            std::thread::yield_now();
        }
        began.elapsed()
    }

    /// All metrics.
    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics_at).expect("connected");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        text
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kilobytes of memory that the process has.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("there").parse().expect("a number")
    }

    /// How many files and sockets it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        folder.expect("it runs").count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The text of a configuration: two workers and one listener, unless `turn` says otherwise.
pub(crate) fn configuration(turn: &str) -> String {
    let workers = if turn.contains("workers = ") {
        ""
    } else {
        "workers = 2"
    };
    let listen = if turn.contains("listen = ") {
        ""
    } else {
        r#"listen = ["udp://127.0.0.1:0"]"#
    };
    let batching = std::env::var_os("SUITE_WITHOUT_BATCHING").is_none();
    format!(
        r#"
state_directory = "state"
log_level = "trace"
[http]
listen = []
tls_listen = []
[metrics]
listen = ["127.0.0.1:0"]
[turn]
realm = "{REALM}"
{listen}
relay_addresses = ["127.0.0.1", "::1"]
{workers}
batching = {batching}
{turn}
[turn.users]
alice = "alice's password"
bob = "bob's password"
"#
    )
}

fn address(ready: &str, name: &str) -> SocketAddr {
    let word = ready.split(' ').find_map(|word| word.strip_prefix(name));
    let first = word.and_then(|word| word.split(',').next());
    let first = first.map(|first| first.rsplit("//").next().unwrap_or(first));
    first
        .and_then(|first| first.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}
