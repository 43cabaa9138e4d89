//! Programs inside namespaces.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `program`, to be run in the namespace `space`, without variables of ours.
pub(crate) fn command_in(space: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PEERAGE_") {
            command.env_remove(name);
        }
    }
    command.args(["netns", "exec", space, program]);
    command
}

/// Runs a program to its end, with `input` on its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> String {
    let (output, complaint) = try_run(command, input);
    assert_eq!(complaint, None, "{command:?} <<< {input}");
    output
}

/// What a program says, and its complaint if it fails.
pub(crate) fn try_run(command: &mut Command, input: &str) -> (String, Option<String>) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?} (tests/install-packages.sh): {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    // A program that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, (!output.status.success()).then_some(complaint))
}

/// The lines that come out of a program, as they come.
pub(crate) fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A program that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
