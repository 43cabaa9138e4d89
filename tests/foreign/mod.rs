//! Programs that others have made: a suite that drives some includes this file.

use std::process::{Command, Output};

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/python.sh");

/// Makes a virtual environment of Python in `folder`, with the `requirements.txt` of `sources`.
pub(crate) fn make_python(folder: &str, sources: &str) {
    make(PYTHON, &[folder, &format!("{sources}/requirements.txt")]);
}

/// Runs a script that makes something, unless it has been made. That may take a while.
pub(crate) fn make(script: &str, arguments: &[&str]) {
    let made = Command::new(script).args(arguments).output();
    let made = made.expect("there is a bash");
    assert!(
        made.status.success(),
        "tests/install-packages.sh installs what is needed: {}",
        text(&made)
    );
}

/// All that a program has written.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}
