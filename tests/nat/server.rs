//! The real binary, on the internet of a test.

use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::network::{Nat, Network};
use crate::processes::{PATIENCE, Process, command_in, lines, run};

pub(crate) struct Server {
    space: String,
    /// Where its metrics are, on its loopback.
    metrics: u16,
    _process: Process,
    _log: Receiver<String>,
    _state: tempfile::TempDir,
}

impl Server {
    /// Starts a server with more settings, by variables, and waits until it is ready.
    pub(crate) fn start(network: &Network, settings: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let space = network.space("internet");
        let mut command = command_in(&space, env!("CARGO_BIN_EXE_peerage"));
        command
            .args(["serve", "--state-directory"])
            .arg(state.path());
        command.args([
            "--listen",
            "5.0.0.1:8080,[2a01::1]:8080",
            "--tls-listen",
            "",
        ]);
        command.args(["--turn-listen", "udp://5.0.0.1:3478,udp://[2a01::1]:3478"]);
        command.args(["--metrics-listen", "127.0.0.1:0"]);
        command.envs(settings.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process(command.spawn().expect("the binary runs"));
        let log = lines(process.0.stderr.take().expect("piped"));
        let ready = ready_line(&log);
        let metrics = ready.rsplit("metrics=127.0.0.1:").next();
        let metrics = metrics.and_then(|rest| rest.split_whitespace().next());
        Self {
            space,
            metrics: metrics.and_then(|port| port.parse().ok()).expect("a port"),
            _process: process,
            _log: log,
            _state: state,
        }
    }

    /// Where somebody behind `nat` finds the signaling.
    pub(crate) fn signaling(&self, nat: Nat) -> String {
        format!("ws://{}:8080/v1/ws", nat.server())
    }

    /// The value of one metric.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}
             printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3
             cat <&3",
            self.metrics
        );
        let page = run(command_in(&self.space, "bash").args(["-c", &script]), "");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name}: {page}"))
    }
}

/// Waits for the line that says that the server is ready.
fn ready_line(log: &Receiver<String>) -> String {
    let until = Instant::now() + PATIENCE;
    let mut said = String::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = log.recv_timeout(left);
        let line = line.unwrap_or_else(|_| panic!("the server did not get ready: {said}"));
        if line.contains(" ready ") {
            return line;
        }
        said.push_str(&line);
        said.push('\n');
    }
}
