//! The real binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The `peerage` command with these arguments and no variables of ours.
pub(crate) fn peerage(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PEERAGE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(arguments: &[&str]) -> Output {
    peerage(arguments).output().expect("the binary runs")
}

/// A server that is ready, and its log as far as it has been read.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    pub(crate) log: String,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Server {
    /// Starts a server on free ports and waits for its ready line.
    pub(crate) fn start(state: &Path, more: &[&str]) -> Self {
        Self::start_on(state, "127.0.0.1:0", more)
    }

    /// The same, with plain HTTP at this address.
    pub(crate) fn start_on(state: &Path, listen: &str, more: &[&str]) -> Self {
        let state = state.to_str().expect("a plain path");
        let mut command = peerage(&["serve", "--state-directory", state]);
        command.args(["--listen", listen, "--tls-listen", "127.0.0.1:0"]);
        command.args([
            "--turn-listen",
            "udp://127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ]);
        command.args(more);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
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
        let mut server = Self {
            child,
            lines,
            log: String::new(),
            http: nowhere,
            https: nowhere,
            metrics: nowhere,
        };
        let ready = server.wait_for_log(" ready ");
        server.http = address(&ready, "http=");
        server.https = address(&ready, "https=");
        server.metrics = address(&ready, "metrics=");
        server
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

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// How many bytes of memory the process has.
    pub(crate) fn resident(&self) -> usize {
        self.memory("VmRSS:")
    }

    /// How many it has had at most.
    pub(crate) fn peak(&self) -> usize {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let kilobytes: usize = kilobytes.unwrap_or_else(|| panic!("no {name} in {status}"));
        1024 * kilobytes
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the end. Returns the status, what it wrote to stdout, and all of the log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let mut stdout = String::new();
        let pipe = self.child.stdout.take();
        pipe.expect("piped")
            .read_to_string(&mut stdout)
            .expect("text");
        let status = self.child.wait().expect("it ends");
        let mut log = std::mem::take(&mut self.log);
        for line in self.lines.iter() {
            log.push_str(&line);
            log.push('\n');
        }
        (status, stdout, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn address(ready: &str, name: &str) -> SocketAddr {
    let word = ready.split(' ').find_map(|word| word.strip_prefix(name));
    let first = word.and_then(|word| word.split(',').next());
    first
        .and_then(|first| first.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}
