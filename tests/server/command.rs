//! The command line.

use crate::process::run;

#[test]
fn no_command_prints_help() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("serve") && text.contains("check"), "{text}");
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["serve", "check", "token", "version"] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("\n  peerage {command}")), "{text}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_status_2() {
    for wrong in [&["serve", "--colour"][..], &["fly"]] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn version_prints_the_packages_version() {
    let output = run(&["version"]);
    let expected = format!("peerage {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
