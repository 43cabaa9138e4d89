//! A native peer as a process, and what it tells.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use serde_json::Value;

use crate::network::Network;
use crate::processes::{PATIENCE, Process, command_in, lines};

pub(crate) struct Peer {
    _process: Process,
    output: Receiver<String>,
    complaints: Receiver<String>,
    told: RefCell<Vec<Value>>,
}

impl Peer {
    /// Starts a peer on a `side`, "a" or "b", that goes to the signaling at `url`.
    pub(crate) fn start(network: &Network, side: &str, url: &str, flags: &[&str]) -> Self {
        let binary = binary();
        assert!(
            binary.exists(),
            "{} is missing: run cargo build --example native-peer first",
            binary.display()
        );
        let mut command = command_in(
            &network.space(&format!("peer-{side}")),
            binary.to_str().expect("a plain path"),
        );
        command.arg(url).arg("between-nats").args(flags);
        // It stays for as long as its standard input is open.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process(command.spawn().expect("the example runs"));
        let output = lines(process.0.stdout.take().expect("piped"));
        let complaints = lines(process.0.stderr.take().expect("piped"));
        Self {
            _process: process,
            output,
            complaints,
            told: RefCell::default(),
        }
    }

    /// Waits for an event of that name that `fits`, unless it has been told already.
    pub(crate) fn tells(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            self.hear();
            let told = self.told.borrow();
            let mut events = told.iter().rev();
            if let Some(event) = events.find(|event| event["event"] == name && fits(event)) {
                return event.clone();
            }
            drop(told);
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(line) => self.note(&line),
                Err(_) => panic!("no {name}: {self:?}"),
            }
        }
    }

    /// The last event of that name, if there was one.
    pub(crate) fn last(&self, name: &str) -> Option<Value> {
        self.hear();
        let told = self.told.borrow();
        told.iter()
            .rev()
            .find(|event| event["event"] == name)
            .cloned()
    }

    /// How many packets of media have come.
    pub(crate) fn packets(&self) -> u64 {
        let last = self.last("rtp");
        last.and_then(|event| event["packets"].as_u64())
            .unwrap_or(0)
    }

    fn hear(&self) {
        while let Ok(line) = self.output.try_recv() {
            self.note(&line);
        }
    }

    fn note(&self, line: &str) {
        let event = serde_json::from_str(line).expect("it tells in JSON");
        self.told.borrow_mut().push(event);
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for event in &*self.told.borrow() {
            writeln!(f, "{event}")?;
        }
        self.complaints
            .try_iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The example is built beside the server.
fn binary() -> PathBuf {
    let server = Path::new(env!("CARGO_BIN_EXE_peerage"));
    server.with_file_name("examples").join("native-peer")
}
